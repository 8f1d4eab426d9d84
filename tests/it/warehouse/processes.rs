//! The real processes: a producer and some workers, started as an operator does, on the tests'
//! broker and store, with queues and keys of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
pub(super) struct Processes {
    producer: Process,
    workers: Vec<Process>,
    /// What was made in the store and on the broker goes last.
    _corner: Corner,
    _broker: Broker,
}

struct Process {
    program: Guarded,
    port: u16,
    _folder: Folder,
}

impl Processes {
    /// Starts them, and waits until each of them is ready.
    pub(super) async fn start(github: &Standin, python: &Path, workers: usize) -> Self {
        let corner = Corner::new();
        // A corner that nobody knew looks like a store that has lost its data, and is frozen.
        drop(corner.store().await);
        let prefix = corner.settings.key_prefix.clone();
        let projects = vec![ProjectName::new("warehouse").unwrap()];
        let url = Secret::new(broker::url());
        let settings = AmqpSettings::new(url, projects, RetryPolicy::default());
        let broker = Broker::with(AmqpSettings { prefix: prefix.clone(), ..settings });
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

    /// Where webhooks go.
    pub(super) fn webhooks(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/github", self.producer.port)
    }

    /// What they are signed with.
    pub(super) fn secret(&self) -> &'static str {
        SECRET
    }

    /// The last lines that each process wrote.
    pub(super) fn logs(&self) -> String {
        let all = std::iter::once(&self.producer).chain(&self.workers);
        all.map(|process| format!("---\n{}\n", process.program.log())).collect()
    }

    /// How many deploys each worker has brought to their end, as its metrics say.
    pub(super) async fn deployed(&self) -> Vec<u64> {
        let mut deployed = Vec::new();
        for worker in &self.workers {
            let (_, text) = get(worker.port, "/metrics").await.unwrap();
            let name = "sluice_deploys_total{outcome=\"deployed\",project=\"warehouse\"}";
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            deployed.push(value.map_or(0, |value| value.trim().parse().unwrap()));
        }
        deployed
    }

    /// Tells all of them to stop, and waits until they have.
    pub(super) async fn end(self) {
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
    fn start(binary: &str, verb: &[&str], github: &Standin, config: &str) -> Self {
        let folder = Folder::new(binary).unwrap();
        let file = folder.path().join("sluice.toml");
        std::fs::write(&file, config).unwrap();
        let port = free_port().unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(binaries().join(binary));
        command.args(verb).arg("--config").arg(file);
        command.env("SLUICE_WEBHOOK_SECRET", SECRET).env("GITHUB_TOKEN", github.token());
        command.env("SLUICE_PRODUCER__LISTEN", &address);
        command.env("SLUICE_WORKER__METRICS_LISTEN", &address);
        let program = Guarded::start_in(&command, &folder, EndsOn::Terminate).unwrap();
        Self { program, port, _folder: folder }
    }

    async fn until_ready(&mut self) {
        let ready = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                let ended = self.program.ended().unwrap();
                assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.program.log());
                if get(self.port, "/readyz").await.is_some_and(|(status, _)| status == 200) {
                    return;
                }
            }
        };
        let ready = tokio::time::timeout(READY_WITHIN, ready).await;
        assert!(ready.is_ok(), "it is not ready:\n{}", self.program.log());
    }
}

/// The folder of our programs: `cargo xtask test` builds them and says where; else they lie beside
/// the tests, if somebody built them.
fn binaries() -> PathBuf {
    if let Some(folder) = std::env::var_os("SLUICE_TEST_BINARIES") {
        return folder.into();
    }
    let tests = std::env::current_exe().unwrap();
    let folder = tests.ancestors().nth(2).unwrap().to_owned();
    let is_there = folder.join("sluice-worker").exists();
    assert!(is_there, "build them first: `cargo build -p sluice-producer -p sluice-worker`");
    folder
}

fn config(github: &Standin, python: &Path, prefix: &str) -> String {
    let (url, python) = (github.url(), python.display());
    format!(
        "[github]\napi_url = \"{url}\"\ngit_url = \"{url}/{{repository}}.git\"\n\
         [queue]\nurl = \"{}\"\nprefix = \"{prefix}\"\n\
         [lease]\nurl = \"{}\"\nkey_prefix = \"{prefix}\"\n\
         [worker]\ngate_slots = 2\ndeploy_slots = 1\ndata_dir = \"data\"\n\
         [[project]]\nname = \"warehouse\"\nrepository = \"acme/warehouse\"\npath = \"\"\n\
         python = \"{python}\"\nmax_sessions = 4\n",
        broker::url(),
        redis::url(),
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
