//! The queue: every publication and every settlement is told before and after it happens.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sluice::job::Envelope;
use sluice::outcome::Disposition;
use sluice::queue::{Deliveries, Delivery, Queue, QueueError, Route, Waiting};
use tokio_util::sync::CancellationToken;

use super::{Around, Guard};
use crate::history::{Happened, History, JobLine};
use crate::points::When;

/// How often a job is stored when it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Published {
    /// Once.
    Once,
    /// Twice: as two messages, as a publisher makes them that lost a confirm.
    Twice,
}

/// A queue whose effects have points.
pub struct Pointed {
    inner: Arc<dyn Queue>,
    around: Around,
}

impl Pointed {
    pub(crate) fn new(inner: Arc<dyn Queue>, around: Around) -> Self {
        Self { inner, around }
    }
}

fn line(envelope: &Envelope, message: Option<&str>) -> JobLine {
    JobLine {
        job: envelope.id.to_string(),
        kind: envelope.job.kind().label().to_owned(),
        pr: envelope.job.pr().0,
        message: message.map(str::to_owned),
    }
}

#[async_trait]
impl Queue for Pointed {
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        let job = line(envelope, None);
        let effect = format!("queue.publish.{}", job.kind);
        self.around.points.reach(&effect, When::Before);
        let times = if self.around.published == Published::Twice { 2 } else { 1 };
        for _ in 0..times {
            self.around.history.append(Happened::Publishing(job.clone()));
            self.inner.publish(envelope).await?;
            self.around.history.append(Happened::Published(job.clone()));
        }
        self.around.points.reach(&effect, When::After);
        Ok(())
    }

    async fn consume(
        &self,
        route: &Route,
        prefetch: u16,
    ) -> Result<Box<dyn Deliveries>, QueueError> {
        let inner = self.inner.consume(route, prefetch).await?;
        Ok(Box::new(PointedDeliveries { inner, around: self.around.clone() }))
    }

    async fn waiting(&self, route: &Route) -> Result<Waiting, QueueError> {
        self.inner.waiting(route).await
    }

    async fn delayed(&self) -> Result<u64, QueueError> {
        self.inner.delayed().await
    }

    async fn dead_letters(&self) -> Result<u64, QueueError> {
        self.inner.dead_letters().await
    }

    async fn check(&self) -> Result<(), QueueError> {
        self.inner.check().await
    }
}

struct PointedDeliveries {
    inner: Box<dyn Deliveries>,
    around: Around,
}

#[async_trait]
impl Deliveries for PointedDeliveries {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let inner = self.inner.next().await?;
        let job = match Envelope::from_bytes(inner.bytes()) {
            Ok(envelope) => line(&envelope, Some(inner.message())),
            // Poison has no kind; it is settled all the same.
            Err(_) => JobLine {
                job: String::new(),
                kind: "none".to_owned(),
                pr: 0,
                message: Some(inner.message().to_owned()),
            },
        };
        self.around.history.append(Happened::Delivered(job.clone()));
        let around = self.around.clone();
        let hand = Hand { history: around.history.clone(), job, settled: false };
        if around.lacks(Guard::Redelivery) {
            let spent = Spent {
                bytes: inner.bytes().to_vec(),
                message: inner.message().to_owned(),
                attempt: inner.attempt(),
            };
            inner.settle(Disposition::Done).await.ok()?;
            return Some(Box::new(PointedDelivery { inner: Box::new(spent), around, hand }));
        }
        Some(Box::new(PointedDelivery { inner, around, hand }))
    }
}

/// A delivery whose settlement has points.
struct PointedDelivery {
    inner: Box<dyn Delivery>,
    around: Around,
    hand: Hand,
}

/// A message in hand: leaving it unsettled is told too.
struct Hand {
    history: History,
    job: JobLine,
    settled: bool,
}

impl Drop for Hand {
    fn drop(&mut self) {
        if !self.settled {
            self.history.append(Happened::Lost { job: self.job.clone() });
        }
    }
}

#[async_trait]
impl Delivery for PointedDelivery {
    fn bytes(&self) -> &[u8] {
        self.inner.bytes()
    }

    fn message(&self) -> &str {
        self.inner.message()
    }

    fn lost(&self) -> CancellationToken {
        self.inner.lost()
    }

    fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    async fn settle(self: Box<Self>, disposition: Disposition) -> Result<(), QueueError> {
        let Self { inner, around, mut hand } = *self;
        let job = hand.job.clone();
        let effect = format!("queue.settle.{}", job.kind);
        let label = disposition.label().to_owned();
        let told = Happened::Settling { job: job.clone(), disposition: label.clone() };
        around.points.reach(&effect, When::Before);
        around.history.append(told);
        inner.settle(disposition).await?;
        hand.settled = true;
        around.history.append(Happened::Settled { job, disposition: label });
        around.points.reach(&effect, When::After);
        Ok(())
    }
}

/// A message that was settled before it was run.
struct Spent {
    bytes: Vec<u8>,
    message: String,
    attempt: u32,
}

#[async_trait]
impl Delivery for Spent {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn message(&self) -> &str {
        &self.message
    }

    fn lost(&self) -> CancellationToken {
        CancellationToken::new()
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    async fn settle(self: Box<Self>, _disposition: Disposition) -> Result<(), QueueError> {
        Ok(())
    }
}
