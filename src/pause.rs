//! Pauses: an operator's "no deploys for now", for one project or all.
//!
//! Owns what a pause is. A paused project's deploys keep their places in the queue and nobody takes
//! one; what runs already runs to its end. Refuses to know who consumes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::names::ProjectName;

/// An operator's "no deploys for now".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Which project; `None`: all of them.
    pub project: Option<ProjectName>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who said so: account and host.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub since_ms: u64,
}

/// Nobody can say what is paused: go on with what was known last.
#[derive(Debug, thiserror::Error)]
#[error("the pauses cannot be read or written: {0}")]
pub struct PauseError(pub String);

/// What is paused.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// Pauses a project, or all; replaces a pause of the same.
    async fn pause(&self, pause: Pause) -> Result<(), PauseError>;
    /// Ends the pause of a project, or the one of all, and wakes those who wait; `false` when there
    /// was none. A pause of all and one of a project are two: both have to be ended.
    async fn resume(&self, project: Option<&ProjectName>) -> Result<bool, PauseError>;
    /// Every pause: the one of all first, then by project.
    async fn list(&self) -> Result<Vec<Pause>, PauseError>;
    /// Returns when a pause may have begun or ended, at the latest after `at_most`.
    async fn changed(&self, at_most: Duration);
}

/// Whether a project is paused by one of these.
pub fn is_paused(pauses: &[Pause], project: &ProjectName) -> bool {
    pauses.iter().any(|pause| pause.project.as_ref().is_none_or(|paused| paused == project))
}

/// The pauses of one process.
#[derive(Debug, Default)]
pub struct MemoryPauses {
    pauses: Mutex<Vec<Pause>>,
    changed: Notify,
}

impl MemoryPauses {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Pause>) -> T) -> T {
        let changed = change(&mut self.pauses.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        changed
    }
}

#[async_trait]
impl Pauses for MemoryPauses {
    async fn pause(&self, pause: Pause) -> Result<(), PauseError> {
        self.change(|pauses| {
            pauses.retain(|other| other.project != pause.project);
            pauses.push(pause);
            pauses.sort_by(|a, b| a.project.cmp(&b.project));
        });
        Ok(())
    }

    async fn resume(&self, project: Option<&ProjectName>) -> Result<bool, PauseError> {
        Ok(self.change(|pauses| {
            let before = pauses.len();
            pauses.retain(|pause| pause.project.as_ref() != project);
            pauses.len() < before
        }))
    }

    async fn list(&self) -> Result<Vec<Pause>, PauseError> {
        Ok(self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn changed(&self, at_most: Duration) {
        // Nothing is lost when it is late: the caller asks again.
        drop(tokio::time::timeout(at_most, self.changed.notified()).await);
    }
}
