//! What happened lately, remembered to save work. The truth is never here: everything can be
//! rebuilt from GitHub, the queue and SQLMesh's own state.

use async_trait::async_trait;

use crate::names::{DeliveryId, PrNumber, ProjectName, Sha};
use crate::queue::Route;

mod lately;
mod memory;

pub use lately::{Lately, MOST_PUSHES, SeenHead};
pub use memory::MemoryLedger;

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

    /// An event of a pull request is heard of, which may name a head. It gets a number that is
    /// higher than those of all events of that pull request before it; the same one when its
    /// `message` comes again. `None` when nobody knows.
    async fn hear(
        &self,
        pull: (&ProjectName, PrNumber),
        message: &str,
        named: Option<&Sha>,
    ) -> Option<(u64, Lately)>;
    /// What was heard and seen of a pull request; `None` when nobody knows.
    async fn lately(&self, project: &ProjectName, pr: PrNumber) -> Option<Lately>;
    /// GitHub named this head. Whoever read it may be slow: a newer one may have been seen since.
    async fn see(&self, project: &ProjectName, pr: PrNumber, head: &Sha);
    /// A look has ended well, before which [`Lately::heard`] was `heard`: all events up to that one
    /// were looked at. To be noted before it reads anything.
    async fn looked(&self, project: &ProjectName, pr: PrNumber, heard: u64);
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
