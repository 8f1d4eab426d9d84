//! What happened lately, remembered to save work. The truth is never here: everything can be
//! rebuilt from GitHub, the queue and SQLMesh's own state.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::names::{DeliveryId, PrNumber, ProjectName};
use crate::queue::Route;

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

    /// A worker begins to run a message, or asks once more. Says how many other runs of that
    /// message ([`Delivery::message`](crate::queue::Delivery::message)) began and were not heard of
    /// again: each of them took its process along, or that is slow to say that it lives. `None`
    /// when nobody knows.
    async fn begin(&self, message: &str, run: &str) -> Option<u32>;
    /// The run has ended, or lost its message to somebody else: its process lives.
    async fn end(&self, message: &str, run: &str);
    /// When the oldest job that waits on a route was published first, in milliseconds since 1970;
    /// `None` when none waits or nobody knows.
    async fn oldest(&self, route: &Route) -> Option<u64>;
}

/// Remembers webhook deliveries whose jobs were stored: marked on *processed*, not on *seen*,
/// because a redelivery after a failure carries the same id.
#[async_trait]
pub trait Processed: Send + Sync {
    /// Whether the delivery was marked. One that cannot tell says no.
    async fn contains(&self, delivery: &DeliveryId) -> bool;
    /// Notes that all jobs of these deliveries are stored.
    async fn mark(&self, deliveries: &[DeliveryId]);
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

    async fn begin(&self, _message: &str, _run: &str) -> Option<u32> {
        // What a process of its own remembers of runs ends with them.
        Some(0)
    }

    async fn end(&self, _message: &str, _run: &str) {}

    async fn oldest(&self, _route: &Route) -> Option<u64> {
        None
    }
}
