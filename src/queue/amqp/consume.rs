//! Subscriptions: one channel each, so that what closes one leaves the others alone.
//!
//! Owns how a subscription ends. Whoever cancels a consumer that still has a deploy in hand lets
//! the next deploy out, so a dropped subscription stays until everything in hand is settled; only
//! then its channel is closed, which also gives back what came meanwhile.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Shared;
use super::delivery::{Grip, InHand};
use super::link::{broke, close};
use crate::queue::{Deliveries, Delivery, QueueError, Route};

/// How often a channel whose consumer is cancelled is looked at: nothing else tells that it closed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a worker holds of a subscription.
pub(super) struct Subscription {
    jobs: mpsc::Receiver<InHand>,
    /// Told before `jobs` goes, so that what is in it knows whither.
    retiring: CancellationToken,
}

/// Subscribes; the queue is made if it is gone.
pub(super) async fn subscribe(
    shared: &Arc<Shared>,
    route: &Route,
    prefetch: u16,
) -> Result<Subscription, QueueError> {
    let prefetch = match route {
        Route::Deploy(_) => 1,
        Route::Approval | Route::Gate => prefetch.max(1),
    };
    let queue = shared.topology.queue(route);
    let subscribed = async {
        let up = shared.consuming.up().await?;
        let unfinished = Unfinished::on(up.channel().await.map_err(broke)?);
        let channel = &unfinished.channel;
        let declared = shared.topology.declare_route(channel, route).await;
        declared.map_err(|error| QueueError::Unavailable(error.to_string()))?;
        // Per consumer: quorum queues know no bound for a whole channel.
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(broke)?;
        let options = BasicConsumeOptions::default();
        let (tag, table) = (ShortString::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.as_str().into(), tag, options, table).await;
        let consumer = consumer.map_err(broke)?;
        Ok((up.number, unfinished.finished(), consumer))
    };
    let (connection, channel, consumer) =
        shared.consuming.within(shared.settings.timeouts.request, subscribed).await?;
    let (sender, jobs) = mpsc::channel(usize::from(prefetch));
    let retiring = CancellationToken::new();
    let grip = Grip {
        shared: shared.clone(),
        route: route.clone(),
        lost: CancellationToken::new(),
        retiring: retiring.clone(),
    };
    let (grip, held) = (Arc::new(grip), TaskTracker::new());
    tokio::spawn(Pump { grip, channel, connection, consumer, jobs: sender, held }.run());
    Ok(Subscription { jobs, retiring })
}

/// A channel on which a subscription is made. One that is given up on the way (the broker was slow,
/// the worker is told to stop) is closed: a consumer that the broker got to know and nobody listens
/// to would be the active one, and hold its queue for as long as the connection lives.
struct Unfinished {
    channel: Channel,
    is_finished: bool,
}

impl Unfinished {
    fn on(channel: Channel) -> Self {
        Self { channel, is_finished: false }
    }

    fn finished(mut self) -> Channel {
        self.is_finished = true;
        self.channel.clone()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            let channel = self.channel.clone();
            // The broker answers in its time, or the connection ends: both end the consumer.
            tokio::spawn(async move { close(&channel).await });
        }
    }
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        loop {
            let job = self.jobs.recv().await?;
            // What was lost before anybody saw it comes back by itself.
            if !job.lost().is_cancelled() {
                return Some(Box::new(job));
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.retiring.cancel();
    }
}

/// Brings deliveries from the channel, and knows when it is over.
struct Pump {
    grip: Arc<Grip>,
    channel: Channel,
    /// The number of its connection.
    connection: u64,
    consumer: Consumer,
    jobs: mpsc::Sender<InHand>,
    /// What is in hand.
    held: TaskTracker,
}

impl Pump {
    async fn run(mut self) {
        let link = self.grip.shared.consuming.clone();
        loop {
            tokio::select! {
                biased;
                () = self.grip.retiring.cancelled() => return self.retire().await,
                delivery = self.consumer.next() => match delivery {
                    Some(Ok(delivery)) => self.hand_out(delivery),
                    Some(Err(error)) => {
                        tracing::warn!(queue = self.grip.route.queue(), %error, "lost its channel");
                        break;
                    }
                    None => {
                        tracing::warn!(queue = self.grip.route.queue(), "the broker ended it");
                        break;
                    }
                },
                () = link.lost(self.connection) => break,
            }
        }
        self.lose().await;
    }

    fn hand_out(&self, delivery: lapin::message::Delivery) {
        let job = InHand::new(self.grip.clone(), delivery, self.held.token());
        // It has room for as many as the broker lets out. What does not fit is dropped, and so
        // given back.
        if self.jobs.try_send(job).is_err() {
            tracing::debug!(queue = self.grip.route.queue(), "nobody takes it; it goes back");
        }
    }

    /// Everything in hand is somebody else's now.
    async fn lose(self) {
        self.grip.lost.cancel();
        // The consumer alone may have ended; the rest of the channel must not linger.
        self.close().await;
    }

    /// Ends it as soon as nothing is in hand.
    async fn retire(mut self) {
        let is_shared = !matches!(self.grip.route, Route::Deploy(_));
        if is_shared && !self.held.is_empty() {
            let cancel =
                self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
            let limit = self.grip.shared.settings.timeouts.request;
            if let Ok(Err(error)) = timeout(limit, cancel).await {
                tracing::debug!(%error, "a consumer was cancelled already");
            }
        }
        self.held.close();
        let link = self.grip.shared.consuming.clone();
        let mut look = tokio::time::interval(LOOK_EVERY);
        while !self.held.is_empty() {
            tokio::select! {
                () = self.held.wait() => break,
                () = link.lost(self.connection) => return self.lose().await,
                _ = look.tick() => {
                    if !self.channel.status().connected() {
                        return self.lose().await;
                    }
                }
                // What was on its way when the consumer was cancelled.
                Some(Ok(delivery)) = self.consumer.next(), if is_shared => self.hand_out(delivery),
            }
        }
        self.close().await;
    }

    async fn close(self) {
        let limit = self.grip.shared.settings.timeouts.request;
        if timeout(limit, close(&self.channel)).await.is_err() {
            tracing::debug!("a channel did not close in time");
        }
    }
}
