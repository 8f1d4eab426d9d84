//! How long a lease stands, how often it is renewed, and when its holder gives it up.
//!
//! Owns the one rule that keeps two holders from overlapping. Refuses to know who holds what.

use std::time::Duration;

/// How long a lease stands, and when its holder gives it up. See DESIGN "Exclusion".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    ttl: Duration,
    renew_every: Duration,
    fence_after: Duration,
    lock_delay: Duration,
}

/// Timings that would let two holders overlap, or renew too late.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "lease timings must obey 0 < renew_every < fence_after < ttl; \
     got {renew_every:?}, {fence_after:?}, {ttl:?}"
)]
pub struct BadTimings {
    ttl: Duration,
    renew_every: Duration,
    fence_after: Duration,
}

impl Default for Timings {
    /// 120 s, renewed every 10 s, fenced after 60 s (half the TTL is left to kill and reap Python),
    /// 30 s of lock-delay.
    fn default() -> Self {
        let [ttl, renew_every, fence_after, lock_delay] =
            [120, 10, 60, 30].map(Duration::from_secs);
        Self { ttl, renew_every, fence_after, lock_delay }
    }
}

impl Timings {
    /// Timings that fit together: `renew_every` < `fence_after` < `ttl`.
    ///
    /// After the self-fence the work has `ttl - fence_after` to end, before anybody else may begin.
    pub fn new(
        ttl: Duration,
        renew_every: Duration,
        fence_after: Duration,
        lock_delay: Duration,
    ) -> Result<Self, BadTimings> {
        if Duration::ZERO < renew_every && renew_every < fence_after && fence_after < ttl {
            Ok(Self { ttl, renew_every, fence_after, lock_delay })
        } else {
            Err(BadTimings { ttl, renew_every, fence_after })
        }
    }

    /// How often a lease is renewed.
    pub fn renew_every(&self) -> Duration {
        self.renew_every
    }

    /// How long a lease stands without a renewal.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How long after the sending of the last renewal that succeeded the holder gives up.
    pub fn fence_after(&self) -> Duration {
        self.fence_after
    }

    /// How long nobody gets a lease whose holder was lost.
    pub fn lock_delay(&self) -> Duration {
        self.lock_delay
    }

    /// For how long what works under a lease may go on without word of its holder, which may be
    /// stopped: half of what is left after the self-fence, so that with the end of its processes it
    /// is over before somebody else may begin.
    pub fn silence(&self) -> Duration {
        self.end_within() / 2
    }

    /// When a job that could not have its lease comes back, unless the store knows better.
    pub(crate) fn come_back_after(&self) -> Duration {
        self.renew_every * 3 / 2
    }

    /// How long one question to the store may take.
    pub(crate) fn answer_within(&self) -> Duration {
        self.renew_every
    }

    /// How long the work may take to end once its lease is fenced: until somebody else could begin.
    pub(super) fn end_within(&self) -> Duration {
        self.ttl.saturating_sub(self.fence_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_that_would_let_two_holders_overlap_are_refused() {
        let timings = |ttl, renew, fence| {
            let [ttl, renew, fence] = [ttl, renew, fence].map(Duration::from_secs);
            Timings::new(ttl, renew, fence, Duration::ZERO)
        };
        assert!(timings(3, 1, 2).is_ok());
        for (ttl, renew, fence) in [(2, 1, 2), (3, 2, 2), (3, 0, 2), (3, 1, 4)] {
            assert!(timings(ttl, renew, fence).is_err(), "{ttl} {renew} {fence}");
        }
    }
}
