//! A job in hand, from RabbitMQ.
//!
//! Owns settling: what is to come back later or to be buried is stored elsewhere first, and only
//! then acknowledged, so that it is never nowhere.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Shared;
use super::message::{End, Message};
use super::publish::Letter;
use crate::clock::unix_ms;
use crate::outcome::Disposition;
use crate::queue::{Delivery, QueueError, Route};

/// The wait before a copy that the broker did not take is offered again.
const PAUSE: Duration = Duration::from_secs(1);

/// What all deliveries of one subscription have in common.
pub(super) struct Grip {
    pub(super) shared: Arc<Shared>,
    pub(super) route: Route,
    /// Fires when the channel is gone.
    pub(super) lost: CancellationToken,
    /// Fires when nobody takes from the subscription any more.
    pub(super) retiring: CancellationToken,
}

/// A job in hand.
pub(super) struct InHand {
    grip: Arc<Grip>,
    message: Message,
    /// `None` once it is settled.
    acker: Option<Acker>,
    /// Keeps the channel open.
    held: Option<TaskTrackerToken>,
}

impl InHand {
    pub(super) fn new(
        grip: Arc<Grip>,
        delivery: lapin::message::Delivery,
        held: TaskTrackerToken,
    ) -> Self {
        let message = Message::read(&delivery.properties, delivery.data);
        Self { grip, message, acker: Some(delivery.acker), held: Some(held) }
    }
}

#[async_trait]
impl Delivery for InHand {
    fn bytes(&self) -> &[u8] {
        &self.message.bytes
    }

    fn message(&self) -> &str {
        &self.message.id
    }

    fn lost(&self) -> CancellationToken {
        self.grip.lost.clone()
    }

    fn attempt(&self) -> u32 {
        self.message.attempt
    }

    async fn settle(mut self: Box<Self>, disposition: Disposition) -> Result<(), QueueError> {
        let stored = match disposition {
            Disposition::Done => Ok(()),
            Disposition::Requeue => return self.give_back().await,
            Disposition::Later(delay) => self.delay(delay).await,
            Disposition::Retry => {
                let delay = self.grip.shared.settings.retry.delay(self.message.attempt);
                self.message.attempt = self.message.attempt.saturating_add(1);
                self.delay(delay).await
            }
            Disposition::Dead(reason) => self.bury(&reason).await,
        };
        match stored {
            Ok(()) => self.acknowledge().await,
            Err(error) => {
                // The reason why it comes back is the one that counts.
                drop(self.give_back().await);
                Err(error)
            }
        }
    }
}

impl InHand {
    async fn acknowledge(&mut self) -> Result<(), QueueError> {
        let Some(acker) = self.acker.take() else { return Err(QueueError::Lost) };
        let acked = acker.ack(BasicAckOptions::default());
        let acked = timeout(self.grip.shared.settings.timeouts.request, acked).await;
        match acked {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(QueueError::Lost),
        }
    }

    async fn give_back(&mut self) -> Result<(), QueueError> {
        let Some(acker) = self.acker.take() else { return Err(QueueError::Lost) };
        if acker.poisoned() {
            return Err(QueueError::Lost);
        }
        if self.leaves_with_its_channel() {
            return Ok(());
        }
        let given = acker.nack(BasicNackOptions { requeue: true, ..Default::default() });
        let given = timeout(self.grip.shared.settings.timeouts.request, given).await;
        match given {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(QueueError::Lost),
        }
    }

    /// A deploy that is given back by a consumer that is about to go must not be handed to that
    /// very consumer once more: closing its channel, which follows at once, gives it back.
    fn leaves_with_its_channel(&self) -> bool {
        self.grip.retiring.is_cancelled() && matches!(self.grip.route, Route::Deploy(_))
    }

    /// Stores it where it waits, to come back to the tail of its route.
    async fn delay(&self, delay: Duration) -> Result<(), QueueError> {
        let shared = &self.grip.shared;
        let (key, now_ms) = (shared.topology.queue(&self.grip.route), unix_ms(shared.clock.now()));
        let exchange = match delay.is_zero() {
            true => String::new(),
            false => shared.topology.delay(delay).unwrap_or_default(),
        };
        self.store(&Letter {
            exchange: &exchange,
            routing_key: &key,
            bytes: &self.message.bytes,
            properties: self.message.properties(now_ms),
        })
        .await
    }

    async fn bury(&self, reason: &str) -> Result<(), QueueError> {
        let shared = &self.grip.shared;
        let queue = self.grip.route.queue();
        let end = End { reason, queue: &queue, at_ms: unix_ms(shared.clock.now()) };
        self.store(&Letter {
            exchange: "",
            routing_key: &shared.topology.dead(),
            bytes: &self.message.bytes,
            properties: self.message.obituary(&end),
        })
        .await
    }

    /// Offers a copy for as long as it is worth while, and as long as the broker takes nothing from
    /// anybody. It is kept in hand meanwhile: given back, the job would run again at once, and
    /// again, until the broker takes it for one that kills its workers.
    async fn store(&self, letter: &Letter<'_>) -> Result<(), QueueError> {
        let shared = &self.grip.shared;
        let offered = async {
            loop {
                match shared.publisher.publish(letter).await {
                    Err(QueueError::Unavailable(why)) => {
                        tracing::debug!(%why, "a copy is offered again");
                        shared.clock.sleep(PAUSE).await;
                    }
                    stored => return stored,
                }
            }
        };
        let given_up = async {
            loop {
                shared.publishing.unblocked().await;
                shared.clock.sleep(shared.settings.timeouts.settle).await;
                if !shared.publishing.is_blocked() {
                    return QueueError::Unavailable("the broker takes no copy of it".to_owned());
                }
            }
        };
        tokio::select! {
            () = self.grip.lost.cancelled() => Err(QueueError::Lost),
            stored = offered => stored,
            why = given_up => Err(why),
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let Some(acker) = self.acker.take() else { return };
        if acker.poisoned() || self.leaves_with_its_channel() {
            return;
        }
        let held = self.held.take();
        // Without a runtime the connection ends, which gives it back as well.
        let Ok(runtime) = Handle::try_current() else { return };
        let limit = self.grip.shared.settings.timeouts.request;
        runtime.spawn(async move {
            let given = acker.nack(BasicNackOptions { requeue: true, ..Default::default() });
            if !matches!(timeout(limit, given).await, Ok(Ok(true))) {
                tracing::debug!("a delivery was lost before it was given back");
            }
            drop(held);
        });
    }
}
