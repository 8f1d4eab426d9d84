//! The queue on RabbitMQ, 3.10 and 4.
//!
//! Owns its two connections: a broker that takes nothing more stops reading from whoever publishes,
//! and acknowledgements must get through even then. Refuses to know what a job means.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Deliveries, Queue, QueueError, Route, Waiting};
use crate::clock::{Clock, unix_ms};
use crate::job::{Envelope, MAX_BYTES};
use link::{Keeper, Link};
use message::Message;
use publish::{Letter, Publisher};
use topology::Topology;

mod consume;
mod dead;
mod delivery;
mod link;
mod message;
mod press;
mod publish;
mod settings;
mod topology;

pub use settings::{AmqpSettings, DeliveryLimits, Timeouts};

/// The queue on RabbitMQ. Its connections end when it is dropped and every subscription with it.
pub struct AmqpQueue {
    shared: Arc<Shared>,
    /// Held by whoever looks through the dead letters: how many the last look gave back.
    looking: Mutex<u64>,
    _stop: DropGuard,
}

struct Shared {
    settings: AmqpSettings,
    topology: Arc<Topology>,
    clock: Arc<dyn Clock>,
    /// Carries deliveries, acknowledgements and questions.
    consuming: Link,
    publishing: Link,
    publisher: Publisher,
}

impl AmqpQueue {
    /// Begins to connect, in the background, and keeps at it. Until there is a connection, whatever
    /// is asked is answered with [`QueueError::Unavailable`] within [`Timeouts`]. Must be called
    /// within a runtime; [`QueueError::Invalid`] when the settings cannot be meant.
    pub fn connect(settings: AmqpSettings, clock: Arc<dyn Clock>) -> Result<Self, QueueError> {
        let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&settings.prefix.len()) || !settings.prefix.bytes().all(is_sound) {
            let why = "a prefix has 1 to 64 of the letters a-z, A-Z, 0-9, -, _ and .";
            return Err(QueueError::Invalid(why.to_owned()));
        }
        let address = link::address(&settings)?;
        let (topology, stop) = (Arc::new(Topology::new(&settings)), CancellationToken::new());
        let making = (topology.clone(), Arc::new(Mutex::new(())));
        let keep = |purpose| {
            let what = (address.clone(), purpose);
            let (keeper, link) = Keeper::new(&settings, what, making.clone(), clock.clone());
            tokio::spawn(keeper.run(stop.clone()));
            link
        };
        let (consuming, publishing) = (keep("consuming"), keep("publishing"));
        let publisher =
            Publisher::new(&settings, publishing.clone(), topology.clone(), clock.clone());
        let shared = Shared { settings, topology, clock, consuming, publishing, publisher };
        Ok(Self { shared: Arc::new(shared), looking: Mutex::default(), _stop: stop.drop_guard() })
    }

    /// Stores bytes as another program might leave them: they need not be a job.
    pub async fn publish_bytes(&self, route: &Route, bytes: Vec<u8>) -> Result<(), QueueError> {
        if bytes.len() > MAX_BYTES {
            return Err(QueueError::Invalid(format!("it has {} bytes", bytes.len())));
        }
        let message = Message::new(bytes);
        let properties = message.properties(unix_ms(self.shared.clock.now()));
        let queue = self.shared.topology.queue(route);
        let bytes = &message.bytes;
        let letter = Letter { exchange: "", routing_key: &queue, bytes, properties };
        self.shared.publisher.publish(&letter).await
    }

    /// Deletes every queue and exchange of this prefix that these settings name, with all that is
    /// in them: for tests, and for whoever gives a prefix up.
    pub async fn delete_all(&self) -> Result<(), QueueError> {
        let topology = &self.shared.topology;
        let deleted = |channel: lapin::Channel| async move {
            for queue in topology.queues() {
                channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
            }
            for exchange in topology.delay_queues() {
                channel.exchange_delete(exchange.into(), Default::default()).await?;
            }
            Ok(())
        };
        self.shared.consuming.ask(deleted).await
    }

    async fn ready_in(&self, queues: Vec<String>) -> Result<u64, QueueError> {
        let counted = |channel: lapin::Channel| async move {
            let mut jobs = 0;
            for queue in queues {
                let options = QueueDeclareOptions { passive: true, ..Default::default() };
                let found = channel.queue_declare(queue.into(), options, FieldTable::default());
                jobs += u64::from(found.await?.message_count());
            }
            Ok(jobs)
        };
        self.shared.consuming.ask(counted).await
    }
}

#[async_trait]
impl Queue for AmqpQueue {
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        let bytes = envelope.to_bytes().map_err(|e| QueueError::Invalid(e.to_string()))?;
        self.publish_bytes(&Route::of(&envelope.job), bytes).await
    }

    async fn consume(
        &self,
        route: &Route,
        prefetch: u16,
    ) -> Result<Box<dyn Deliveries>, QueueError> {
        Ok(Box::new(consume::subscribe(&self.shared, route, prefetch).await?))
    }

    async fn waiting(&self, route: &Route) -> Result<Waiting, QueueError> {
        let jobs = self.ready_in(vec![self.shared.topology.queue(route)]).await?;
        Ok(Waiting { jobs, oldest: None })
    }

    async fn delayed(&self) -> Result<u64, QueueError> {
        self.ready_in(self.shared.topology.delay_queues().collect()).await
    }

    async fn dead_letters(&self) -> Result<u64, QueueError> {
        self.ready_in(vec![self.shared.topology.dead()]).await
    }

    async fn check(&self) -> Result<(), QueueError> {
        let dead = self.shared.topology.dead();
        let consuming = self.ready_in(vec![dead]);
        let publishing = async {
            let limit = self.shared.settings.timeouts.request;
            let up = self.shared.publishing.within(limit, self.shared.publishing.up()).await?;
            let opened = self.shared.publishing.ask(|_| async { Ok(()) });
            tokio::select! {
                biased;
                why = up.blocked() => Err(QueueError::Unavailable(why)),
                opened = opened => opened,
            }
        };
        tokio::try_join!(consuming, publishing).map(drop)
    }
}
