//! Which webhook deliveries are done with: their jobs are stored.
//!
//! A saving of work, never a safeguard: job ids are made of the delivery's, so a repeat is
//! harmless.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sluice::clock::Clock;
use sluice::ledger::Processed;
use sluice::names::DeliveryId;

/// How long GitHub can redeliver: 3 days.
const REDELIVERED_WITHIN: Duration = Duration::from_secs(3 * 24 * 3600);

/// The most deliveries kept: the newest hundred thousand, about 15 MB.
const MOST: usize = 100_000;

/// The deliveries of the last three days, in this process's memory.
pub struct RecentDeliveries {
    clock: Arc<dyn Clock>,
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Oldest first.
    order: VecDeque<(Instant, DeliveryId)>,
    ids: HashSet<DeliveryId>,
}

impl RecentDeliveries {
    /// None so far.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::of_at_most(MOST, clock)
    }

    fn of_at_most(most: usize, clock: Arc<dyn Clock>) -> Self {
        Self { clock, most, kept: Mutex::default() }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        let now = self.clock.instant();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(|at| now.saturating_duration_since(at) > REDELIVERED_WITHIN);
        look(&mut kept)
    }
}

impl Kept {
    /// Forgets from the oldest on while `outdated`.
    fn forget(&mut self, mut outdated: impl FnMut(Instant) -> bool) {
        while let Some((at, _)) = self.order.front() {
            if !outdated(*at) {
                return;
            }
            if let Some((_, delivery)) = self.order.pop_front() {
                self.ids.remove(&delivery);
            }
        }
    }
}

#[async_trait]
impl Processed for RecentDeliveries {
    async fn contains(&self, delivery: &DeliveryId) -> bool {
        self.with(|kept| kept.ids.contains(delivery))
    }

    async fn mark(&self, deliveries: &[DeliveryId]) {
        let now = self.clock.instant();
        let most = self.most;
        self.with(|kept| {
            for delivery in deliveries {
                if kept.ids.insert(delivery.clone()) {
                    kept.order.push_back((now, delivery.clone()));
                }
            }
            let mut surplus = kept.order.len().saturating_sub(most);
            kept.forget(|_| {
                let outdated = surplus > 0;
                surplus = surplus.saturating_sub(1);
                outdated
            });
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use sluice::clock::SystemClock;

    use super::*;

    /// A clock that a test moves.
    struct Watch(Instant, Mutex<Duration>);

    #[async_trait]
    impl Clock for Watch {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }
        fn instant(&self) -> Instant {
            self.0 + *self.1.lock().unwrap()
        }
        async fn sleep(&self, _: Duration) {}
    }

    fn delivery(id: &str) -> DeliveryId {
        DeliveryId::new(id).unwrap()
    }

    #[tokio::test]
    async fn a_delivery_is_remembered_as_long_as_github_redelivers() {
        let clock = Arc::new(Watch(SystemClock.instant(), Mutex::default()));
        let deliveries = RecentDeliveries::new(clock.clone());
        deliveries.mark(&[delivery("a")]).await;
        *clock.1.lock().unwrap() = REDELIVERED_WITHIN;
        assert!(deliveries.contains(&delivery("a")).await);
        *clock.1.lock().unwrap() = REDELIVERED_WITHIN + Duration::from_secs(1);
        assert!(!deliveries.contains(&delivery("a")).await);
        assert!(deliveries.kept.lock().unwrap().order.is_empty());
    }

    #[tokio::test]
    async fn the_oldest_is_forgotten_when_there_are_too_many() {
        let deliveries = RecentDeliveries::of_at_most(2, Arc::new(SystemClock));
        deliveries.mark(&["a", "b", "b", "c"].map(delivery)).await;
        assert!(!deliveries.contains(&delivery("a")).await);
        assert!(deliveries.contains(&delivery("b")).await);
        assert!(deliveries.contains(&delivery("c")).await);
        assert_eq!(deliveries.kept.lock().unwrap().order.len(), 2);
    }
}
