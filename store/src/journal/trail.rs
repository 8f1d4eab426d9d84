//! The trail of an event: what becomes of the jobs that follow from it, and what the checks of the
//! head say that they are about. For those who wait for its end.
//!
//! Owns what is read of it. Kept for a day, and only as good as the journal: an entry that is lost
//! makes somebody wait for too long, never a job do something else.

use std::collections::BTreeMap;

use deadpool_redis::redis;
use serde::{Deserialize, Serialize};
use sluice::names::{PrNumber, ProjectName, Sha};

use super::{Journal, StageTime, read};
use crate::StoreError;

/// The field that holds what the pull request's environment is called.
pub(super) const ENVIRONMENT: &str = "environment";

/// Where a job stands that follows from an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Its kind's label.
    pub kind: String,
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request concerned.
    pub pr: PrNumber,
    /// The head that it speaks of; `None` while it does not, or when there is nothing to say.
    pub head: Option<Sha>,
    /// The stage that it is in.
    pub stage: Option<String>,
    /// The stages that have ended, in order: the first hundred.
    pub stages: Vec<StageTime>,
    /// The labels of the reasons for which it refused something.
    pub refused: Vec<String>,
    /// What a deploy came to, by its label.
    pub outcome: Option<String>,
    /// What was done with its message: `done` and `dead` are for good; `None` while it runs.
    pub settled: Option<String>,
    /// Why, without secrets: when it did not simply get done.
    pub why: Option<String>,
}

impl Followed {
    /// Whether it has come to its end.
    pub fn has_ended(&self) -> bool {
        matches!(self.settled.as_deref(), Some("done" | "dead"))
    }
}

/// What a check run says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckShown {
    /// Where it stands, or how it is concluded, in GitHub's words.
    pub status: String,
    /// Its title, without secrets.
    pub title: String,
}

impl CheckShown {
    /// Whether somebody is still to conclude it.
    pub fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "in_progress")
    }
}

/// What is shown on a head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Its checks, by their keys.
    pub checks: BTreeMap<String, CheckShown>,
    /// What the pull request's environment is called; `None` when nobody has said.
    pub environment: Option<String>,
    /// The head that the pull request was judged at last: another one than this has taken its
    /// place.
    pub newest: Option<Sha>,
    /// The event from which the pull request's environment was built first.
    pub built_by: Option<String>,
}

impl Journal {
    /// What has become of the jobs that follow from an event, by their ids. Those that nobody has
    /// begun are not among them.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn trail(&self, cause: &str) -> Result<BTreeMap<String, Followed>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.shared.keys.trail(cause));
        let jobs: BTreeMap<String, String> = self.ask(command).await?;
        jobs.into_iter().map(|(job, text)| Ok((job, read(&text)?))).collect()
    }

    /// What is shown on a head. To be asked after [`Journal::trail`]: what a job has shown is told
    /// before its end is.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn shown(
        &self,
        project: &ProjectName,
        pr: PrNumber,
        head: &Sha,
    ) -> Result<Shown, StoreError> {
        let keys = &self.shared.keys;
        let mut command = redis::cmd("HGETALL");
        command.arg(keys.checks(project, pr, head));
        let mut said: BTreeMap<String, String> = self.ask(command).await?;
        let environment = said.remove(ENVIRONMENT);
        let checks = said.into_iter().map(|(key, text)| Ok((key, read(&text)?)));
        let checks = checks.collect::<Result<_, StoreError>>()?;
        let of = async |key: String| -> Result<Option<String>, StoreError> {
            let mut command = redis::cmd("GET");
            command.arg(key);
            self.ask(command).await
        };
        let newest = of(keys.head(project, pr)).await?;
        let newest = newest.and_then(|newest| Sha::new(newest).ok());
        let built_by = of(keys.built(project, pr)).await?;
        Ok(Shown { checks, environment, newest, built_by })
    }
}
