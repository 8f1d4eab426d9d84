//! A queue whose deliveries can be lost while their jobs run, as RabbitMQ's are when a connection
//! breaks or a consumer times out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sluice::job::Envelope;
use sluice::outcome::Disposition;
use sluice::queue::memory::MemoryQueue;
use sluice::queue::{Deliveries, Delivery, Queue, QueueError, Route, Waiting};
use tokio_util::sync::CancellationToken;

/// A job in hand that may be lost.
#[derive(Clone)]
struct Hand {
    route: Route,
    inner: Arc<Mutex<Option<Box<dyn Delivery>>>>,
    lost: CancellationToken,
}

pub struct Losing {
    queue: Arc<MemoryQueue>,
    hands: Arc<Mutex<Vec<Hand>>>,
    is_full: AtomicBool,
}

impl Losing {
    pub(super) fn new(queue: Arc<MemoryQueue>) -> Self {
        Self { queue, hands: Arc::default(), is_full: AtomicBool::default() }
    }

    /// Does not store the next job that is published.
    pub fn refuses_the_next(&self) {
        self.is_full.store(true, Ordering::SeqCst);
    }

    /// Loses everything that is in hand of a route; says how much that was.
    pub fn loses(&self, route: &Route) -> usize {
        let mut lost = 0;
        for hand in self.hands.lock().unwrap().iter().filter(|hand| hand.route == *route) {
            // Dropped, it goes back to the head of its queue.
            if hand.inner.lock().unwrap().take().is_some() {
                lost += 1;
                hand.lost.cancel();
            }
        }
        lost
    }
}

#[async_trait]
impl Queue for Losing {
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        if self.is_full.swap(false, Ordering::SeqCst) {
            return Err(QueueError::Unavailable("full".to_owned()));
        }
        self.queue.publish(envelope).await
    }

    async fn consume(
        &self,
        route: &Route,
        prefetch: u16,
    ) -> Result<Box<dyn Deliveries>, QueueError> {
        let inner = self.queue.consume(route, prefetch).await?;
        let (route, hands) = (route.clone(), self.hands.clone());
        Ok(Box::new(Subscription { inner, route, hands }))
    }

    async fn waiting(&self, route: &Route) -> Result<Waiting, QueueError> {
        self.queue.waiting(route).await
    }

    async fn delayed(&self) -> Result<u64, QueueError> {
        self.queue.delayed().await
    }

    async fn dead_letters(&self) -> Result<u64, QueueError> {
        self.queue.dead_letters().await
    }

    async fn check(&self) -> Result<(), QueueError> {
        self.queue.check().await
    }
}

struct Subscription {
    inner: Box<dyn Deliveries>,
    route: Route,
    hands: Arc<Mutex<Vec<Hand>>>,
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let delivery = self.inner.next().await?;
        let (bytes, message) = (delivery.bytes().to_vec(), delivery.message().to_owned());
        let attempt = delivery.attempt();
        let inner = Arc::new(Mutex::new(Some(delivery)));
        let hand = Hand { route: self.route.clone(), inner, lost: CancellationToken::new() };
        self.hands.lock().unwrap().push(hand.clone());
        Some(Box::new(InHand { hand, bytes, message, attempt }))
    }
}

struct InHand {
    hand: Hand,
    bytes: Vec<u8>,
    message: String,
    attempt: u32,
}

#[async_trait]
impl Delivery for InHand {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn message(&self) -> &str {
        &self.message
    }

    fn lost(&self) -> CancellationToken {
        self.hand.lost.clone()
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    async fn settle(self: Box<Self>, disposition: Disposition) -> Result<(), QueueError> {
        let inner = self.hand.inner.lock().unwrap().take();
        inner.ok_or(QueueError::Lost)?.settle(disposition).await
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        drop(self.hand.inner.lock().unwrap().take());
    }
}
