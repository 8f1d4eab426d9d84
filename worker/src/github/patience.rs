//! How long GitHub is waited for, and how often it is asked again.
//!
//! Owns pauses and deadlines. Refuses to know what is repeated.

use std::time::{Duration, Instant};

use sluice::clock::Clock;
use sluice::github::GitHubError;

use super::limits::Failure;

/// How long GitHub is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until more of an answer arrives.
    pub read: Duration,
    /// Until one answer is complete. GitHub itself gives up on a request after 10 s.
    pub request: Duration,
    /// How long a verb of the port goes on starting requests, its retries included.
    pub verb: Duration,
    /// How often a request is sent at most.
    pub tries: u32,
    /// The first pause between two; each further one is twice as long, all with ±50 % jitter.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(15),
            request: Duration::from_secs(30),
            verb: Duration::from_secs(90),
            tries: 3,
            pause: Duration::from_millis(500),
        }
    }
}

/// The tries of one verb: counts them, and pauses between them.
pub(super) struct Tries<'a> {
    clock: &'a dyn Clock,
    patience: Patience,
    begun: Instant,
    made: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(clock: &'a dyn Clock, patience: Patience) -> Self {
        Self { clock, patience, begun: clock.instant(), made: 1 }
    }

    /// Pauses before the next try, or gives up with what failed: a final failure at once, an
    /// ambiguous one when tries or time are used up.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), GitHubError> {
        let spent = self.clock.instant().duration_since(self.begun);
        let worth = matches!(failure, Failure::Ambiguous { .. })
            && self.made < self.patience.tries
            && spent < self.patience.verb;
        if !worth {
            return Err(failure.into());
        }
        let doubled = self.patience.pause.saturating_mul(1 << (self.made - 1).min(10));
        self.made += 1;
        self.clock.sleep(doubled.mul_f64(rand::random_range(0.5..1.5))).await;
        Ok(())
    }
}
