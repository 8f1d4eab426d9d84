//! Time that a story lets pass: the machine's clock, set ahead, for the town and its GitHub alike.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use sluice::clock::{Clock, SystemClock};
use sluice::queue::Queue as _;
use tokio::sync::watch;

use super::{PATIENCE, Town};

/// How far the clock is set ahead at once while something waits for its time.
const STEP: Duration = Duration::from_millis(500);

/// The machine's clock, until it is set ahead.
#[derive(Default)]
pub struct Ahead(watch::Sender<Duration>);

impl Ahead {
    fn by(&self) -> Duration {
        *self.0.borrow()
    }
}

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemClock.now() + self.by()
    }

    fn instant(&self) -> Instant {
        SystemClock.instant() + self.by()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.instant() + duration;
        let mut set = self.0.subscribe();
        loop {
            set.mark_unchanged();
            let left = until.saturating_duration_since(self.instant());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = SystemClock.sleep(left) => {}
                changed = set.changed() => changed.expect("the sender is ours"),
            }
        }
    }
}

impl Town {
    /// Sets all clocks ahead.
    pub async fn leaps(&self, by: Duration) {
        let ahead = move |world: &mut sluice_sim::World| {
            world.clock().advance(by);
            Ok(())
        };
        self.github.change(ahead).await.unwrap();
        self.clock.0.send_modify(|sum| *sum += by);
    }

    /// Lets time pass until then; what works meanwhile is waited for.
    pub async fn passes(&self, until: Instant) {
        let left = until.saturating_duration_since(self.clock.instant());
        self.leaps(left).await;
        self.until_resting().await;
    }

    /// Waits until no job runs or could run and no webhook is on its way; some may wait for their
    /// time.
    async fn until_resting(&self) {
        let resting = async {
            for _ in 0..2 {
                self.github.until_delivered(PATIENCE).await.unwrap();
                self.queue.resting().await;
            }
        };
        let resting = tokio::time::timeout(PATIENCE, resting).await;
        assert!(resting.is_ok(), "still busy:\n{}", self.heard.all());
    }

    /// Waits until everything is done; lets time pass for what waits for its time.
    pub async fn until_all_is_done(&self) {
        loop {
            self.until_resting().await;
            if self.queue.delayed().await.unwrap() == 0 {
                return;
            }
            self.leaps(STEP).await;
        }
    }
}

/// A clock for a town.
pub fn clock() -> Arc<Ahead> {
    Arc::default()
}
