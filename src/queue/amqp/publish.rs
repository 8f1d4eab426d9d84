//! Publishing: stored means confirmed, and not returned.
//!
//! Owns how many are under way, and what is done about one that failed. Refuses to know what is
//! published.

use std::sync::Arc;
use std::time::Duration;

use lapin::BasicProperties;
use tokio::sync::{Mutex, Semaphore};

use super::link::{Link, Up};
use super::press::{Fate, Press};
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
    /// Where jobs for queues are published, and the number of its connection.
    press: Mutex<Option<(u64, Press)>>,
    /// Where jobs for exchanges are: one that is gone takes the channel along.
    delays: Mutex<Option<(u64, Press)>>,
}

/// What became of one try.
enum Tried {
    Ended(Fate),
    /// The broker takes nothing now.
    Blocked(String),
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
        let (press, delays) = Default::default();
        Self { link, topology, clock, limit, permits, press, delays }
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
                Tried::Ended(Fate::Stored) => return Ok(()),
                Tried::Ended(Fate::Refused) => {
                    format!("the broker has no room for more in {queue}")
                }
                Tried::Blocked(why) => format!("the broker takes nothing now: {why}"),
                Tried::Ended(Fate::Unroutable) if is_made_anew => {
                    format!("there is no queue {queue}")
                }
                Tried::Ended(Fate::Unroutable) => {
                    is_made_anew = true;
                    tracing::warn!(queue, "a queue is gone and is made anew");
                    self.make_anew(&up).await?;
                    continue;
                }
                Tried::Ended(Fate::Unclear) => {
                    tracing::debug!(queue, "a publish of which nobody knows is sent again");
                    self.clock.sleep(PAUSE).await;
                    continue;
                }
                Tried::Ended(Fate::Broke(error)) => {
                    tracing::debug!(queue, %error, "a publish is sent again");
                    self.clock.sleep(PAUSE).await;
                    continue;
                }
            };
            return Err(QueueError::Unavailable(problem));
        }
    }

    async fn try_once(&self, up: &Up, letter: &Letter<'_>) -> Tried {
        let published = async {
            match self.press(up, letter).await {
                Ok(press) => press.publish(letter).await,
                Err(error) => Fate::Broke(error),
            }
        };
        tokio::select! {
            biased;
            why = up.blocked() => Tried::Blocked(why),
            fate = published => Tried::Ended(fate),
        }
    }

    /// Where such a letter is published now: on a new channel, if the one before is of no use.
    async fn press(&self, up: &Up, letter: &Letter<'_>) -> Result<Press, lapin::Error> {
        let place = if letter.exchange.is_empty() { &self.press } else { &self.delays };
        let mut place = place.lock().await;
        if let Some((connection, press)) = &*place
            && *connection == up.number
            && press.is_sound()
        {
            return Ok(press.clone());
        }
        let press = Press::on(up.channel().await?).await?;
        *place = Some((up.number, press.clone()));
        Ok(press)
    }

    async fn make_anew(&self, up: &Up) -> Result<(), QueueError> {
        let declared = async { self.topology.declare(&up.channel().await?).await };
        declared.await.map_err(|error| QueueError::Unavailable(error.to_string()))
    }
}
