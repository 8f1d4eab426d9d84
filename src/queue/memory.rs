//! A queue within one process, for `sluice up`, the demo and the tests.
//!
//! Owns the order, the delays and the bounds that the contract suite
//! (`tests/it/contracts/queue.rs`) holds every adapter to. Nothing runs in the background: what has
//! come due is found out when somebody asks. A process that ends takes its jobs along.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dead::DeadLetter;
use super::{Deliveries, Delivery, Queue, QueueError, RetryPolicy, Route, Waiting};
use crate::clock::{Clock, unix_ms};
use crate::job::{Envelope, MAX_BYTES};
use crate::outcome::Disposition;

mod dead;

/// The most jobs a route holds, in hand and delayed ones too; some hundred bytes each.
pub const CAPACITY: usize = 10_000;

/// The most dead letters that are kept; the oldest is dropped, with a log line.
pub const DEAD_CAPACITY: usize = 1_000;

/// A queue in this process's memory.
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Orders messages and names consumers.
    tickets: u64,
    lines: BTreeMap<Route, Line>,
    dead: VecDeque<(Route, DeadLetter)>,
}

/// One route's jobs.
#[derive(Default)]
struct Line {
    /// By ticket, which is the order. One that is given back keeps its own, and so its place.
    ready: BTreeMap<u64, Message>,
    /// By due time. They get a new ticket when they come back.
    delayed: BTreeMap<(Instant, u64), Message>,
    /// Unsettled deliveries per consumer, which may be gone.
    in_hand: BTreeMap<u64, usize>,
    /// Who is subscribed, by the order of arrival.
    consumers: VecDeque<u64>,
}

struct Message {
    id: String,
    bytes: Vec<u8>,
    attempt: u32,
    /// When it was published, however often it came back since.
    stored: Instant,
}

