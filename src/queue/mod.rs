//! The `Queue` port: where jobs wait, and how each is settled exactly once.
//!
//! Owns routes and the delivery's contract. Refuses to know what a job means.

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::job::{Envelope, Job, JobKind};
use crate::names::ProjectName;
use crate::outcome::Disposition;

pub mod amqp;
pub mod dead;
pub mod memory;

/// Where jobs wait.
///
/// At least once: a job may be handed out again although it was done (a lost connection, a
/// publisher that retried), so whoever runs it looks for its effects first. A job that was
/// published twice is two messages.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Stores a job at the tail of its route. Returns only when it is stored: what was confirmed is
    /// never lost. [`QueueError::Unavailable`] when the route is full, [`QueueError::Invalid`] when
    /// the job measures more than [`MAX_BYTES`](crate::job::MAX_BYTES).
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError>;

    /// The next jobs of one route, at most `prefetch` (at least one) unsettled at a time.
    ///
    /// A deploy route has one active consumer and one unsettled delivery however often it is
    /// consumed, and hands its jobs out in the order in which they were published. The next
    /// consumer, by the order in which they came, becomes active when the active one's
    /// [`Deliveries`] is dropped.
    async fn consume(
        &self,
        route: &Route,
        prefetch: u16,
    ) -> Result<Box<dyn Deliveries>, QueueError>;

    /// What is ready on a route, without what is handed out or delayed.
    async fn waiting(&self, route: &Route) -> Result<Waiting, QueueError>;

    /// How many jobs wait for their delay to be over, on all routes together: a broker keeps them
    /// by how long they wait, not by where they belong.
    async fn delayed(&self) -> Result<u64, QueueError>;

    /// How many dead letters there are, see [`dead`].
    async fn dead_letters(&self) -> Result<u64, QueueError>;

    /// Whether jobs can be stored and handed out now, for readiness. Answers within seconds.
    async fn check(&self) -> Result<(), QueueError>;
}

/// What waits on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many jobs.
    pub jobs: u64,
    /// How long ago the oldest of them was stored; retries count from the first time. `None` when
    /// none waits, or nobody can say.
    pub oldest: Option<Duration>,
}

/// A subscription to one route. Dropping it ends it: nothing more is handed out; what it handed out
/// stays in hand and can still be settled, so that a worker that shuts down finishes its jobs.
#[async_trait]
pub trait Deliveries: Send {
    /// The next job; `None` when the subscription has ended and a new one is needed. Dropping the
    /// future before it is ready loses no job.
    async fn next(&mut self) -> Option<Box<dyn Delivery>>;
}

/// A job in hand. Dropping it unsettled gives it back to the head of its queue, its attempt
/// unchanged.
#[async_trait]
pub trait Delivery: Send {
    /// The message as it came, which may be no job at all: see [`Envelope::from_bytes`].
    fn bytes(&self) -> &[u8];
    /// Tells this message from every other, also from one with the same job; the same whenever it
    /// comes back.
    fn message(&self) -> &str;
    /// Fires when the delivery is not ours any more while it is in hand: the connection is gone,
    /// or the store gave up on us. The message comes back to somebody, and settling this one is
    /// [`QueueError::Lost`].
    fn lost(&self) -> CancellationToken;
    /// How often it was tried before; 0 the first time.
    fn attempt(&self) -> u32;
    /// Says what becomes of it. `Err` means that it is not ours any more and comes back.
    ///
    /// What is delayed ([`Disposition::Later`], [`Disposition::Retry`]) comes back at the *tail* of
    /// its route once its time is up, on deploy routes too: others go first meanwhile, as they must
    /// when one of them is broken. What is requeued goes to the head.
    async fn settle(self: Box<Self>, disposition: Disposition) -> Result<(), QueueError>;
}

/// Where a job waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Approval gate checks and commands: fast, no Python.
    Approval,
    /// Full gate checks and cleanups: Python.
    Gate,
    /// Deploys of one project, first in, first out.
    Deploy(ProjectName),
}

impl Route {
    /// Where a job belongs.
    pub fn of(job: &Job) -> Self {
        match job.kind() {
            JobKind::Approval | JobKind::Command => Self::Approval,
            JobKind::Gate | JobKind::Cleanup => Self::Gate,
            JobKind::Deploy => Self::Deploy(job.project().clone()),
        }
    }

    /// The name of the queue: `sluice.gate`, `sluice.approval`, `sluice.deploy.<project>`.
    pub fn queue(&self) -> String {
        match self {
            Self::Approval => "sluice.approval".to_owned(),
            Self::Gate => "sluice.gate".to_owned(),
            Self::Deploy(project) => format!("sluice.deploy.{project}"),
        }
    }
}

/// How long a retry waits, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait before each retry; its length is the number of retries.
    pub delays: Vec<Duration>,
}

impl Default for RetryPolicy {
    /// 5 s, 30 s, 2 min, 10 min, 30 min: an outage of GitHub of three quarters of an hour is
    /// outlasted.
    fn default() -> Self {
        Self { delays: [5, 30, 120, 600, 1800].map(Duration::from_secs).to_vec() }
    }
}

impl RetryPolicy {
    /// How many retries are left after `attempt` (0 the first time) has failed.
    pub fn left(&self, attempt: u32) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX).saturating_sub(attempt)
    }

    /// The wait before the retry that follows `attempt`.
    pub fn delay(&self, attempt: u32) -> Duration {
        let index = usize::try_from(attempt).unwrap_or(usize::MAX);
        self.delays.get(index).or(self.delays.last()).copied().unwrap_or_default()
    }
}

/// Why the queue did not do it, by what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Try again: the broker is away or full.
    #[error("the queue is not available: {0}")]
    Unavailable(String),
    /// The delivery is not ours any more; it comes back by itself.
    #[error("the delivery was lost")]
    Lost,
    /// It can never be stored.
    #[error("the job cannot be stored: {0}")]
    Invalid(String),
}
