//! The journal: what waits, what runs, what has ended, and who works, for people.
//!
//! Owns what is shown of it. It is written from events, some of which may be late or lost, and
//! everything in it is forgotten by itself. One thing goes by it: how long the oldest job of a
//! queue waits, by which a look tells a check that is worked on from one that was left. An entry
//! that is wrong makes that mend late, or once too often.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_redis::redis::{self, FromRedisValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sluice::names::{JobId, PrNumber, ProjectName, Sha};
use sluice::queue::Route;

use crate::link::Trouble;
use crate::{Shared, StoreError};

mod book;
pub(crate) mod scribe;
pub(crate) mod trail;
mod write;

/// How many ended deploys of a project are kept.
pub(crate) const RECENT: isize = 200;

/// How many jobs that wait on one route are kept.
pub(crate) const MOST_WAITING: isize = 10_000;

/// A job that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingJob {
    /// Which.
    pub job: JobId,
    /// Its kind's label.
    pub kind: String,
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request concerned.
    pub pr: PrNumber,
    /// The head it is about, when its id says so.
    pub head: Option<Sha>,
    /// When it was published first, in milliseconds since 1970.
    pub since_ms: u64,
}

/// A job that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningJob {
    /// Which.
    pub job: JobId,
    /// Its kind's label.
    pub kind: String,
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request concerned.
    pub pr: PrNumber,
    /// The head it is about, when its id says so.
    pub head: Option<Sha>,
    /// The worker: host and process.
    pub host: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// The stage that it is in; `None` between two.
    pub stage: Option<String>,
    /// Since when it is there, in milliseconds since 1970.
    pub stage_since_ms: u64,
}

/// A deploy that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedDeploy {
    /// Which.
    pub job: JobId,
    /// Its pull request.
    pub pr: PrNumber,
    /// The head, when its id says so.
    pub head: Option<Sha>,
    /// The worker: host and process.
    pub host: String,
    /// The outcome's label.
    pub outcome: String,
    /// From the signal to prod, in milliseconds; `None` when it did not get there.
    pub lead_ms: Option<u64>,
    /// When it was begun, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// Its stages, in order.
    pub stages: Vec<StageTime>,
}

/// A stage that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTime {
    /// The stage's label.
    pub stage: String,
    /// The outcome's label.
    pub outcome: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A worker process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Host and process, as leases name it.
    pub host: String,
    /// Since when it works, in milliseconds since 1970.
    pub since_ms: u64,
    /// How many full gate checks it runs at once.
    pub gate_slots: u16,
    /// How many deploys it runs at once.
    pub deploy_slots: u16,
}

/// Reads the journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

impl Journal {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What waits on a route, the oldest first: at most the first `most`.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn waiting(&self, route: &Route, most: u16) -> Result<Vec<WaitingJob>, StoreError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.shared.keys.waiting(route)).arg(0).arg(most).arg("WITHSCORES");
        let jobs: Vec<(String, u64)> = self.ask(command).await?;
        let jobs = jobs.into_iter().take(usize::from(most)).map(|(member, since_ms)| {
            let (job, kind, project, pr): (JobId, _, _, _) = read(&member)?;
            Ok(WaitingJob { head: head(&job), job, kind, project, pr, since_ms })
        });
        jobs.collect()
    }

    /// What runs, the longest first.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn running(&self) -> Result<Vec<RunningJob>, StoreError> {
        let mut all = Vec::new();
        for (worker, _) in self.alive().await? {
            let mut command = redis::cmd("HVALS");
            command.arg(self.shared.keys.running(&worker));
            let jobs: Vec<String> = self.ask(command).await?;
            for job in jobs {
                all.push(read::<RunningJob>(&job)?);
            }
        }
        all.sort_by(|a, b| (a.since_ms, &a.job).cmp(&(b.since_ms, &b.job)));
        Ok(all)
    }

    /// The last deploys of a project, the newest first: 200 at most.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn recent(&self, project: &ProjectName) -> Result<Vec<EndedDeploy>, StoreError> {
        let mut command = redis::cmd("LRANGE");
        command.arg(self.shared.keys.recent(project)).arg(0).arg(RECENT - 1);
        let deploys: Vec<String> = self.ask(command).await?;
        let mut deploys: Vec<EndedDeploy> =
            deploys.iter().map(|text| read(text)).collect::<Result<_, _>>()?;
        // What was written again because nobody heard of the first time.
        deploys.dedup();
        Ok(deploys)
    }

    /// The workers that live, or did half a minute ago, by host.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn workers(&self) -> Result<Vec<Worker>, StoreError> {
        let mut workers: Vec<_> = self.alive().await?.into_values().collect();
        workers.sort_by(|a, b| (&a.host, a.since_ms).cmp(&(&b.host, b.since_ms)));
        Ok(workers)
    }

    /// The workers that live; those that do not are forgotten.
    pub(crate) async fn alive(&self) -> Result<HashMap<String, Worker>, StoreError> {
        let keys = &self.shared.keys;
        let mut command = redis::cmd("SMEMBERS");
        command.arg(keys.workers());
        let known: Vec<String> = self.ask(command).await?;
        let mut alive = HashMap::new();
        for id in known {
            let mut command = redis::cmd("GET");
            command.arg(keys.worker(&id));
            if let Some(text) = self.ask::<Option<String>>(command).await? {
                alive.insert(id, read(&text)?);
            } else {
                let mut command = redis::cmd("SREM");
                command.arg(keys.workers()).arg(&id);
                self.ask::<()>(command).await?;
            }
        }
        Ok(alive)
    }

    async fn ask<T: FromRedisValue>(&self, command: redis::Cmd) -> Result<T, StoreError> {
        let call = async |connection: &mut _| command.query_async(connection).await;
        Ok(self.shared.link.call(call).await?)
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    let unreadable = |error: serde_json::Error| Trouble::Unreadable(error.to_string());
    Ok(serde_json::from_str(text).map_err(unreadable)?)
}

/// The head that a job is about: ids of deploys and full gate checks end with it.
pub(crate) fn head(job: &JobId) -> Option<Sha> {
    Sha::new(job.as_str().rsplit(':').next()?).ok()
}
