//! What happened lately, remembered to save work. The truth is never here: everything can be
//! rebuilt from GitHub, the queue and SQLMesh's own state.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::names::{PrNumber, ProjectName};

/// Remembers for speed. Forgetting is always allowed; remembering what did not happen never is.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// A deploy is about to merge the pull request and removes its environment itself, also when it
    /// has to be taken up again after a crash.
    async fn undertake_cleanup(&self, project: &ProjectName, pr: PrNumber);
    /// The deploy could not merge it: whoever closes it cleans up.
    async fn withdraw_cleanup(&self, project: &ProjectName, pr: PrNumber);
    /// Whether a deploy has undertaken it.
    async fn is_cleanup_undertaken(&self, project: &ProjectName, pr: PrNumber) -> bool;
}

/// How many pull requests the memory of one process goes back.
const REMEMBERED: usize = 10_000;

/// A ledger of one process.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    undertaken: Mutex<VecDeque<(ProjectName, PrNumber)>>,
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn undertake_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let mut undertaken = self.undertaken.lock().unwrap_or_else(PoisonError::into_inner);
        undertaken.retain(|(p, n)| p != project || *n != pr);
        if undertaken.len() >= REMEMBERED {
            undertaken.pop_front();
        }
        undertaken.push_back((project.clone(), pr));
    }

    async fn withdraw_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let mut undertaken = self.undertaken.lock().unwrap_or_else(PoisonError::into_inner);
        undertaken.retain(|(p, n)| p != project || *n != pr);
    }

    async fn is_cleanup_undertaken(&self, project: &ProjectName, pr: PrNumber) -> bool {
        let undertaken = self.undertaken.lock().unwrap_or_else(PoisonError::into_inner);
        undertaken.iter().rev().any(|(p, n)| p == project && *n == pr)
    }
}
