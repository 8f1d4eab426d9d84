//! What was heard and seen of one pull request lately, and who is to wait for what.
//!
//! Owns what a burst of pushes is. Pure: ages come from the ledger, by one clock.

use std::time::Duration;

use crate::names::Sha;

/// How many pushes are remembered: as many as a burst is told by.
pub const MOST_PUSHES: usize = 3;

/// What was heard and seen of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lately {
    /// The number of the newest event; 0 when none is known.
    pub heard: u64,
    /// All events up to this number were looked at.
    pub looked: u64,
    /// The head that GitHub named last.
    pub head: Option<SeenHead>,
    /// The head that an event named last.
    pub named: Option<Sha>,
    /// How long ago another head was heard of or seen, the newest first; [`MOST_PUSHES`] at most.
    pub pushes: Vec<Duration>,
}

/// A head that GitHub named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHead {
    /// The commit.
    pub sha: Sha,
    /// For how long nobody has seen another one.
    pub since: Duration,
}

impl Lately {
    /// Whether a look is done that began after this event was heard of.
    ///
    /// What a look reads may lag behind what events tell. So the last event that names a head is
    /// not done before that head was seen.
    pub fn is_done(&self, number: u64, named: Option<&Sha>) -> bool {
        let is_last = named.is_some() && self.named.as_ref() == named;
        self.looked >= number && !(is_last && self.head.as_ref().map(|seen| &seen.sha) != named)
    }

    /// For how much longer no gate check of this head (`None`: of whatever is current) is begun,
    /// because more pushes may follow. A push that follows none is never waited for.
    ///
    /// Another head than the one that was seen last is not made to wait: GitHub says which of them
    /// is the older one.
    pub fn unsettled(&self, head: Option<&Sha>, settle: Duration) -> Option<Duration> {
        if self.names_another(head) || !self.is_burst(2, settle) {
            return None;
        }
        self.pushes.first().map(|newest| settle.saturating_sub(*newest))
    }

    /// For how much longer a head that an event names is not looked at: in a burst one look in that
    /// time has to do. The first two pushes are looked at at once; so is an event about the head
    /// that was seen last, or about none.
    pub fn put_off(&self, named: Option<&Sha>, settle: Duration) -> Option<Duration> {
        let seen = self.head.as_ref()?;
        let is_put_off =
            self.names_another(named) && self.is_burst(3, settle) && seen.since < settle;
        is_put_off.then(|| settle.saturating_sub(seen.since))
    }

    /// Whether it is about another head than the one that was seen last.
    fn names_another(&self, head: Option<&Sha>) -> bool {
        let seen = self.head.as_ref();
        head.is_some_and(|head| seen.is_some_and(|seen| seen.sha != *head))
    }

    /// Whether the last pushes, so many of them, came in quick succession, and more may follow.
    fn is_burst(&self, pushes: usize, settle: Duration) -> bool {
        let last = self.pushes.get(..pushes).unwrap_or_default();
        let pauses = last.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        last.first().into_iter().copied().chain(pauses).all(|pause| pause < settle)
            && !last.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SETTLE: Duration = Duration::from_secs(10);

    fn sha(digit: &str) -> Sha {
        Sha::new(digit.repeat(40)).unwrap()
    }

    /// Head `a`, seen for so many seconds, with pushes so many seconds ago.
    fn lately(since: u64, pushes: &[u64]) -> Lately {
        let since = Duration::from_secs(since);
        Lately {
            head: Some(SeenHead { sha: sha("a"), since }),
            pushes: pushes.iter().map(|ago| Duration::from_secs(*ago)).collect(),
            ..Lately::default()
        }
    }

    #[test]
    fn an_event_is_done_when_a_later_look_is_and_its_head_was_not_missed() {
        let looked = Lately { looked: 5, named: Some(sha("a")), ..lately(0, &[]) };
        let (a, b) = (sha("a"), sha("b"));
        assert!(looked.is_done(5, None) && looked.is_done(4, None));
        assert!(!looked.is_done(6, None));
        assert!(looked.is_done(5, Some(&a)));
        assert!(looked.is_done(4, Some(&b)), "a later event names another head");
        let lags = Lately { named: Some(b.clone()), ..looked };
        assert!(!lags.is_done(5, Some(&b)), "nobody has seen it");
        assert!(lags.is_done(5, Some(&a)) && lags.is_done(5, None));
        assert!(!Lately { head: None, ..lags }.is_done(5, Some(&b)));
    }

    #[test]
    fn a_gate_check_waits_until_a_burst_of_pushes_is_over() {
        let waits = |pushes: &[u64]| {
            let waits = lately(1, pushes).unsettled(Some(&sha("a")), SETTLE);
            waits.map(|left| left.as_secs())
        };
        assert_eq!(waits(&[]), None);
        assert_eq!(waits(&[1]), None, "the first push");
        assert_eq!(waits(&[1, 3600]), None, "a push that follows none");
        assert_eq!(waits(&[1, 11]), None, "10 s apart");
        assert_eq!(waits(&[1, 10]), Some(9));
        assert_eq!(waits(&[9, 10, 11]), Some(1));
        assert_eq!(waits(&[10, 11, 12]), None, "it is over");
        let burst = lately(1, &[1, 2]);
        assert_eq!(
            burst.unsettled(Some(&sha("b")), SETTLE),
            None,
            "another head is told by GitHub"
        );
        assert_eq!(burst.unsettled(None, SETTLE), Some(Duration::from_secs(9)));
        assert_eq!(burst.unsettled(None, Duration::ZERO), None);
    }

    #[test]
    fn in_a_burst_a_new_head_is_looked_at_once_in_a_while() {
        let named = sha("b");
        let waits = |since, pushes: &[u64]| {
            let waits = lately(since, pushes).put_off(Some(&named), SETTLE);
            waits.map(|left| left.as_secs())
        };
        assert_eq!(waits(1, &[0]), None);
        assert_eq!(waits(1, &[0, 1]), None, "the second push");
        assert_eq!(waits(1, &[0, 1, 2]), Some(9));
        assert_eq!(waits(1, &[0, 1, 12]), None, "the second one after a pause");
        assert_eq!(waits(10, &[0, 1, 2]), None, "it is time for a look");
        let burst = lately(1, &[0, 1, 2]);
        assert_eq!(burst.put_off(Some(&sha("a")), SETTLE), None, "a review of the head");
        assert_eq!(burst.put_off(None, SETTLE), None);
        let unseen = Lately { head: None, ..burst };
        assert_eq!(unseen.put_off(Some(&named), SETTLE), None, "nobody has looked yet");
    }
}
