//! A queue that is away: how long it is left alone, and what is logged of it.
//!
//! Owns the back-off, and one line at the beginning and the end of an outage, however many routes
//! notice it and however often they ask.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sluice::clock::Clock;
use sluice::queue::Route;

/// How long a subscription that ended is left alone before it is made anew, the first time.
const FIRST: Duration = Duration::from_millis(250);

/// The longest that it is left alone: what waits is taken up soon after the queue is back.
const LONGEST: Duration = Duration::from_secs(5);

/// A subscription that stood for this long was sound: the next one is tried early again.
const SOUND_AFTER: Duration = Duration::from_secs(10);

/// What this worker knows of its queue being away.
pub(super) struct Outage {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    away: BTreeSet<Route>,
    since: Option<Instant>,
}

impl Outage {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// A route cannot be consumed. Says whether that is news.
    fn begins(&self, route: &Route, error: &dyn Display) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.away.is_empty();
        state.away.insert(route.clone());
        if is_news {
            state.since = Some(self.clock.instant());
            tracing::warn!(queue = route.queue(), %error, "cannot consume; trying again and again");
        } else {
            tracing::debug!(queue = route.queue(), %error, "cannot consume");
        }
        is_news
    }

    /// A route is consumed. Says whether that ends an outage.
    fn ends(&self, route: &Route) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.away.remove(route) || !state.away.is_empty() {
            return false;
        }
        let since = state.since.take().unwrap_or_else(|| self.clock.instant());
        let away_ms = self.clock.instant().saturating_duration_since(since).as_millis();
        let away_ms = u64::try_from(away_ms).unwrap_or(u64::MAX);
        tracing::info!(away_ms, "jobs are consumed again");
        true
    }
}

/// One route's attempts to consume.
pub(super) struct Attempts {
    outage: Arc<Outage>,
    route: Route,
    failed: u32,
    began: Option<Instant>,
}

impl Attempts {
    pub(super) fn new(outage: Arc<Outage>, route: Route) -> Self {
        Self { outage, route, failed: 0, began: None }
    }

    /// A subscription stands.
    pub(super) fn succeeded(&mut self) {
        self.outage.ends(&self.route);
        self.began = Some(self.outage.clock.instant());
    }

    /// None could be had.
    pub(super) fn failed(&mut self, error: &dyn Display) {
        self.outage.begins(&self.route, error);
    }

    /// The subscription was given up, not lost: the next one need not wait.
    pub(super) fn given_up(&mut self) {
        (self.failed, self.began) = (0, None);
    }

    /// Waits before the next attempt: longer each time, and not all routes and workers at once.
    pub(super) async fn pause(&mut self) {
        let clock = &self.outage.clock;
        let stood = self.began.take();
        let stood = stood.map(|began| clock.instant().saturating_duration_since(began));
        if stood.is_some_and(|stood| stood >= SOUND_AFTER) {
            self.failed = 0;
        }
        clock.sleep(pause(self.failed).mul_f64(rand::random_range(0.5..1.0))).await;
        self.failed = self.failed.saturating_add(1);
    }
}

/// The longest pause after so many attempts that failed.
fn pause(failed: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(failed)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sluice::clock::manual::ManualClock;
    use sluice::names::ProjectName;

    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<u128> = [0, 1, 2, 4, 5, 40].map(|n| pause(n).as_millis()).to_vec();
        assert_eq!(pauses, [250, 500, 1000, 4000, 5000, 5000]);
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        let outage = Outage::new(Arc::new(ManualClock::new()));
        let deploy = Route::Deploy(ProjectName::new("w").unwrap());
        assert!(outage.begins(&Route::Gate, &"away"));
        assert!(!outage.begins(&Route::Gate, &"away"));
        assert!(!outage.begins(&deploy, &"away"));
        assert!(!outage.ends(&Route::Gate), "one route is away still");
        assert!(!outage.ends(&Route::Approval), "it was never away");
        assert!(outage.ends(&deploy));
        assert!(!outage.ends(&deploy));
        assert!(outage.begins(&Route::Gate, &"away"), "the next outage is news again");
    }

    #[tokio::test]
    async fn a_subscription_that_stood_is_made_anew_early() {
        let clock = Arc::new(ManualClock::new());
        let outage = Arc::new(Outage::new(clock.clone()));
        let mut attempts = Attempts::new(outage, Route::Gate);
        attempts.failed = 10;
        attempts.succeeded();
        clock.advance(SOUND_AFTER).await;
        tokio::join!(attempts.pause(), async {
            clock.sleepers(1).await;
            clock.advance(FIRST).await;
        });
        assert_eq!(attempts.failed, 1);
    }
}
