//! The operator's verbs: what is going on, and what to do about it.
//!
//! Owns how a verb reaches the stores, and how it answers: in words, or in JSON of a shape that
//! docs/operations.md writes down. Refuses to decide anything about jobs.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use sluice::clock::{Clock, SystemClock, unix_ms};
use sluice::config::{Config, LeaseStore, LogFormat, QueueStore, process_variables};
use sluice::names::ProjectName;
use sluice::redact::Redactor;
use sluice_service::Stores;
use sluice_service::redis::Action;

pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod pause;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod unlock;

/// What every verb may be told.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration of the cluster.
    #[arg(long, default_value = "sluice.toml")]
    pub(crate) config: PathBuf,
    /// Answer in JSON, for programs.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A store that a verb cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Queue,
    Leases,
    Both,
}

/// The cluster, as a verb reaches it.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
    redactor: Redactor,
    json: bool,
}

/// What a verb of an operator says when everything is in one process.
const IN_MEMORY: &str = "in the memory of the `sluice up` process, which no other process can look \
                         into; its /metrics says what waits, and its log what runs. Verbs work on \
                         a RabbitMQ and a Redis";

impl Cluster {
    /// The stores of the cluster; no secret is needed but what their addresses hold.
    pub(crate) fn reach(common: &Common, wanted: Wanted) -> anyhow::Result<Self> {
        sluice_service::log("warn", LogFormat::Text);
        let config = Config::load(Some(&common.config), &process_variables(), &[])?;
        let queue = config.queue.url == QueueStore::Memory && wanted != Wanted::Leases;
        let leases = config.lease.url == LeaseStore::Memory && wanted != Wanted::Queue;
        let what = match (queue, leases) {
            (false, false) => None,
            (true, true) => Some("the queue (queue.url) and the leases (lease.url) are"),
            (true, false) => Some("the queue (queue.url) is"),
            (false, true) => Some("the leases (lease.url) are"),
        };
        if let Some(what) = what {
            anyhow::bail!("{what} {IN_MEMORY}");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stores = Stores::connect(&config, &sluice_service::host("sluice"), &clock)?;
        let redactor = config.redactor(&process_variables());
        sluice_service::redact(redactor.clone());
        Ok(Self { config, stores, clock, redactor, json: common.json })
    }

    /// A project of the configuration.
    pub(crate) fn project(&self, name: &str) -> anyhow::Result<ProjectName> {
        let names = || self.config.projects.iter().map(|project| &project.name);
        names().find(|known| known.as_str() == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = names().map(|known| known.as_str()).collect();
            anyhow::anyhow!("project {name:?} is not configured; there are: {}", known.join(", "))
        })
    }

    /// What a store says of its trouble, without secrets.
    pub(crate) fn said(&self, error: &dyn std::fmt::Display) -> String {
        self.redactor.redact(&error.to_string()).into_owned()
    }

    /// Writes down what the operator did, once it is done. That it could not be is no failure of
    /// what was done.
    pub(crate) async fn note(&self, what: String, reason: Option<&str>) {
        let Some(redis) = &self.stores.redis else { return };
        let action = Action {
            at_ms: unix_ms(self.clock.now()),
            by: sluice_service::operator(),
            what: self.redactor.redact(&what).into_owned(),
            reason: reason.map(|reason| self.redactor.redact(reason).into_owned()),
        };
        if let Err(error) = redis.actions().note(&action).await {
            anstream::eprintln!("done, but not written down for others: {}", self.said(&error));
        }
    }

    /// Prints the answer, in words or as JSON.
    pub(crate) fn answer(&self, words: &str, json: &Value) {
        answer(self.json, words, json);
    }
}

/// Prints an answer, in words or as JSON, without secrets: what others wrote into a store may be
/// from before a secret was known.
pub(crate) fn answer(as_json: bool, words: &str, json: &Value) {
    let text = if as_json { format!("{json:#}") } else { words.trim_end().to_owned() };
    anstream::println!("{}", sluice_service::redacted(&text));
}
