//! The `Leases` port: who may change an environment, and with which epoch.
//!
//! Owns the contract of DESIGN "Exclusion". A lease is held on keys (an environment, the snapshot
//! versions that a plan builds), all or none, by a nonce, until it is released or its time is up.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::names::{Environment, JobId, PrNumber, ProjectName, Sha};

pub mod hold;
pub mod memory;
mod timings;
mod wish;

pub use timings::{BadTimings, Timings};
pub use wish::{Wait, Wish};

/// Who may change what.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes all keys or none, and says which epoch they are held with: higher than any that any
    /// of them was ever held with. A key named twice counts once; no key at all is granted.
    ///
    /// A key that is reserved is given to jobs of the same pull request only (a newer head of it is
    /// another job, and the one that can finish); a key that is held is given to nobody else, not
    /// even to a second copy of the same job. Repeating a request with the same nonce,
    /// while it is held, answers with the same grant and prolongs it: what a caller does whose
    /// first request got no answer.
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError>;

    /// Prolongs a grant by its TTL from now, and notes the phase and how its holder means to give
    /// it back. [`LeaseError::Lost`] when any of its keys is held with another nonce or epoch, or
    /// by nobody; then no key is prolonged.
    ///
    /// What was noted last counts when nobody renews or releases any more (before the first renewal
    /// it is the grant's own [`give_back`](Grant::give_back)): a lease whose holder was lost while
    /// it meant [`Release::Reserve`] is reserved for its pull request after the lock-delay, and not
    /// free. The lost grant can then do nothing about it. So does the head that goes with it,
    /// [`kept_for`](Grant::kept_for): whoever has it reserved for another says so with a grant that
    /// names that one.
    async fn renew(&self, grant: &Grant, phase: &str, give_back: Release)
    -> Result<(), LeaseError>;

    /// Gives all keys of the grant back and wakes those who wait. Clean: no lock-delay. Giving back
    /// what is lost is [`LeaseError::Lost`] and changes nothing. What the same grant has reserved
    /// can be reserved again (nothing changes) and freed. What is reserved remembers the grant's
    /// [`kept_for`](Grant::kept_for).
    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError>;

    /// Everything that is not free in a project, in the order of the keys. What will be reserved
    /// after its lock-delay is reserved already.
    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError>;

    /// Returns when one of the keys may have become free, at the latest after `at_most`; at once
    /// when all of them are free already, so that a release between [`acquire`](Self::acquire) and
    /// this call is not missed. May return early: the caller asks again.
    async fn changed(&self, keys: &[LeaseKey], at_most: Duration);

    /// Takes a key from whoever has it, for an operator who knows better: what was there, or `None`
    /// when it was free. Its epoch rises first, so that whoever held it can neither renew nor
    /// release, and stops. A key that was held then rests until the grant and its lock-delay would
    /// have been over, since a holder that is cut off from the store learns nothing and believes in
    /// its lease for as long. One that was reserved is free at once, and one that rests already
    /// does so to the end. In every case the reservation is forgotten.
    async fn revoke(&self, key: &LeaseKey) -> Result<Option<LeaseInfo>, LeaseError>;

    /// Whether leases can be had now, for readiness. Answers within seconds.
    async fn check(&self) -> Result<(), LeaseError>;
}

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseKey {
    /// An environment of a project.
    Environment(ProjectName, Environment),
    /// A snapshot version of a project, as `name@version`.
    Snapshot(ProjectName, String),
    /// The right to show something on a pull request, for a moment: who creates check runs and the
    /// comment must not be two.
    PullRequest(ProjectName, PrNumber),
    /// The look at all open pull requests of a project: one sweeper at a time, and one sweep within
    /// the time that it stands for. It protects nothing.
    Sweep(ProjectName),
}

impl LeaseKey {
    /// The project it belongs to.
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::Environment(project, _)
            | Self::Snapshot(project, _)
            | Self::PullRequest(project, _)
            | Self::Sweep(project) => project,
        }
    }
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(project, name) => write!(f, "{project}/{name}"),
            Self::Snapshot(project, version) => write!(f, "{project}/snapshot/{version}"),
            Self::PullRequest(project, number) => write!(f, "{project}/pr/{number}"),
            Self::Sweep(project) => write!(f, "{project}/sweep"),
        }
    }
}

