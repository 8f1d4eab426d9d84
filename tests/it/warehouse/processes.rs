//! The real processes: a producer and some workers, started as an operator does, on the tests'
//! broker and store, with queues and keys of their own; and what an operator runs beside them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sluice::config::Secret;
use sluice::names::ProjectName;
use sluice::queue::RetryPolicy;
use sluice::queue::amqp::AmqpSettings;
use sluice_rig::{EndsOn, Folder, Guarded, free_port};
use sluice_sim::Standin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::contracts::queue::broker::{self, Broker};
use crate::redis::{self, Corner};

/// How long a process may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

const SECRET: &str = "a webhook secret of this cluster";

/// A producer and its workers. They end with this value.
pub(crate) struct Processes {
    producer: Process,
    workers: Vec<Process>,
    /// What was made in the store and on the broker goes last.
    _corner: Corner,
    _broker: Broker,
}

/// One of them.
pub(crate) struct Process {
    program: Guarded,
    port: u16,
    _folder: Folder,
}

impl Processes {
    /// Starts them, and waits until each of them is ready.
    pub(crate) async fn start(github: &Standin, python: &Path, workers: usize) -> Self {
        let corner = Corner::new();
        // A corner that nobody knew looks like a store that has lost its data, and is frozen.
        drop(corner.store().await);
        let prefix = corner.settings.key_prefix.clone();
        let broker = queues(&prefix);
        let config = config(github, python, &prefix);
        let producer = Process::start("sluice-producer", &["serve"], github, &config);
        let workers: Vec<Process> =
            (0..workers).map(|_| Process::start("sluice-worker", &[], github, &config)).collect();
        let mut started = Self { producer, workers, _corner: corner, _broker: broker };
        started.producer.until_ready().await;
        for worker in &mut started.workers {
            worker.until_ready().await;
        }
        started
    }

    /// Where each of them answers, the producer first.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let all = std::iter::once(&self.producer).chain(&self.workers);
        all.map(|process| ([127, 0, 0, 1], process.port).into()).collect()
    }

    /// Where webhooks go.
    pub(crate) fn webhooks(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/github", self.producer.port)
    }

    /// What they are signed with.
    pub(crate) fn secret(&self) -> &'static str {
        SECRET
    }

    /// The last lines that each process wrote.
    pub(crate) fn logs(&self) -> String {
        let all = std::iter::once(&self.producer).chain(&self.workers);
        all.map(|process| format!("---\n{}\n", process.program.log())).collect()
    }

    /// How many deploys each worker has brought to their end, as its metrics say.
    pub(crate) async fn deployed(&self) -> Vec<u64> {
        let mut deployed = Vec::new();
        for worker in &self.workers {
            let name = "sluice_deploys_total{outcome=\"deployed\",project=\"warehouse\"}";
            deployed.push(worker.metric(name).await.unwrap_or_default());
        }
        deployed
    }

    /// Tells all of them to stop, and waits until they have.
    pub(crate) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || {
            let Self { producer, workers, _corner, _broker } = self;
            for process in std::iter::once(&producer).chain(&workers) {
                process.program.terminate().unwrap();
            }
            drop((producer, workers));
        });
        ended.await.unwrap();
    }
}

impl Process {
    pub(crate) fn start(binary: &str, verb: &[&str], github: &Standin, config: &str) -> Self {
        let folder = Folder::new(binary).unwrap();
        let file = folder.path().join("sluice.toml");
        std::fs::write(&file, config).unwrap();
        let port = free_port().unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut command = command(binary, verb, github, &file);
        command.env("SLUICE_PRODUCER__LISTEN", &address);
        command.env("SLUICE_WORKER__METRICS_LISTEN", &address);
        let program = Guarded::start_in(&command, &folder, EndsOn::Terminate).unwrap();
        Self { program, port, _folder: folder }
    }

    pub(crate) async fn until_ready(&mut self) {
        self.until("it is ready", async |process| {
            let (status, _) = get(process.port, "/readyz").await?;
            (status == 200).then_some(())
        })
        .await;
    }

    /// Waits until it answers so to the question whether it is ready.
    pub(crate) async fn until_it_says(&mut self, status: u16, words: &str) {
        self.until(words, async |process| {
            let (said, text) = get(process.port, "/readyz").await?;
            (said == status && text.starts_with(words)).then_some(())
        })
        .await;
    }

    /// Waits until its log says so.
    pub(crate) async fn until_it_logs(&mut self, words: &str) {
        self.until(words, async |process| process.program.log().contains(words).then_some(()))
            .await;
    }

    /// The value of a metric, once it has one.
    pub(crate) async fn metric(&self, name: &str) -> Option<u64> {
        let (_, text) = get(self.port, "/metrics").await?;
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    }

    /// Waits until a metric is at least 1.
    pub(crate) async fn until_counted(&mut self, name: &str) {
        self.until(name, async |process| process.metric(name).await.filter(|value| *value > 0))
            .await;
    }

