//! Publishing: stored means confirmed, and not returned.
//!
//! Owns the channels on which publishes are under way, one each: on a channel that carries several,
//! the client hands a returned message to whichever confirmation comes next, so that one publish
//! would hear of another's fate. Refuses to know what is published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Semaphore;

use super::link::{Link, Up};
use super::settings::AmqpSettings;
use super::topology::Topology;
use crate::clock::Clock;
use crate::queue::QueueError;

/// The wait before a publish that met a broken channel is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// What is to be stored, and where.
pub(super) struct Letter<'a> {
    /// Empty for the queue that `routing_key` names.
    pub(super) exchange: &'a str,
    pub(super) routing_key: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) properties: BasicProperties,
}

/// Publishes, at most so many at once.
pub(super) struct Publisher {
    link: Link,
    topology: Arc<Topology>,
    clock: Arc<dyn Clock>,
    limit: Duration,
    permits: Semaphore,
    /// Channels with nothing under way, and the number of their connection.
    idle: Mutex<Vec<(u64, Channel)>>,
}

/// What became of one try.
enum Tried {
    Stored,
    /// The queue is full, or does not work.
    Refused,
    /// There is no such queue.
    Unroutable,
    /// The broker takes nothing now.
    Blocked(String),
    /// The channel or the connection is gone, and nobody knows.
    Broke(lapin::Error),
}

impl Publisher {
    pub(super) fn new(
        settings: &AmqpSettings,
        link: Link,
        topology: Arc<Topology>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let permits = Semaphore::new(usize::from(settings.in_flight.max(1)));
        let limit = settings.timeouts.publish;
        Self { link, topology, clock, limit, permits, idle: Mutex::default() }
    }

    /// Returns when the broker has it. One that meets a broken connection is sent again, so it may
    /// be stored twice; what is not stored in time may still be stored later.
    pub(super) async fn publish(&self, letter: &Letter<'_>) -> Result<(), QueueError> {
        self.link.within(self.limit, self.until_stored(letter)).await
    }

    async fn until_stored(&self, letter: &Letter<'_>) -> Result<(), QueueError> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(QueueError::Unavailable("this process ends".to_owned()));
        };
        let queue = letter.routing_key;
        let mut is_made_anew = false;
        loop {
            let up = self.link.up().await?;
            let problem = match self.try_once(&up, letter).await {
                Tried::Stored => return Ok(()),
                Tried::Refused => format!("the broker has no room for more in {queue}"),
                Tried::Blocked(why) => format!("the broker takes nothing now: {why}"),
                Tried::Unroutable if is_made_anew => format!("there is no queue {queue}"),
                Tried::Unroutable => {
                    is_made_anew = true;
                    tracing::warn!(queue, "a queue is gone and is made anew");
                    self.make_anew(&up).await?;
                    continue;
                }
                Tried::Broke(error) => {
                    tracing::debug!(queue, %error, "a publish is sent again");
                    self.clock.sleep(PAUSE).await;
                    continue;
                }
            };
            return Err(QueueError::Unavailable(problem));
        }
    }

    async fn try_once(&self, up: &Up, letter: &Letter<'_>) -> Tried {
        tokio::select! {
            biased;
            why = up.blocked() => Tried::Blocked(why),
            tried = self.confirm(up, letter) => tried.unwrap_or_else(Tried::Broke),
        }
    }

    /// A channel that is not given back, because of an error or because nobody waits any more, is
    /// closed: its next user would get an answer that is not its own.
    async fn confirm(&self, up: &Up, letter: &Letter<'_>) -> Result<Tried, lapin::Error> {
        let channel = match self.idle_channel(up.number) {
            Some(channel) => channel,
            None => {
                let channel = up.channel().await?;
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                channel
            }
        };
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let (exchange, key) = (letter.exchange.into(), letter.routing_key.into());
        let properties = letter.properties.clone();
        let sent = channel.basic_publish(exchange, key, options, letter.bytes, properties).await?;
        let tried = match sent.await? {
            Confirmation::Ack(None) => Tried::Stored,
            // "Nobody wants it" is confirmed as well.
            Confirmation::Ack(Some(_)) => Tried::Unroutable,
            Confirmation::Nack(_) | Confirmation::NotRequested => Tried::Refused,
        };
        self.lock().push((up.number, channel));
        Ok(tried)
    }

    fn idle_channel(&self, connection: u64) -> Option<Channel> {
        let mut idle = self.lock();
        idle.retain(|(number, channel)| *number == connection && channel.status().connected());
        idle.pop().map(|(_, channel)| channel)
    }

    async fn make_anew(&self, up: &Up) -> Result<(), QueueError> {
        let declared = async { self.topology.declare(&up.channel().await?).await };
        declared.await.map_err(|error| QueueError::Unavailable(error.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Channel)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
