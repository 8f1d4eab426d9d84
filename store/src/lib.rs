//! What sluice keeps in Redis: leases, the ledger, pauses, processed deliveries, and what operators
//! did.
//!
//! Owns the keys, the scripts and the connections. Refuses to decide anything: the truth can be
//! rebuilt without it.

mod actions;
mod condition;
mod journal;
mod keys;
mod lease;
mod ledger;
mod link;
mod pauses;
mod processed;
mod pulls;
mod script;
mod settings;
mod waiters;
mod wakeups;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

pub use actions::{Action, Actions};
pub use condition::Condition;
pub use journal::scribe::{BEAT, Scribe};
pub use journal::trail::{CheckShown, Followed, Shown};
pub use journal::{EndedDeploy, Journal, RunningJob, StageTime, WaitingJob, Worker};
pub use lease::RedisLeases;
pub use ledger::RedisLedger;
pub use pauses::RedisPauses;
pub use processed::RedisProcessed;
pub use settings::{BadSettings, Settings};

use keys::Keys;
use link::{Link, Trouble};
use waiters::Waiters;

/// Everything that sluice keeps in one Redis: a connection for calls, one for renewals and one for
/// the subscription, shared by all that it gives out.
///
/// Redis need not be there when it is made, and may go and come back: every call says so by itself.
/// The connections end when the store and all that it gave out are dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

/// What all adapters work with.
struct Shared {
    link: Link,
    keys: Keys,
    waiters: Arc<Waiters>,
    /// How long a holder that Redis has forgotten can still be at work.
    freeze: Duration,
    _subscription: DropGuard,
}

impl Store {
    /// A store at the address in `settings`. Must be called within a Tokio runtime, on which it
    /// keeps its subscription alive.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used. Whether Redis answers is for
    /// [`check`](sluice::lease::Leases::check) to say.
    pub fn connect(settings: &Settings) -> Result<Self, BadSettings> {
        let client = settings.client()?;
        let keys = Keys::new(&settings.key_prefix);
        let freeze = settings.timings.ttl() + settings.timings.lock_delay();
        let link = Link::new(&client, settings)?;
        let waiters = Arc::new(Waiters::default());
        let ended = CancellationToken::new();
        let listening =
            wakeups::listen(client, settings.answer_within(), keys.channel(), waiters.clone());
        tokio::spawn(ended.clone().run_until_cancelled_owned(listening));
        let _subscription = ended.drop_guard();
        Ok(Self { shared: Arc::new(Shared { link, keys, waiters, freeze, _subscription }) })
    }

    /// The leases.
    pub fn leases(&self) -> RedisLeases {
        RedisLeases::new(self.shared.clone())
    }

    /// The ledger.
    pub fn ledger(&self) -> RedisLedger {
        RedisLedger::new(self.shared.clone())
    }

    /// The deliveries that are done with.
    pub fn processed(&self) -> RedisProcessed {
        RedisProcessed::new(self.shared.clone())
    }

    /// The pauses.
    pub fn pauses(&self) -> RedisPauses {
        RedisPauses::new(self.shared.clone())
    }

    /// What operators did.
    pub fn actions(&self) -> Actions {
        Actions::new(self.shared.clone())
    }

    /// What the journal says.
    pub fn journal(&self) -> Journal {
        Journal::new(self.shared.clone())
    }

    /// A listener that writes the journal, and shows `worker` as alive for as long as it is not
    /// dropped or closed, anew every `beat` ([`BEAT`] but for tests). A process without jobs is no
    /// worker. Must be called within a Tokio runtime.
    pub fn scribe(&self, worker: Option<Worker>, beat: Duration) -> Scribe {
        Scribe::start(self.shared.clone(), worker, beat)
    }

    /// How long no lease is granted yet because this Redis has restarted, was emptied or was never
    /// seen before: TTL and lock-delay after it was first asked, so that whoever it has forgotten
    /// has stopped.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn frozen(&self) -> Result<Option<Duration>, StoreError> {
        Ok(lease::boot(&self.shared, "").await?)
    }

    /// Ends that time now, for an operator who knows that no worker runs: what was left of it.
    ///
    /// # Errors
    /// When Redis cannot be told.
    pub async fn thaw(&self) -> Result<Option<Duration>, StoreError> {
        let left = lease::boot(&self.shared, "thaw").await?;
        self.shared.waiters.wake_all();
        Ok(left)
    }
}

/// Redis is away, or answers what cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {0}")]
pub struct StoreError(#[from] Trouble);
