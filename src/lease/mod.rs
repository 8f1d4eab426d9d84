//! The `Leases` port: who may change an environment, and with which epoch.
//!
//! Owns the contract of DESIGN "Exclusion". A lease is held on keys (an environment, the snapshot
//! versions that a plan builds), all or none, by a nonce, until it is released or its time is up.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::names::{Environment, JobId, PrNumber, ProjectName, Sha};

pub mod memory;

/// Who may change what.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes all keys or none, and says which epoch they are held with: higher than any before.
    ///
    /// Repeating a request with the same nonce, while it is held, answers with the same grant.
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError>;

    /// Prolongs a grant by its TTL from now, and notes the phase. [`LeaseError::Lost`] when any of
    /// its keys is held with another nonce or epoch, or by nobody.
    async fn renew(&self, grant: &Grant, phase: &str) -> Result<(), LeaseError>;

    /// Gives all keys of the grant back and wakes those who wait. Clean: no lock-delay. Giving back
    /// what is lost is [`LeaseError::Lost`] and changes nothing.
    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError>;

    /// Everything that is held or reserved in a project.
    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError>;

    /// Returns when one of the keys may have become free, at the latest after `at_most`. May return
    /// early: the caller asks again.
    async fn changed(&self, keys: &[LeaseKey], at_most: Duration);
}

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseKey {
    /// An environment of a project.
    Environment(ProjectName, Environment),
    /// A snapshot version of a project, as `name@version`.
    Snapshot(ProjectName, String),
}

impl LeaseKey {
    /// The project it belongs to.
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::Environment(project, _) | Self::Snapshot(project, _) => project,
        }
    }
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(project, name) => write!(f, "{project}/{name}"),
            Self::Snapshot(project, version) => write!(f, "{project}/snapshot/{version}"),
        }
    }
}

/// A wish for a set of leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// What is wanted, all or none. Not empty.
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
    /// The job; a reservation is only for it.
    pub job: JobId,
    /// Host and process.
    pub host: String,
    /// The pull request.
    pub pr: PrNumber,
    /// Its head.
    pub head: Sha,
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
}

/// How a lease is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Anybody may have it.
    Free,
    /// Only the same job may have it, until it frees it: applied, not merged.
    Reserve,
}

/// One lease, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// What is held.
    pub key: LeaseKey,
    /// Held or reserved.
    pub standing: Standing,
    /// By whom.
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

/// Whether a lease is held or kept for its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A worker renews it.
    Held,
    /// Nobody works; the job that reserved it comes back.
    Reserved,
}

/// Why there is no lease, by what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has one of the keys, or a lock-delay runs: wait for a change.
    #[error("{key} is taken{}", .holder.as_ref().map(|h| format!(" by PR #{}", h.pr)).unwrap_or_default())]
    Busy {
        /// The first key that is taken.
        key: LeaseKey,
        /// Who has it; `None` while a lock-delay runs.
        holder: Option<Owner>,
        /// The longest that it can stay so without a renewal.
        at_most: Duration,
    },
    /// It is not ours any more: stop what it protected.
    #[error("the lease on {0} is lost")]
    Lost(LeaseKey),
    /// Nobody can say: start nothing new.
    #[error("the lease store is not available: {0}")]
    Unavailable(String),
}