impl MemoryQueue {
    /// An empty queue. `retry` says how long [`Disposition::Retry`] waits.
    pub fn new(clock: Arc<dyn Clock>, retry: RetryPolicy) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { shared: Arc::new(Shared { clock, retry, state, changed }) }
    }

    /// Stores bytes as another program might: they need not be a job.
    pub fn publish_bytes(&self, route: &Route, bytes: Vec<u8>) -> Result<(), QueueError> {
        if bytes.len() > MAX_BYTES {
            return Err(QueueError::Invalid(format!("it has {} bytes", bytes.len())));
        }
        {
            let mut state = self.shared.lock();
            let ticket = state.ticket();
            let stored = self.shared.clock.instant();
            let message = Message { id: ticket.to_string(), bytes, attempt: 0, stored };
            state.lines.entry(route.clone()).or_default().append(route, (ticket, message))?;
        }
        self.shared.changed.notify_waiters();
        Ok(())
    }

    /// What failed for good, oldest first, at most [`DEAD_CAPACITY`].
    pub fn dead(&self) -> Vec<DeadLetter> {
        self.shared.lock().dead.iter().map(|(_, letter)| letter.clone()).collect()
    }

    /// Returns when nothing is ready, delayed or in hand on any route.
    pub async fn drained(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.lock().lines.values().all(|line| line.len() == 0) {
                return;
            }
            changed.await;
        }
    }

    /// Returns when nothing is in hand and nothing could be, on any route: what is left waits for
    /// its delay.
    pub async fn resting(&self) {
        loop {
            let changed = self.shared.changed.notified();
            let now = self.shared.clock.instant();
            if self.shared.lock().lines.values().all(|line| line.is_resting(now)) {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        let bytes = envelope.to_bytes().map_err(|e| QueueError::Invalid(e.to_string()))?;
        self.publish_bytes(&Route::of(&envelope.job), bytes)
    }

    async fn consume(
        &self,
        route: &Route,
        prefetch: u16,
    ) -> Result<Box<dyn Deliveries>, QueueError> {
        let mut state = self.shared.lock();
        let consumer = state.ticket();
        state.lines.entry(route.clone()).or_default().consumers.push_back(consumer);
        Ok(Box::new(Subscription {
            shared: self.shared.clone(),
            route: route.clone(),
            consumer,
            prefetch: usize::from(prefetch.max(1)),
        }))
    }

    async fn waiting(&self, route: &Route) -> Result<Waiting, QueueError> {
        let now = self.shared.clock.instant();
        let state = self.shared.lock();
        let Some(line) = state.lines.get(route) else { return Ok(Waiting::default()) };
        let ready = || line.ready.values().chain(line.overdue(now));
        let jobs = u64::try_from(ready().count()).unwrap_or(u64::MAX);
        let oldest = ready().map(|m| now.saturating_duration_since(m.stored)).max();
        Ok(Waiting { jobs, oldest })
    }

    async fn delayed(&self) -> Result<u64, QueueError> {
        let (now, state) = (self.shared.clock.instant(), self.shared.lock());
        let delayed =
            state.lines.values().map(|line| line.delayed.len() - line.overdue(now).count());
        Ok(u64::try_from(delayed.sum::<usize>()).unwrap_or(u64::MAX))
    }

    async fn dead_letters(&self) -> Result<u64, QueueError> {
        Ok(u64::try_from(self.shared.lock().dead.len()).unwrap_or(u64::MAX))
    }

    async fn check(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

struct Subscription {
    shared: Arc<Shared>,
    route: Route,
    consumer: u64,
    prefetch: usize,
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        loop {
            let changed = self.shared.changed.notified();
            match self.take() {
                Turn::Job(job) => return Some(Box::new(job)),
                Turn::Wait(None) => changed.await,
                Turn::Wait(Some(due)) => tokio::select! {
                    () = changed => {}
                    () = self.shared.clock.sleep(due) => {}
                },
            }
        }
    }
}

impl Subscription {
    fn take(&self) -> Turn {
        let mut state = self.shared.lock();
        let now = self.shared.clock.instant();
        let due = state.promote(&self.route, now);
        let line = state.lines.entry(self.route.clone()).or_default();
        if !line.may_take(self) {
            return Turn::Wait(None);
        }
        let Some((ticket, message)) = line.ready.pop_first() else { return Turn::Wait(due) };
        *line.in_hand.entry(self.consumer).or_default() += 1;
        Turn::Job(InHand {
            shared: self.shared.clone(),
            route: self.route.clone(),
            consumer: self.consumer,
            ticket,
            message: Some(message),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(line) = self.shared.lock().lines.get_mut(&self.route) {
            line.consumers.retain(|consumer| *consumer != self.consumer);
        }
        self.shared.changed.notify_waiters();
    }
}

/// What a consumer does next.
enum Turn {
    Job(InHand),
    /// Nothing to take before something changes, or this long has passed.
    Wait(Option<Duration>),
}

struct InHand {
    shared: Arc<Shared>,
    route: Route,
    consumer: u64,
    ticket: u64,
    message: Option<Message>, // `None` once it is settled
}

#[async_trait]
impl Delivery for InHand {
    fn bytes(&self) -> &[u8] {
        self.message.as_ref().map_or(&[], |message| &message.bytes)
    }

    fn message(&self) -> &str {
        self.message.as_ref().map_or("", |message| &message.id)
    }

    fn lost(&self) -> CancellationToken {
        // This process's memory lasts as long as its jobs.
        CancellationToken::new()
    }

    fn attempt(&self) -> u32 {
        self.message.as_ref().map_or(0, |message| message.attempt)
    }

    async fn settle(mut self: Box<Self>, disposition: Disposition) -> Result<(), QueueError> {
        self.close(disposition);
        Ok(())
    }
}

impl InHand {
    fn close(&mut self, disposition: Disposition) {
        let Some(mut message) = self.message.take() else { return };
        {
            let mut state = self.shared.lock();
            state.hand_back(&self.route, self.consumer);
            match disposition {
                Disposition::Done => {}
                Disposition::Later(delay) => self.delay(&mut state, message, delay),
                Disposition::Retry => {
                    let delay = self.shared.retry.delay(message.attempt);
                    message.attempt += 1;
                    self.delay(&mut state, message, delay);
                }
                Disposition::Requeue => {
                    let line = state.lines.entry(self.route.clone()).or_default();
                    line.ready.insert(self.ticket, message);
                }
                Disposition::Dead(reason) => {
                    let Message { id, bytes, attempt, .. } = message;
                    let died_ms = Some(unix_ms(self.shared.clock.now()));
                    let queue = self.route.queue();
                    let letter = DeadLetter { id, queue, bytes, attempt, reason, died_ms };
                    state.bury(self.route.clone(), letter);
                }
            }
        }
        self.shared.changed.notify_waiters();
    }

    fn delay(&self, state: &mut State, message: Message, delay: Duration) {
        let due = self.shared.clock.instant() + delay;
        let ticket = state.ticket();
        let line = state.lines.entry(self.route.clone()).or_default();
        line.delayed.insert((due, ticket), message);
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.close(Disposition::Requeue);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Puts what has come due at the tail; says how long until the next does.
    fn promote(&mut self, route: &Route, now: Instant) -> Option<Duration> {
        let line = self.lines.get_mut(route)?;
        while let Some(entry) = line.delayed.first_entry() {
            let (due, _) = *entry.key();
            if due > now {
                return Some(due.saturating_duration_since(now));
            }
            self.tickets += 1;
            line.ready.insert(self.tickets, entry.remove());
        }
        None
    }

    fn hand_back(&mut self, route: &Route, consumer: u64) {
        let Some(line) = self.lines.get_mut(route) else { return };
        if let Some(count) = line.in_hand.get_mut(&consumer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                line.in_hand.remove(&consumer);
            }
        }
    }
}

impl Line {
    fn append(&mut self, route: &Route, new: (u64, Message)) -> Result<(), QueueError> {
        if self.len() >= CAPACITY {
            return Err(QueueError::Unavailable(format!("{} is full", route.queue())));
        }
        self.ready.extend([new]);
        Ok(())
    }

    fn len(&self) -> usize {
        self.ready.len() + self.delayed.len() + self.in_hand.values().sum::<usize>()
    }

    fn is_resting(&self, now: Instant) -> bool {
        let is_in_hand = self.in_hand.values().any(|count| *count > 0);
        self.ready.is_empty() && !is_in_hand && self.overdue(now).next().is_none()
    }

    /// What has come due, and nobody has asked since.
    fn overdue(&self, now: Instant) -> impl Iterator<Item = &Message> {
        self.delayed.range(..=(now, u64::MAX)).map(|(_, message)| message)
    }

    fn may_take(&self, asker: &Subscription) -> bool {
        match asker.route {
            Route::Deploy(_) => {
                self.in_hand.is_empty() && self.consumers.front() == Some(&asker.consumer)
            }
            Route::Approval | Route::Gate => {
                self.in_hand.get(&asker.consumer).copied().unwrap_or(0) < asker.prefetch
            }
        }
    }
}