/// A wish for a set of leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// What is wanted, all or none.
    pub keys: Vec<LeaseKey>,
    /// Who wants it.
    pub owner: Owner,
    /// How long it stands without a renewal.
    pub ttl: Duration,
    /// How long nobody gets it after it stood until its time was up.
    pub lock_delay: Duration,
}

/// Who holds a lease, for the machine (nonce) and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Unguessable, new for each attempt to hold.
    pub nonce: String,
    /// The job.
    pub job: JobId,
    /// Host and process.
    pub host: String,
    /// The pull request; a reservation is only for it.
    pub pr: PrNumber,
    /// Its head, when the job is about one.
    pub head: Option<Sha>,
}

/// Leases that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is held.
    pub keys: Vec<LeaseKey>,
    /// By whom.
    pub owner: Owner,
    /// The fencing token.
    pub epoch: u64,
    /// How long it stands without a renewal.
    pub ttl: Duration,
    /// How it goes back unless its holder decides otherwise, also when that one is lost: what was
    /// reserved stays reserved.
    pub give_back: Release,
    /// The head that it is kept for whenever it is reserved: the one that it was reserved for when
    /// it was taken, else the owner's.
    pub kept_for: Option<Sha>,
}

/// How a lease is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Anybody may have it.
    Free,
    /// Only the same pull request may have it, until it frees it: applied, not merged.
    Reserve,
}

/// One lease, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// What is held.
    pub key: LeaseKey,
    /// Held, reserved, or at rest.
    pub standing: Standing,
    /// What it becomes when its holder is lost now.
    pub give_back: Release,
    /// The head that it is then kept for; whose it is may be a newer one of the pull request.
    pub kept_for: Option<Sha>,
    /// By whom; who was lost, when it rests.
    pub owner: Owner,
    /// With which epoch.
    pub epoch: u64,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it was renewed last, in milliseconds since 1970.
    pub renewed_ms: u64,
    /// What its holder is doing.
    pub phase: String,
}

/// Why a lease is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A worker renews it.
    Held,
    /// Nobody works; the pull request that reserved it comes back.
    Reserved,
    /// Its holder was lost, or it was taken away: nobody gets it before it is free.
    Resting {
        /// How long that takes still.
        left: Duration,
    },
}

/// Why there is no lease, by what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// One of the keys cannot be had now: wait for a change.
    #[error("{key} {obstacle}")]
    Busy {
        /// The first key that cannot be had.
        key: LeaseKey,
        /// What is in the way.
        obstacle: Obstacle,
    },
    /// It is not ours any more: stop what it protected.
    #[error("the lease on {0} is lost")]
    Lost(LeaseKey),
    /// Nobody can say: start nothing new.
    #[error("the lease store is not available: {0}")]
    Unavailable(String),
}

/// What is in the way of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody works under it.
    Held {
        /// Who.
        owner: Box<Owner>,
        /// The longest that it can stay so without a renewal, the lock-delay included.
        at_most: Duration,
    },
    /// It is kept for a pull request that comes back. Waiting may be in vain: where jobs are handed
    /// out one at a time, its job may stand in line behind the one that waits.
    Reserved {
        /// For whom.
        owner: Box<Owner>,
    },
    /// Its last holder was lost and may still be at work.
    LockDelay {
        /// How long it rests still.
        left: Duration,
    },
}

impl Obstacle {
    /// Who is in the way, when it is somebody.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Held { owner, .. } | Self::Reserved { owner } => Some(owner),
            Self::LockDelay { .. } => None,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { owner, .. } => write!(f, "is held by PR #{}", owner.pr),
            Self::Reserved { owner } => {
                write!(f, "is reserved for PR #{}, which is applied but not merged", owner.pr)
            }
            Self::LockDelay { left } => {
                write!(f, "rests for {} s after its holder was lost", left.as_secs().max(1))
            }
        }
    }
}
