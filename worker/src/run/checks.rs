//! The consumer of a route that all workers share: approval, gate.

use std::sync::Arc;

use sluice::queue::Route;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::job::Jobs;
use super::outage::{Attempts, Outage};

/// One route's consumer. It has as many jobs in hand as it has slots.
pub(super) struct Checks {
    pub(super) jobs: Jobs,
    pub(super) outage: Arc<Outage>,
    pub(super) route: Route,
    pub(super) slots: u16,
}

impl Checks {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut attempts = Attempts::new(self.outage.clone(), self.route.clone());
        let slots = Arc::new(Semaphore::new(usize::from(self.slots.max(1))));
        let consuming = async {
            loop {
                self.consume(&slots, &mut attempts).await;
                attempts.pause().await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = consuming => {}
        }
    }

    /// Takes jobs until the subscription ends: a slot first, then a job for it.
    async fn consume(&self, slots: &Arc<Semaphore>, attempts: &mut Attempts) {
        let queue = &self.jobs.deps.queue;
        let mut deliveries = match queue.consume(&self.route, self.slots.max(1)).await {
            Ok(deliveries) => deliveries,
            Err(error) => return attempts.failed(&error),
        };
        attempts.succeeded();
        // The semaphore is never closed.
        while let Ok(slot) = Arc::clone(slots).acquire_owned().await {
            let Some(delivery) = deliveries.next().await else { return };
            self.jobs.spawn(delivery, slot);
        }
    }
}
