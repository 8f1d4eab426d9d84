//! What the operator set, as the producer needs it, and the bounds on one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice::config::{Config, Secret};
use sluice::project::Project;
use sluice_service::Connections;

/// What the operator set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The secrets with which webhooks may be signed; with none, none is accepted.
    pub webhook_secrets: Vec<Secret>,
    /// The projects that are served.
    pub projects: Arc<[Project]>,
    /// How long webhooks are still accepted, though not ready any more, after a shutdown began.
    pub linger: Duration,
    /// The bounds on requests.
    pub limits: Limits,
}

/// The bounds on requests. GitHub gives up after 10 s: `body_within`, `slot_within` and
/// `store_within` add up to less, so that it hears of a failure and shows it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most a body may measure, in bytes.
    pub max_body: usize,
    /// The most that all bodies in memory may measure together, in bytes. Counted as they arrive:
    /// a body that is announced and not sent takes nothing from the others.
    pub all_bodies: usize,
    /// How many authenticated webhooks are translated and stored at once.
    pub webhooks: usize,
    /// The bounds on connections.
    pub connections: Connections,
    /// How long an authenticated webhook waits for others to be done.
    pub slot_within: Duration,
    /// How long a body may take.
    pub body_within: Duration,
    /// How long storing all jobs of a webhook may take.
    pub store_within: Duration,
}

/// The largest payload that GitHub sends.
const LARGEST: usize = 25 << 20;

/// How many bodies of the largest size there is memory for.
const BODIES: usize = 16;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: LARGEST,
            all_bodies: BODIES * LARGEST,
            webhooks: 16,
            connections: Connections::default(),
            slot_within: Duration::from_secs(1),
            body_within: Duration::from_secs(4),
            store_within: Duration::from_secs(4),
        }
    }
}

impl Settings {
    /// The producer's part of the configuration.
    pub fn of(config: &Config) -> Self {
        let max_body = config.producer.max_body;
        let all_bodies = max_body.saturating_mul(BODIES);
        Self {
            listen: config.producer.listen,
            webhook_secrets: config.github.webhook_secrets.clone(),
            projects: config.projects.clone().into(),
            linger: config.producer.linger,
            limits: Limits { max_body, all_bodies, ..Limits::default() },
        }
    }
}
