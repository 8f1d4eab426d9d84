//! The only home of time: what o'clock it is, how long something took, waiting.
#![allow(clippy::disallowed_methods, reason = "this is where the clock is read")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

pub mod manual;

/// Time as a port, so that a test can own it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall-clock time, for people and for messages.
    fn now(&self) -> SystemTime;
    /// Monotonic time, for durations and deadlines.
    fn instant(&self) -> Instant;
    /// Returns after `duration`, never before.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Milliseconds since 1970, as messages carry them. A clock before 1970 reads as 0.
pub fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
