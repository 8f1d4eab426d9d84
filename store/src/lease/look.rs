//! What those who wait go by.
//!
//! Owns when it is worth asking for a lease again, and the order in which many who wait do so.

use std::time::Duration;

use super::reply::duration;
use crate::link::Trouble;

/// How long each who waits lets the one before it go first, after a wake-up.
pub(super) const STAGGER: Duration = Duration::from_millis(2);

/// The longest that this adds up to.
pub(super) const STAGGERED_AT_MOST: Duration = Duration::from_millis(500);

/// Some leases at one moment.
pub(super) struct Look {
    /// How long nothing is granted anyway.
    frozen: Duration,
    /// When the first of them changes by itself.
    soonest: Option<Duration>,
    /// For each of them its epoch and state; empty when it is free.
    occupants: Vec<String>,
}

impl Look {
    pub(super) fn read(answer: Vec<String>) -> Result<Self, Trouble> {
        let mut answer = answer.into_iter();
        let mut next = || answer.next().unwrap_or_default();
        let frozen = duration(&next())?;
        let soonest = match next().as_str() {
            "-1" => None,
            text => Some(duration(text)?),
        };
        Ok(Self { frozen, soonest, occupants: answer.collect() })
    }

    /// Whether all are free, or one has become something else, by itself or by somebody, than a
    /// lease that somebody else holds.
    pub(super) fn is_worth_asking(&self, before: Option<&Self>) -> bool {
        if !self.frozen.is_zero() {
            return false;
        }
        let all_free = self.occupants.iter().all(String::is_empty);
        all_free
            || before.is_some_and(|before| {
                let both = self.occupants.iter().zip(&before.occupants);
                both.into_iter().any(|(now, then)| now != then && !now.ends_with(" held"))
            })
    }

    /// When this may look different without anybody's doing; `None`: never.
    pub(super) fn changes_within(&self) -> Option<Duration> {
        let frozen = (!self.frozen.is_zero()).then_some(self.frozen);
        // A moment later than Redis says: its milliseconds are cut off.
        let soonest = self.soonest.map(|soonest| soonest + Duration::from_millis(1));
        [frozen, soonest].into_iter().flatten().max()
    }
}
