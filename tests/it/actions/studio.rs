//! A repository whose workflows ask sluice: a GitHub that sends no webhooks, a worker on a broker
//! and a store as in real life, and steps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sluice::observe::Observers;
use sluice::pipeline::Deps;
use sluice_rig::free_port;
use sluice_service::{Ended, Shutdown};
use sluice_sim::{Receiver, Standin};
use sluice_store::{BEAT, Scribe, Store, Worker};
use sluice_worker::run::run;
use tokio::task::JoinHandle;

use crate::contracts::queue::broker::Broker;
use crate::redis::{self, Corner};
use crate::town::{SECRET, Setup, Town};
use crate::warehouse::processes::{binaries, config_of, queues};

/// Where steps run.
pub(super) struct Studio {
    pub(super) town: Town,
    pub(super) broker: Broker,
    pub(super) corner: Corner,
    pub(super) config: String,
    worker: Option<At>,
}

/// A worker at work.
struct At {
    running: JoinHandle<Ended>,
    shutdown: Shutdown,
    scribe: Arc<Scribe>,
}

/// A step that can be run.
pub(super) struct Step {
    pub(super) command: Command,
    folder: tempfile::TempDir,
}

/// What a step has come to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: Option<i32>,
    pub(super) said: String,
    pub(super) complaint: String,
    pub(super) outputs: BTreeMap<String, String>,
    pub(super) summary: String,
}

impl Studio {
    /// With a worker.
    pub(super) async fn open() -> Self {
        let mut studio = Self::without_a_worker().await;
        studio.hires().await;
        studio
    }

    pub(super) async fn without_a_worker() -> Self {
        let town = Town::of(Setup::default()).await;
        // Webhooks get lost: nobody but the steps asks for anything.
        let url = format!("http://127.0.0.1:{}/", free_port().unwrap());
        town.github.deliver_to(Receiver { url, secret: SECRET.to_owned() });
        let corner = Corner::new();
        drop(corner.store().await);
        let prefix = corner.settings.key_prefix.clone();
        let broker = queues(&prefix);
        let config = config_of(&town.github, "python".as_ref(), (&prefix, &redis::url()));
        Self { town, broker, corner, config, worker: None }
    }

    /// A worker on the same broker and store as the steps.
    pub(super) async fn hires(&mut self) {
        let store = Store::connect(&self.corner.settings).unwrap();
        let shown = Worker { host: "w".into(), since_ms: 1, gate_slots: 4, deploy_slots: 2 };
        let scribe = Arc::new(store.scribe(Some(shown), BEAT));
        let observers = vec![self.town.deps.observer.clone(), scribe.clone() as Arc<_>];
        let deps = Deps {
            queue: Arc::new(crate::contracts::queue::broker::connect(self.broker.settings.clone())),
            leases: Arc::new(store.leases()),
            ledger: Arc::new(store.ledger()),
            pauses: Arc::new(store.pauses()),
            observer: Arc::new(Observers::new(observers)),
            ..self.town.deps.clone()
        };
        let shutdown = Shutdown::default();
        let Setup { slots, graces, .. } = Setup::default();
        let running = tokio::spawn(run(deps, slots, graces, shutdown.clone()));
        self.worker = Some(At { running, shutdown, scribe });
    }

    /// A step of the workflow's run for the newest event of that name.
    pub(super) fn step(&self, event: &str, options: &[&str]) -> Step {
        let payload = newest(&self.town.github, event);
        let step = Step::new(&self.config, options);
        let file = step.folder.path().join("event.json");
        std::fs::write(&file, payload).unwrap();
        step.with("GITHUB_EVENT_NAME", event).with("GITHUB_EVENT_PATH", file.to_str().unwrap())
    }

    /// Runs a step that waits.
    pub(super) async fn waits(&self, event: &str) -> Done {
        self.step(event, &["--wait", "--timeout", "2min"]).runs().await
    }

    pub(super) async fn close(self) {
        if let Some(At { running, shutdown, scribe }) = self.worker {
            shutdown.drain.cancel();
            running.await.unwrap();
            scribe.close().await;
        }
    }
}

/// What GitHub says of the newest event of that name.
pub(super) fn newest(github: &Standin, event: &str) -> Vec<u8> {
    github.world(|world| {
        let mut all = world.deliveries().all().iter().rev();
        let found = all.find(|delivery| delivery.event == event);
        found.unwrap_or_else(|| panic!("no {event}")).body.to_vec()
    })
}

impl Step {
    /// With a configuration, and the variables that a runner sets, but for the event's.
    pub(super) fn new(config: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sluice.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(binaries().join("sluice-producer"));
        command.arg("actions").arg("--config").arg(file).args(options);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["GITHUB_", "SLUICE_", "RUST_LOG"].iter().any(|ours| name.starts_with(ours)) {
                command.env_remove(name);
            }
        }
        command.current_dir(folder.path()).stdin(Stdio::null());
        let step = Self { command, folder };
        let [output, summary] = [step.file("output"), step.file("summary")];
        step.with("GITHUB_ACTIONS", "true")
            .with("GITHUB_RUN_ID", "4711")
            .with("GITHUB_RUN_ATTEMPT", "1")
            .with("GITHUB_OUTPUT", output.to_str().unwrap())
            .with("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) async fn runs(mut self) -> Done {
        let run = move || {
            let output = self.command.output().unwrap();
            self.done(output)
        };
        let done = tokio::task::spawn_blocking(run).await.unwrap();
        println!("{done:#?}");
        done
    }

    pub(super) fn done(&self, output: std::process::Output) -> Done {
        let text = |name| std::fs::read_to_string(self.file(name)).unwrap_or_default();
        let said = |bytes| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code(),
            said: said(output.stdout),
            complaint: said(output.stderr),
            outputs: outputs(&text("output")),
            summary: text("summary"),
        }
    }
}

impl Done {
    /// An output, or nothing.
    pub(super) fn output(&self, key: &str) -> &str {
        self.outputs.get(key).map_or("", String::as_str)
    }
}

fn outputs(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
    text.lines().filter_map(line).collect()
}
