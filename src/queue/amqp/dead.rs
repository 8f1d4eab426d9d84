//! Dead letters on RabbitMQ, for operators.
//!
//! RabbitMQ cannot look into a queue: to find one, all are taken, and then given back by closing
//! their channel. All, because what is given back goes behind what was given back before: who takes
//! only some turns their order. So one look hides them from another, and in this process only one
//! looks at a time.

use async_trait::async_trait;
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};

use super::AmqpQueue;
use super::link::{broke, close};
use super::message::{Message, dead_letter};
use super::publish::Letter;
use crate::clock::unix_ms;
use crate::queue::QueueError;
use crate::queue::dead::{DeadLetter, DeadLetters};

#[async_trait]
impl DeadLetters for AmqpQueue {
    async fn list(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let look = Look::begin(self).await?;
        let mut letters = Vec::new();
        while let Some(found) = look.next().await? {
            if letters.len() < most {
                letters.push(look.read(found).1);
            }
        }
        look.end().await;
        Ok(letters)
    }

    async fn retry(&self, id: &str) -> Result<bool, QueueError> {
        let look = Look::begin(self).await?;
        let done = look.retry(id).await;
        look.end().await;
        done
    }

    async fn discard(&self, id: &str) -> Result<bool, QueueError> {
        let look = Look::begin(self).await?;
        let done = look.discard(id).await;
        look.end().await;
        done
    }
}

/// One look through the dead letters; what it took it gives back at its end.
struct Look<'a> {
    queue: &'a AmqpQueue,
    channel: Channel,
    _alone: tokio::sync::MutexGuard<'a, ()>,
}

impl<'a> Look<'a> {
    async fn begin(queue: &'a AmqpQueue) -> Result<Self, QueueError> {
        let shared = &queue.shared;
        let opened = async {
            let alone = queue.looking.lock().await;
            let channel = shared.consuming.up().await?.channel().await.map_err(broke)?;
            Ok(Self { queue, channel, _alone: alone })
        };
        shared.consuming.within(shared.settings.timeouts.request, opened).await
    }

    async fn next(&self) -> Result<Option<BasicGetMessage>, QueueError> {
        let shared = &self.queue.shared;
        let taken = async {
            let dead = shared.topology.dead();
            let got = self.channel.basic_get(dead.as_str().into(), BasicGetOptions::default());
            got.await.map_err(broke)
        };
        shared.consuming.within(shared.settings.timeouts.request, taken).await
    }

    fn read(&self, found: BasicGetMessage) -> (lapin::Acker, DeadLetter) {
        let topology = &self.queue.shared.topology;
        let found = found.delivery;
        let letter = dead_letter(&found.properties, found.data, |queue| topology.canonical(queue));
        (found.acker, letter)
    }

    async fn find(&self, id: &str) -> Result<Option<(lapin::Acker, DeadLetter)>, QueueError> {
        let mut wanted = None;
        while let Some(found) = self.next().await? {
            let (acker, letter) = self.read(found);
            if letter.id == id && wanted.is_none() {
                wanted = Some((acker, letter));
            }
        }
        Ok(wanted)
    }

    async fn retry(&self, id: &str) -> Result<bool, QueueError> {
        let shared = &self.queue.shared;
        let Some((acker, letter)) = self.find(id).await? else { return Ok(false) };
        let queue = shared.topology.on_broker(&letter.queue);
        if !shared.topology.is_route(&queue) {
            let name = &letter.queue;
            let why = format!("it came from {name:?}, which is no queue of a configured project");
            return Err(QueueError::Invalid(why));
        }
        let message = Message { id: letter.id, bytes: letter.bytes, attempt: 0 };
        let properties = message.properties(unix_ms(shared.clock.now()));
        let bytes = &message.bytes;
        let again = Letter { exchange: "", routing_key: &queue, bytes, properties };
        shared.publisher.publish(&again).await?;
        self.remove(&acker).await
    }

    async fn discard(&self, id: &str) -> Result<bool, QueueError> {
        match self.find(id).await? {
            Some((acker, _)) => self.remove(&acker).await,
            None => Ok(false),
        }
    }

    async fn remove(&self, acker: &lapin::Acker) -> Result<bool, QueueError> {
        let shared = &self.queue.shared;
        let removed = async {
            match acker.ack(BasicAckOptions::default()).await {
                Ok(true) => Ok(true),
                Ok(false) => Err(QueueError::Lost),
                Err(error) => Err(broke(error)),
            }
        };
        shared.consuming.within(shared.settings.timeouts.request, removed).await
    }

    async fn end(self) {
        let limit = self.queue.shared.settings.timeouts.request;
        if tokio::time::timeout(limit, close(&self.channel)).await.is_err() {
            tracing::debug!("a channel did not close in time");
        }
    }
}
