//! Dead letters on RabbitMQ, for operators.
//!
//! RabbitMQ cannot look into a queue: to find some, all are taken, and then given back by closing
//! their channel. All, because what is given back goes behind what was given back before: who takes
//! only some turns their order. All that were there when the look began: what comes meanwhile could
//! keep it from ever ending. So one look hides them from another, and in this process only one
//! looks at a time.

use std::collections::HashSet;

use async_trait::async_trait;
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};

use super::AmqpQueue;
use super::link::{broke, close};
use super::message::{Message, dead_letter};
use super::publish::Letter;
use crate::clock::unix_ms;
use crate::queue::dead::{DeadLetter, DeadLetters, Treated};
use crate::queue::{Queue as _, QueueError};

#[async_trait]
impl DeadLetters for AmqpQueue {
    async fn list(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut look = Look::begin(self).await?;
        let mut letters = Vec::new();
        while let Some((_, letter)) = look.next().await? {
            if letters.len() < most {
                letters.push(letter);
            }
        }
        look.end().await;
        Ok(letters)
    }

    async fn retry(&self, ids: &[String]) -> Treated {
        self.treat(ids, Treatment::Retry).await
    }

    async fn discard(&self, ids: &[String]) -> Treated {
        self.treat(ids, Treatment::Discard).await
    }
}

/// What is done with a letter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Retry,
    Discard,
}

impl AmqpQueue {
    /// Looks once, whatever the number of letters that are meant.
    async fn treat(&self, ids: &[String], treatment: Treatment) -> Treated {
        let mut treated = Treated::default();
        treated.trouble = self.try_to_treat(ids, treatment, &mut treated).await.err();
        treated
    }

    async fn try_to_treat(
        &self,
        ids: &[String],
        treatment: Treatment,
        treated: &mut Treated,
    ) -> Result<(), QueueError> {
        let ids: HashSet<&String> = ids.iter().collect();
        let mut look = Look::begin(self).await?;
        let mut meant = Vec::new();
        while let Some((acker, letter)) = look.next().await? {
            if ids.contains(&letter.id) {
                meant.push((acker, letter));
            }
        }
        for (acker, letter) in meant {
            // A message may have died twice, when the first time was not heard of.
            let is_copy = treated.done.contains(&letter.id);
            let id = letter.id.clone();
            if treatment == Treatment::Retry
                && !is_copy
                && let Err(error) = self.put_back(letter).await
            {
                let QueueError::Invalid(why) = error else { return Err(error) };
                treated.refused.push((id, why));
                continue;
            }
            look.remove(&acker).await?;
            if !is_copy {
                treated.done.push(id);
            }
        }
        look.end().await;
        Ok(())
    }

    /// At the tail of its queue, as a new message: what was counted of the old one would end it at
    /// once again.
    async fn put_back(&self, letter: DeadLetter) -> Result<(), QueueError> {
        let shared = &self.shared;
        let queue = shared.topology.on_broker(&letter.queue);
        if !shared.topology.is_route(&queue) {
            let name = &letter.queue;
            let why = format!("it came from {name:?}, which is no queue of a configured project");
            return Err(QueueError::Invalid(why));
        }
        let message = Message::new(letter.bytes);
        let properties = message.properties(unix_ms(shared.clock.now()));
        let bytes = &message.bytes;
        let again = Letter { exchange: "", routing_key: &queue, bytes, properties };
        shared.publisher.publish(&again).await
    }
}

/// One look through the dead letters; what it took it gives back at its end.
struct Look<'a> {
    queue: &'a AmqpQueue,
    channel: Channel,
    /// How many of those that were there at its beginning were not taken yet, at most.
    left: u64,
    /// How many it has taken and not removed.
    taken: u64,
    given_back: tokio::sync::MutexGuard<'a, u64>,
}

impl<'a> Look<'a> {
    async fn begin(queue: &'a AmqpQueue) -> Result<Self, QueueError> {
        let shared = &queue.shared;
        let opened = async {
            let given_back = queue.looking.lock().await;
            // What was given back a moment ago may not be counted yet.
            let left = queue.dead_letters().await?.max(*given_back);
            let channel = shared.consuming.up().await?.channel().await.map_err(broke)?;
            Ok(Self { queue, channel, left, taken: 0, given_back })
        };
        shared.consuming.within(shared.settings.timeouts.request, opened).await
    }

    async fn next(&mut self) -> Result<Option<(lapin::Acker, DeadLetter)>, QueueError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let shared = &self.queue.shared;
        let taken = async {
            let dead = shared.topology.dead();
            let got = self.channel.basic_get(dead.as_str().into(), BasicGetOptions::default());
            got.await.map_err(broke)
        };
        let found = shared.consuming.within(shared.settings.timeouts.request, taken).await?;
        self.taken += u64::from(found.is_some());
        Ok(found.map(|found| self.read(found)))
    }

    fn read(&self, found: BasicGetMessage) -> (lapin::Acker, DeadLetter) {
        let topology = &self.queue.shared.topology;
        let found = found.delivery;
        let letter = dead_letter(&found.properties, found.data, |queue| topology.canonical(queue));
        (found.acker, letter)
    }

    async fn remove(&mut self, acker: &lapin::Acker) -> Result<(), QueueError> {
        let shared = &self.queue.shared;
        let removed = async {
            match acker.ack(BasicAckOptions::default()).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(QueueError::Lost),
                Err(error) => Err(broke(error)),
            }
        };
        shared.consuming.within(shared.settings.timeouts.request, removed).await?;
        self.taken -= 1;
        Ok(())
    }

    async fn end(mut self) {
        *self.given_back = self.taken;
        let limit = self.queue.shared.settings.timeouts.request;
        if tokio::time::timeout(limit, close(&self.channel)).await.is_err() {
            tracing::debug!("a channel did not close in time");
        }
    }
}
