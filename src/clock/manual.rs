//! A clock that stands still until somebody moves it, for tests and contract suites.
//!
//! Owns the pretended time and who sleeps in it. Refuses to know what they sleep for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use super::{Clock, SystemClock};

/// How often [`ManualClock::advance`] lets other tasks run after each sleeper it wakes: more than
/// the longest chain of tasks that wake each other here.
const YIELDS: usize = 64;

/// Where its wall clock starts: 2026-01-01T00:00:00Z, so that what people read is always the same.
const START: Duration = Duration::from_secs(1_767_225_600);

/// A clock that a test moves. Time passes only in [`advance`](Self::advance).
#[derive(Debug)]
pub struct ManualClock {
    origin: Instant,
    state: Mutex<State>,
    slept: Notify,
}

#[derive(Debug, Default)]
struct State {
    elapsed: Duration,
    tickets: u64,
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self {
            origin: SystemClock.instant(),
            state: Mutex::new(State::default()),
            slept: Notify::new(),
        }
    }
}

impl ManualClock {
    /// A clock at the start of 2026.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass, from sleeper to sleeper: each wakes at its own time, and what it sets off
    /// runs before time goes on. Meant for a current-thread runtime.
    pub async fn advance(&self, by: Duration) {
        let end = self.lock().elapsed + by;
        settle().await;
        while let Some(sleeper) = self.wake_next(end) {
            // A sleeper that was dropped meanwhile has nobody to tell.
            if sleeper.send(()).is_ok() {
                settle().await;
            }
        }
        self.lock().elapsed = end;
    }

    /// Time passes and nobody wakes: a machine that was suspended, a runtime that is stalled.
    pub fn leap(&self, by: Duration) {
        self.lock().elapsed += by;
    }

    /// Returns when at least `count` tasks sleep: what a test awaits before it moves the clock.
    pub async fn sleepers(&self, count: usize) {
        loop {
            let slept = self.slept.notified();
            let asleep = {
                let mut state = self.lock();
                state.sleepers.retain(|_, sleeper| !sleeper.is_closed());
                state.sleepers.len()
            };
            if asleep >= count {
                return;
            }
            slept.await;
        }
    }

    fn wake_next(&self, end: Duration) -> Option<oneshot::Sender<()>> {
        let mut state = self.lock();
        let entry = state.sleepers.first_entry().filter(|entry| entry.key().0 <= end)?;
        let ((due, _), sleeper) = entry.remove_entry();
        state.elapsed = state.elapsed.max(due);
        Some(sleeper)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn settle() {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + START + self.lock().elapsed
    }

    fn instant(&self) -> Instant {
        self.origin + self.lock().elapsed
    }

    async fn sleep(&self, duration: Duration) {
        let (sleeper, woken) = oneshot::channel();
        {
            let mut state = self.lock();
            let due = state.elapsed.saturating_add(duration);
            if due <= state.elapsed {
                return;
            }
            state.tickets += 1;
            let ticket = state.tickets;
            state.sleepers.insert((due, ticket), sleeper);
        }
        self.slept.notify_waiters();
        // An error means that the clock is gone, and with it all time: nobody is left to wake us.
        if woken.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_times() {
        let clock = Arc::new(ManualClock::new());
        let start = clock.instant();
        let (seen, mut order) = tokio::sync::mpsc::unbounded_channel();
        for seconds in [3, 1, 2] {
            let (clock, seen) = (clock.clone(), seen.clone());
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                seen.send((seconds, clock.instant().duration_since(start).as_secs())).ok();
            });
        }
        clock.sleepers(3).await;
        clock.advance(Duration::from_millis(2500)).await;
        assert_eq!(order.try_recv(), Ok((1, 1)));
        assert_eq!(order.try_recv(), Ok((2, 2)));
        assert!(order.try_recv().is_err(), "nobody wakes early");
        assert_eq!(clock.instant().duration_since(start), Duration::from_millis(2500));
    }
}
