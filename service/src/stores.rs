//! The stores that a process works with, as its configuration names them.
//!
//! Owns the choice of adapters: nothing else knows which there are.

use std::sync::Arc;

use anyhow::Context as _;
use sluice::clock::Clock;
use sluice::config::{Config, LeaseStore, QueueStore};
use sluice::lease::Leases;
use sluice::lease::memory::MemoryLeases;
use sluice::ledger::{Ledger, MemoryLedger, Processed};
use sluice::observe::{Observer, Observers};
use sluice::pause::{MemoryPauses, Pauses};
use sluice::queue::Queue;
use sluice::queue::amqp::{AmqpQueue, AmqpSettings};
use sluice::queue::dead::DeadLetters;
use sluice::queue::memory::MemoryQueue;
use sluice_store::{BEAT, Scribe, Store, Worker};

use crate::RecentDeliveries;

/// Everything that is kept outside a job.
#[derive(Clone)]
pub struct Stores {
    /// Where jobs wait.
    pub queue: Arc<dyn Queue>,
    /// What failed for good.
    pub dead: Arc<dyn DeadLetters>,
    /// Who may change an environment.
    pub leases: Arc<dyn Leases>,
    /// What is remembered, for speed only.
    pub ledger: Arc<dyn Ledger>,
    /// What an operator has paused.
    pub pauses: Arc<dyn Pauses>,
    /// Which webhook deliveries are done with.
    pub processed: Arc<dyn Processed>,
    /// Redis itself, for what only people ask; `None` when leases are in memory.
    pub redis: Option<Store>,
}

/// Who is told what happens.
pub struct Told {
    /// All of them, as one.
    pub observer: Arc<dyn Observer>,
    scribe: Option<Arc<Scribe>>,
}

impl Told {
    /// This one alone, and no journal.
    pub fn only(observer: Arc<dyn Observer>) -> Self {
        Self { observer, scribe: None }
    }

    /// Returns when what was told is written down, or cannot be.
    pub async fn close(&self) {
        if let Some(scribe) = &self.scribe {
            scribe.close().await;
        }
    }
}

/// The two halves of [`Stores`].
type Queues = (Arc<dyn Queue>, Arc<dyn DeadLetters>);

impl Stores {
    /// The stores that the configuration names. `name` is what the stores' own tools call this
    /// process.
    ///
    /// # Errors
    /// An address or a certificate that cannot be used, or a queue that others can take jobs from
    /// while the leases are this process's own: two such processes would both have `prod`. Whether
    /// the stores answer is for their `check` to say: they may come later. Must be called within a
    /// Tokio runtime.
    pub fn connect(config: &Config, name: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let (queue, leases) = (&config.queue.url, &config.lease.url);
        anyhow::ensure!(
            *queue == QueueStore::Memory || *leases != LeaseStore::Memory,
            "queue.url is a RabbitMQ and lease.url is \"memory:\": another process that takes jobs \
             from the same queue would not see this one's leases; name a Redis (\"redis://…\")"
        );
        let (queue, dead) = queues(config, name, clock)?;
        match &config.lease.url {
            LeaseStore::Memory => Ok(Self::with_memory(queue, dead, clock)),
            LeaseStore::Redis(_) => Self::with_redis(queue, dead, config),
        }
    }

    /// The same for a process that shares its stores with others.
    ///
    /// # Errors
    /// Also when one of them is `memory:`.
    pub fn connect_shared(
        config: &Config,
        name: &str,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let mut alone = Vec::new();
        if config.queue.url == QueueStore::Memory {
            alone.push("queue.url is \"memory:\"; name a RabbitMQ (\"amqp://…\")");
        }
        if config.lease.url == LeaseStore::Memory {
            alone.push("lease.url is \"memory:\"; name a Redis (\"redis://…\")");
        }
        anyhow::ensure!(
            alone.is_empty(),
            "a producer or worker of its own shares its stores with other processes, and what is \
             in one process's memory no other one sees: {}. `sluice up` runs everything in one \
             process",
            alone.join(", and ")
        );
        Self::connect(config, name, clock)
    }

    /// Who is told what happens: these, and the journal in Redis, which shows `worker` as alive.
    pub fn told(&self, mut observers: Vec<Arc<dyn Observer>>, worker: Option<Worker>) -> Told {
        let scribe = self.redis.as_ref().map(|redis| Arc::new(redis.scribe(worker, BEAT)));
        observers.extend(scribe.iter().map(|scribe| scribe.clone() as Arc<dyn Observer>));
        Told { observer: Arc::new(Observers::new(observers)), scribe }
    }

    /// Everything in this process's memory, and the queue itself, which also says when it is
    /// drained.
    pub fn in_memory(config: &Config, clock: &Arc<dyn Clock>) -> (Self, Arc<MemoryQueue>) {
        let queue = Arc::new(MemoryQueue::new(clock.clone(), config.retry.clone()));
        (Self::with_memory(queue.clone(), queue.clone(), clock), queue)
    }

    fn with_redis(
        queue: Arc<dyn Queue>,
        dead: Arc<dyn DeadLetters>,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let settings = sluice_store::Settings::of(&config.lease).context("there is no Redis")?;
        let store = Store::connect(&settings)?;
        Ok(Self {
            queue,
            dead,
            leases: Arc::new(store.leases()),
            ledger: Arc::new(store.ledger()),
            pauses: Arc::new(store.pauses()),
            processed: Arc::new(store.processed()),
            redis: Some(store),
        })
    }

    fn with_memory(
        queue: Arc<dyn Queue>,
        dead: Arc<dyn DeadLetters>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            queue,
            dead,
            leases: Arc::new(MemoryLeases::new(clock.clone())),
            ledger: Arc::new(MemoryLedger::default()),
            pauses: Arc::new(MemoryPauses::default()),
            processed: Arc::new(RecentDeliveries::new(clock.clone())),
            redis: None,
        }
    }
}

fn queues(config: &Config, name: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Queues> {
    match &config.queue.url {
        QueueStore::Memory => {
            let queue = Arc::new(MemoryQueue::new(clock.clone(), config.retry.clone()));
            Ok((queue.clone(), queue))
        }
        QueueStore::Amqp(url) => {
            let projects = config.projects.iter().map(|project| project.name.clone()).collect();
            let settings = AmqpSettings {
                prefix: config.queue.prefix.clone(),
                name: name.to_owned(),
                ..AmqpSettings::new(url.clone(), projects, config.retry.clone())
            };
            let queue = Arc::new(AmqpQueue::connect(settings, clock.clone())?);
            Ok((queue.clone(), queue))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sluice::clock::SystemClock;
    use sluice::config::Variables;

    use super::*;

    fn connected(queue: &str, lease: &str) -> Result<(), String> {
        let variables: Variables = [
            ("SLUICE_QUEUE__URL", queue),
            ("SLUICE_LEASE__URL", lease),
            ("SLUICE_PROJECT__0__NAME", "w"),
            ("SLUICE_PROJECT__0__REPOSITORY", "a/b"),
            ("SLUICE_PROJECT__0__PYTHON", "python3"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let config = Config::load(None, &variables, &[]).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Stores::connect(&config, "test", &clock).map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn leases_of_one_process_do_not_guard_a_queue_of_many() {
        let refused = connected("amqp://127.0.0.1:1/%2f", "memory:").unwrap_err();
        assert!(refused.contains("name a Redis"), "{refused}");
        connected("memory:", "memory:").unwrap();
        connected("memory:", "redis://127.0.0.1:1/0").unwrap();
        connected("amqp://127.0.0.1:1/%2f", "redis://127.0.0.1:1/0").unwrap();
    }
}
