//! What a broker does for a client that does nothing else.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use sluice::clock::{Clock, SystemClock};

/// A client of its own.
pub(crate) struct Bare {
    _connection: Connection,
    channel: Channel,
}

impl Bare {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self { _connection: connection, channel })
    }

    /// Takes so many messages and acknowledges each.
    pub(crate) async fn consume(
        &self,
        queue: &str,
        count: usize,
        prefetch: u16,
    ) -> anyhow::Result<Duration> {
        let start = SystemClock.instant();
        self.channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = self.channel.basic_consume(queue.into(), "".into(), options, table);
        let mut messages = consumer.await?;
        for _ in 0..count {
            let message = messages.next().await.context("the broker ended it")??;
            message.ack(BasicAckOptions::default()).await?;
        }
        Ok(SystemClock.instant().saturating_duration_since(start))
    }

    /// Publishes so many messages, each confirmed, so many under way.
    pub(crate) async fn publish(
        &self,
        queue: &str,
        bytes: &[u8],
        (count, in_flight): (usize, usize),
    ) -> anyhow::Result<Duration> {
        self.channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let start = SystemClock.instant();
        stream::iter((0..count).map(|_| self.store(queue, bytes)))
            .buffer_unordered(in_flight)
            .try_collect::<()>()
            .await?;
        Ok(SystemClock.instant().saturating_duration_since(start))
    }

    async fn store(&self, queue: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = self.channel.basic_publish("".into(), queue.into(), options, bytes, properties);
        let confirmation = sent.await?.await?;
        anyhow::ensure!(confirmation == Confirmation::Ack(None), "not stored");
        Ok(())
    }

    pub(crate) async fn purge(&self, queue: &str) -> anyhow::Result<()> {
        self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
        Ok(())
    }
}
