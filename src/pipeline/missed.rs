//! Webhooks that GitHub could not deliver: they are asked for again.
//!
//! Owns since when GitHub's log is looked at. A process that was not asked for long looks back for
//! an hour only: what is older, the [sweep](super::sweep) finds by what is missing on the pull
//! requests. Refuses to know what a delivery is about.

use std::time::{Duration, SystemTime};

use crate::clock::unix_ms;
use crate::github::{GitHubError, Redelivered};
use crate::pipeline::Deps;

/// How far a first look goes back.
const LOOK_BACK: Duration = Duration::from_secs(3600);

/// Deliveries are logged when they have failed, which takes GitHub's ten seconds and some more.
const LOGGED_WITHIN: Duration = Duration::from_secs(60);

/// Looks at GitHub's log again and again.
#[derive(Debug, Default)]
pub struct Missed {
    seen_ms: Option<u64>,
}

impl Missed {
    /// Has sent again what could not be delivered since the last time; `None` where GitHub keeps
    /// no log for us.
    ///
    /// # Errors
    /// GitHub does not answer. The next time begins where this one did.
    pub async fn ask_again(&mut self, deps: &Deps) -> Result<Option<Redelivered>, GitHubError> {
        let since_ms = self.since_ms(deps.clock.now());
        let redelivered = deps.github.redeliver(since_ms).await?;
        if let Some(Redelivered { newest_ms, .. }) = redelivered {
            self.has_seen(since_ms, newest_ms);
        }
        Ok(redelivered)
    }

    fn since_ms(&self, now: SystemTime) -> u64 {
        let earliest = unix_ms(now - LOOK_BACK);
        self.seen_ms.map_or(earliest, |seen_ms| seen_ms.max(earliest))
    }

    fn has_seen(&mut self, since_ms: u64, newest_ms: u64) {
        let overlap = u64::try_from(LOGGED_WITHIN.as_millis()).unwrap_or(u64::MAX);
        self.seen_ms = Some(newest_ms.saturating_sub(overlap).max(since_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(60 * number)
    }

    #[test]
    fn the_log_is_read_on_from_where_it_ended_and_never_for_more_than_an_hour() {
        let mut missed = Missed::default();
        assert_eq!(missed.since_ms(minute(1000)), unix_ms(minute(940)));
        missed.has_seen(unix_ms(minute(940)), unix_ms(minute(999)));
        assert_eq!(missed.since_ms(minute(1005)), unix_ms(minute(998)), "one may be logged late");
        // Nothing is new.
        missed.has_seen(unix_ms(minute(998)), unix_ms(minute(998)));
        assert_eq!(missed.since_ms(minute(1010)), unix_ms(minute(998)));
        assert_eq!(missed.since_ms(minute(2000)), unix_ms(minute(1940)), "it was not asked");
    }
}
