//! The consumer of one project's deploys.
//!
//! Owns when this worker is subscribed: while a deploy slot is free and the project is not paused.
//! A subscription that is not entitled to a job is dropped, so that another worker's becomes the
//! active one; never while a job of it is in hand, as the broker would then hand out the next one
//! beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sluice::names::ProjectName;
use sluice::queue::{Deliveries, Delivery, Route};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::job::Jobs;
use super::outage::{Attempts, Outage};
use super::paused::{Paused, is_open};
use super::slots::DeploySlots;

/// How long a new subscription may wait for its first job before the next project subscribes. A
/// broker hands out what waits within some 10 ms; whoever comes later at worst gives a job back.
const TURN: Duration = Duration::from_millis(50);

/// What the consumers of all projects share.
#[derive(Clone)]
pub(super) struct Deploys {
    pub(super) jobs: Jobs,
    pub(super) outage: Arc<Outage>,
    pub(super) slots: DeploySlots,
    pub(super) paused: Paused,
    pub(super) turns: Arc<Turns>,
}

/// Whose turn it is to subscribe: one project after the other, in the order in which they came, so
/// that a slot that is free goes to the one that waits for it longest, and the broker does not hand
/// out more jobs than there are slots.
#[derive(Default)]
pub(super) struct Turns {
    turn: Mutex<()>,
    waiting: AtomicUsize,
}

/// Why a subscription is over.
enum Over {
    /// It ended by itself.
    Lost,
    /// It was dropped: paused, or the slots are others'.
    GivenUp,
}

impl Deploys {
    /// Runs deploys until `shutdown`, and the one in hand to its end.
    pub(super) async fn run(self, project: ProjectName, shutdown: CancellationToken) {
        let route = Route::Deploy(project.clone());
        let mut attempts = Attempts::new(self.outage.clone(), route.clone());
        let consumer = Consumer { shared: &self, project, shutdown: shutdown.clone() };
        while !shutdown.is_cancelled() {
            let subscribing = async {
                let turn = consumer.turn().await;
                (turn, self.jobs.deps.queue.consume(&route, 1).await)
            };
            let Some((turn, subscribed)) = shutdown.run_until_cancelled(subscribing).await else {
                return;
            };
            match subscribed {
                Ok(deliveries) => {
                    attempts.succeeded();
                    match consumer.consume(deliveries, turn).await {
                        Over::GivenUp => {
                            attempts.given_up();
                            continue;
                        }
                        Over::Lost => {}
                    }
                }
                Err(error) => {
                    drop(turn);
                    attempts.failed(&error);
                }
            }
            shutdown.run_until_cancelled(attempts.pause()).await;
        }
    }
}

/// One project's consumer.
struct Consumer<'a> {
    shared: &'a Deploys,
    project: ProjectName,
    shutdown: CancellationToken,
}

impl<'a> Consumer<'a> {
    /// Returns when it is this project's turn, a slot is free and it is not paused.
    async fn turn(&self) -> MutexGuard<'a, ()> {
        let Deploys { slots, turns, .. } = self.shared;
        loop {
            self.open().await;
            let waiting = Waiting::begin(&turns.waiting);
            let turn = turns.turn.lock().await;
            tokio::select! {
                biased;
                () = self.closed() => {}
                () = slots.some() => {
                    drop(waiting);
                    return turn;
                }
            }
        }
    }

    /// Takes deploys, one at a time, until the subscription is over.
    async fn consume(&self, mut deliveries: Box<dyn Deliveries>, turn: MutexGuard<'a, ()>) -> Over {
        let mut turn = Some(turn);
        loop {
            let clock = &self.shared.jobs.deps.clock;
            let delivery = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Over::GivenUp,
                () = self.closed() => return Over::GivenUp,
                () = self.shared.slots.none() => return Over::GivenUp,
                delivery = deliveries.next() => delivery,
                () = clock.sleep(TURN), if turn.is_some() => {
                    turn = None;
                    continue;
                }
            };
            let Some(delivery) = delivery else { return Over::Lost };
            if !self.run_one(delivery, turn.take()).await {
                return Over::GivenUp;
            }
        }
    }

    /// Runs a deploy to its end; the subscription stays meanwhile. `false` when it is to be given
    /// up now: the deploy was given back for want of a slot, or others wait for this one.
    async fn run_one(&self, delivery: Box<dyn Delivery>, turn: Option<MutexGuard<'a, ()>>) -> bool {
        let Some(slot) = self.shared.slots.take() else { return false };
        drop(turn);
        let job = self.shared.jobs.spawn(delivery, ()).await;
        if let Err(error) = job {
            tracing::error!(%error, "a deploy's task ended; its message comes back");
        }
        let is_wanted = self.shared.turns.waiting.load(Ordering::SeqCst) > 0;
        drop(slot);
        !is_wanted
    }

    /// Returns when the project is not paused.
    async fn open(&self) {
        self.until(|is_open| is_open).await;
    }

    /// Returns when the project is paused.
    async fn closed(&self) {
        self.until(|is_open| !is_open).await;
    }

    async fn until(&self, wanted: impl Fn(bool) -> bool) {
        let mut paused = self.shared.paused.clone();
        let seen = paused.wait_for(|paused| wanted(is_open(paused, &self.project))).await.is_ok();
        if !seen {
            // Whoever asks for pauses is gone: the worker is shutting down.
            std::future::pending::<()>().await;
        }
    }
}

/// A project that waits for its turn or for a slot, as long as this stands.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
