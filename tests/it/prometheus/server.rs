//! A Prometheus of our own: started on a free port, asked over its API, ended with the test.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sluice_rig::{EndsOn, Folder, Guarded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A bound against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(45);

/// How often an answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What compose mounts into Prometheus.
pub fn deployed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

/// A running Prometheus.
pub struct Prometheus {
    address: SocketAddr,
    _process: Guarded,
    _folder: Folder,
}

impl Prometheus {
    /// One that scrapes these addresses under these job names, once a second, and
    /// evaluates our alert rules as often. `None` where Prometheus is left out.
    pub async fn start(targets: &[(&str, &[SocketAddr])]) -> Option<Self> {
        let program = super::program("SLUICE_TEST_PROMETHEUS", "prometheus")?;
        let folder = Folder::new("prometheus").unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration(targets)).unwrap();
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg("--web.listen-address=127.0.0.1:0");
        let process = Guarded::start_in(&command, &folder, EndsOn::Terminate)
            .expect("Prometheus is needed: it is in Debian's package `prometheus`");
        let log = folder.path().join("prometheus.log");
        let address = until("Prometheus listens", async || listens_on(&log)).await;
        Some(Self { address, _process: process, _folder: folder })
    }

    /// Waits until a query has at least one result.
    pub async fn until_answered(&self, query: &str) {
        until(query, async || {
            let answer = self.query(query).await?;
            let results = answer["data"]["result"].as_array()?;
            (!results.is_empty()).then_some(())
        })
        .await;
    }

    /// Panics if a query is not understood. It may have no result.
    pub async fn understands(&self, query: &str) {
        let answer = self.query(query).await.expect("an answer");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
    }

    /// Waits until every rule was evaluated without an error; says how many there are.
    pub async fn until_rules_are_evaluated(&self) -> usize {
        until("all rules are evaluated", async || {
            let answer = self.ask("/api/v1/rules", "").await?;
            let groups = answer["data"]["groups"].as_array()?;
            let rules: Vec<&Value> =
                groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
            assert!(rules.iter().all(|rule| rule["health"] != "err"), "{answer}");
            rules.iter().all(|rule| rule["health"] == "ok").then_some(rules.len())
        })
        .await
    }

    async fn query(&self, query: &str) -> Option<Value> {
        self.ask("/api/v1/query", &format!("query={}", percent_encoded(query))).await
    }

    /// `None` while it does not answer yet.
    async fn ask(&self, path: &str, form: &str) -> Option<Value> {
        let method = if form.is_empty() { "GET" } else { "POST" };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: prometheus\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }
}

fn configuration(targets: &[(&str, &[SocketAddr])]) -> String {
    let mut text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         rule_files: [{:?}]\nscrape_configs:\n",
        deployed().join("rules.yml")
    );
    for (job, addresses) in targets {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "- {{job_name: {job}, static_configs: [targets: {addresses:?}]}}");
    }
    text
}

/// Where it listens, once its log says so.
fn listens_on(log: &Path) -> Option<SocketAddr> {
    let log = std::fs::read_to_string(log).ok()?;
    let line = log.lines().find(|line| line.contains("msg=\"Listening on\""))?;
    line.split_once(" address=")?.1.trim().parse().ok()
}

/// Looks again and again until there is something to see.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let seen = async {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("it did not come: {what}"))
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
