//! What the adapter for RabbitMQ is told.
//!
//! Owns the usual values and where each comes from.

use std::time::Duration;

use crate::config::Secret;
use crate::names::ProjectName;
use crate::queue::RetryPolicy;

/// How the adapter reaches its broker, and what it keeps there.
#[derive(Debug, Clone)]
pub struct AmqpSettings {
    /// The broker's address: `amqp://` or `amqps://`, with user, password and virtual host.
    pub url: Secret,
    /// What the names of all queues and exchanges begin with, before a dot.
    pub prefix: String,
    /// What the broker's own tools call this process.
    pub name: String,
    /// The projects whose deploy queues are kept.
    pub projects: Vec<ProjectName>,
    /// How long each retry waits.
    pub retry: RetryPolicy,
    /// The delays there are, besides those of `retry`: a wait is rounded up to the next of them.
    /// There is one queue for each.
    pub delays: Vec<Duration>,
    /// The most jobs that each queue holds; beyond it, publishing is refused. The broker keeps it
    /// as a property of the queue: other values do not fit a queue that is there.
    pub capacity: u32,
    /// How often a job may be handed out again after nobody settled it, before it becomes a dead
    /// letter. A property of the queue, like `capacity`.
    pub deliveries: DeliveryLimits,
    /// The most publishes under way at once; a further one waits its turn.
    pub in_flight: u16,
    /// A connection that is silent for twice this long is taken for dead.
    pub heartbeat: Duration,
    /// The bounds of every wait.
    pub timeouts: Timeouts,
}

/// How often a job is handed out again when its worker went away without settling it. RabbitMQ 3.10
/// counts a job that was given back as well. A backstop: who takes a job notices earlier, by the
/// ledger, that it kills workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// Gate checks, approvals, commands, cleanups.
    pub checks: u32,
    /// Deploys: one that outlasts the broker's consumer timeout comes again each time.
    pub deploys: u32,
}

/// How long each thing may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Making a connection, queues and all.
    pub connect: Duration,
    /// Storing one job, the wait for a connection included. GitHub waits 10 s for an answer to its
    /// webhook, and one webhook may store several jobs.
    pub publish: Duration,
    /// A question to the broker, an acknowledgement.
    pub request: Duration,
    /// How long a job that is to be delayed or buried is kept in hand while the broker takes no
    /// copy of it; then it is given back.
    pub settle: Duration,
}

/// 1, 2, 5, 10, 15 and 30 s, 1, 2, 5, 10 and 30 min, 1 h: a wait is at most two and a half times as
/// long as asked, and from 5 s on mostly less than twice.
const DELAYS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

impl AmqpSettings {
    /// The usual settings.
    pub fn new(url: Secret, projects: Vec<ProjectName>, retry: RetryPolicy) -> Self {
        Self {
            url,
            prefix: "sluice".to_owned(),
            name: "sluice".to_owned(),
            projects,
            retry,
            delays: DELAYS.map(Duration::from_secs).to_vec(),
            // At most 16 KiB each: a queue that is full of the largest messages is 1.6 GB on disk.
            capacity: 100_000,
            // RabbitMQ 4 has 20 unless told otherwise. 100 times the usual 30 minutes are two days.
            deliveries: DeliveryLimits { checks: 20, deploys: 100 },
            in_flight: 128,
            heartbeat: Duration::from_secs(10),
            timeouts: Timeouts::default(),
        }
    }

    /// Every delay there is, ascending.
    pub(super) fn delays(&self) -> Vec<Duration> {
        let all = self.delays.iter().chain(&self.retry.delays);
        let mut delays: Vec<Duration> = all.copied().filter(|delay| !delay.is_zero()).collect();
        delays.sort_unstable();
        delays.dedup();
        delays
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            publish: Duration::from_secs(5),
            request: Duration::from_secs(3),
            settle: Duration::from_secs(60),
        }
    }
}
