//! The broker and the store of a test: private, killed and restarted as it likes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_rig::{Broker, Redis};

/// What several towns may share, each with a prefix of its own.
pub struct Services {
    /// The broker's address.
    pub amqp_url: String,
    /// The address of Redis.
    pub redis_url: String,
    broker: Mutex<Broker>,
    redis: Mutex<Redis>,
}

impl Services {
    /// Starts both: a quarter of a minute. `broker` is in words of `rabbitmq.conf`, then of
    /// `advanced.config`.
    ///
    /// # Errors
    /// One of them does not start.
    pub async fn start(broker: (&'static str, &'static str)) -> anyhow::Result<Arc<Self>> {
        let starting = tokio::task::spawn_blocking(move || {
            let mut redis = Redis::durable()?;
            redis.start()?;
            let mut node = Broker::new(broker.0)?;
            if !broker.1.is_empty() {
                node = node.advanced(broker.1)?;
            }
            node.start()?;
            anyhow::Ok((node, redis))
        });
        let (broker, redis) = starting.await??;
        Ok(Arc::new(Self {
            amqp_url: broker.url(),
            redis_url: redis.url(),
            broker: Mutex::new(broker),
            redis: Mutex::new(redis),
        }))
    }

    /// Does something to the broker, on a thread that may block.
    ///
    /// # Errors
    /// What is done fails.
    pub async fn broker<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Broker) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let services = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&mut held(&services.broker))).await?
    }

    /// Does something to Redis, on a thread that may block.
    ///
    /// # Errors
    /// What is done fails.
    pub async fn redis<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Redis) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let services = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&mut held(&services.redis))).await?
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
