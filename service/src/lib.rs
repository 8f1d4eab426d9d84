//! What every long-running process of sluice has: stores, listening, health, logs, signals, an end.
//!
//! Owns what the roles would otherwise each do their own way. Refuses to know what a role is for.

mod deliveries;
mod health;
mod listen;
mod logs;
mod shutdown;
mod start;
mod stores;

pub use deliveries::RecentDeliveries;
pub use health::{Health, Needs};
pub use listen::{Bound, Connections, ServeError};
pub use logs::{last_words, log, redact, redacted};
pub use shutdown::{Shutdown, told_to_stop};
pub use start::{Ended, Start, exit, host, operator};
pub use stores::{Stores, Told};

/// Redis itself, for what only people ask.
pub mod redis {
    pub use sluice_store::{
        Action, CheckShown, Condition, Followed, Journal, RunningJob, Shown, StageTime, Store,
        StoreError, WaitingJob, Worker,
    };
}