    /// Waits until one of its jobs waits for Python.
    pub(crate) async fn until_in_a_stage(&mut self) {
        self.until("a job is in hand", async |process| {
            let (_, text) = get(process.port, "/metrics").await?;
            let waits = ["policy", "load"].map(|stage| {
                let line = format!("sluice_stage_in_flight{{stage=\"{stage}\"}} 1");
                text.lines().any(|said| said == line)
            });
            waits.contains(&true).then_some(())
        })
        .await;
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.program.terminate().unwrap();
    }

    /// Waits until it has ended, and says with which code.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        let ended = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            loop {
                ticks.tick().await;
                if let Some(ended) = self.program.ended().unwrap() {
                    println!("{}", self.program.log());
                    return ended.code();
                }
            }
        };
        let ended = tokio::time::timeout(READY_WITHIN, ended).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.program.log()))
    }

    /// Looks until there is something to see, or it ends.
    async fn until<T>(&mut self, what: &str, look: impl AsyncFn(&Self) -> Option<T>) -> T {
        let seen = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                let ended = self.program.ended().unwrap();
                assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.program.log());
                if let Some(seen) = look(self).await {
                    return seen;
                }
            }
        };
        let seen = tokio::time::timeout(READY_WITHIN, seen).await;
        seen.unwrap_or_else(|_| panic!("not seen: {what}\n{}", self.program.log()))
    }
}

/// One of our programs with its arguments, on a configuration.
fn command(binary: &str, verb: &[&str], github: &Standin, file: &Path) -> Command {
    let mut command = Command::new(binaries().join(binary));
    command.args(verb).arg("--config").arg(file);
    command.env("SLUICE_WEBHOOK_SECRET", SECRET).env("GITHUB_TOKEN", github.token());
    command.env_remove("RUST_LOG");
    command
}

/// What somebody at a terminal runs beside the processes.
pub(crate) struct Desk<'a> {
    pub(crate) github: &'a Standin,
    pub(crate) config: &'a str,
}

impl Desk<'_> {
    /// How a command ends and what it says.
    pub(crate) async fn runs(&self, binary: &str, verb: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sluice.toml");
        std::fs::write(&file, self.config).unwrap();
        let mut command = command(binary, verb, self.github, &file);
        command.stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What `sluice` says to programs, having succeeded.
    pub(crate) async fn sluice(&self, verb: &[&str]) -> Value {
        let verb: Vec<&str> = verb.iter().copied().chain(["--json"]).collect();
        let output = self.runs("sluice", &verb).await;
        assert!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Looks at `sluice status` until there is something to see.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let seen = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Some(seen) = look(&self.sluice(&["status"]).await) {
                    return seen;
                }
            }
        };
        let seen = tokio::time::timeout(READY_WITHIN, seen).await;
        seen.unwrap_or_else(|_| panic!("`sluice status` does not show it: {what}"))
    }
}

/// The queues that processes with this prefix make; they go with it.
pub(crate) fn queues(prefix: &str) -> Broker {
    let projects = vec![ProjectName::new("warehouse").unwrap()];
    let url = Secret::new(broker::url());
    let settings = AmqpSettings::new(url, projects, RetryPolicy::default());
    Broker::with(AmqpSettings { prefix: prefix.to_owned(), ..settings })
}

/// The folder of our programs: `cargo xtask test` builds them and says where; else they lie beside
/// the tests, if somebody built them.
pub(crate) fn binaries() -> PathBuf {
    if let Some(folder) = std::env::var_os("SLUICE_TEST_BINARIES") {
        return folder.into();
    }
    let tests = std::env::current_exe().unwrap();
    let folder = tests.ancestors().nth(2).unwrap().to_owned();
    let is_there = folder.join("sluice-worker").exists();
    assert!(is_there, "build them first: `cargo build --workspace --bins`");
    folder
}

/// A configuration for the tests' own stores.
pub(crate) fn config(github: &Standin, python: &Path, prefix: &str) -> String {
    config_of(github, python, (prefix, &redis::url()))
}

/// The same for another Redis.
pub(crate) fn config_of(github: &Standin, python: &Path, (prefix, redis): (&str, &str)) -> String {
    let (url, python) = (github.url(), python.display());
    format!(
        "[github]\napi_url = \"{url}\"\ngit_url = \"{url}/{{repository}}.git\"\n\
         [queue]\nurl = \"{}\"\nprefix = \"{prefix}\"\n\
         [lease]\nurl = \"{redis}\"\nkey_prefix = \"{prefix}\"\n\
         [worker]\ngate_slots = 2\ndeploy_slots = 1\ndata_dir = \"data\"\n\
         [[project]]\nname = \"warehouse\"\nrepository = \"acme/warehouse\"\npath = \"\"\n\
         python = \"{python}\"\nmax_sessions = 4\n",
        broker::url(),
    )
}

/// What a process answers; `None` when it does not.
async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
