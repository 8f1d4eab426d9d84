//! What may be asked of GitHub now: its limits, shared out by how urgent a request is.
//!
//! Owns the buckets of one account and what GitHub last said of its limits. Each process counts for
//! itself; what several use up together, GitHub says. Refuses to know what is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sluice::clock::Clock;
use sluice::github::GitHubError;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::limits::{Failure, Left};

/// Requests that one process has under way at once; GitHub allows all of an account's 100.
const AT_ONCE: usize = 32;

/// The longest that a request waits here for its turn. What waits longer is told so: its job has
/// better things to do.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How urgent a request is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// How far something is: the next one says more.
    Progress,
    /// What people read and nobody waits for; looking through a repository.
    Comment,
    /// What a decision is made of, what came of it, and what a job waits to have shown.
    Verdict,
    /// The merge of what prod runs.
    Merge,
}

impl Priority {
    /// The label in metrics.
    fn label(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Comment => "comment",
            Self::Verdict => "verdict",
            Self::Merge => "merge",
        }
    }

    /// The part of a limit that is left for what is more urgent.
    fn leaves(self) -> f64 {
        match self {
            Self::Progress => 0.3,
            Self::Comment => 0.15,
            Self::Verdict => 0.05,
            Self::Merge => 0.0,
        }
    }

    /// How long its turn is waited for.
    fn patience(self) -> Duration {
        match self {
            Self::Progress | Self::Comment => Duration::ZERO,
            Self::Verdict | Self::Merge => LONGEST_WAIT,
        }
    }
}

/// Which of GitHub's two APIs, each of which has an hourly limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Rest,
    GraphQl,
}

/// What a request takes out of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// It only reads.
    Read,
    /// It creates content, as GitHub calls that: checks, comments, merges.
    Write,
}

/// How many requests that create content an account may make. GitHub's own numbers are 80 in a
/// minute and 500 in an hour; a GitHub Enterprise server may have others, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteLimits {
    /// In a minute; `None`: any number.
    pub per_minute: Option<u32>,
    /// In an hour; `None`: any number.
    pub per_hour: Option<u32>,
}

impl WriteLimits {
    /// No limit but what GitHub says when it is reached.
    pub const NONE: Self = Self { per_minute: None, per_hour: None };
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self { per_minute: Some(80), per_hour: Some(500) }
    }
}

/// What one account may still ask.
pub(super) struct Budget {
    state: Mutex<State>,
    places: Semaphore,
}

struct State {
    writes: Vec<Bucket>,
    rest: Option<Window>,
    graphql: Option<Window>,
    /// GitHub wants to hear nothing until then.
    closed_until: Option<Instant>,
}

/// An hourly limit, as GitHub last told it.
#[derive(Debug, Clone, Copy)]
struct Window {
    left: f64,
    limit: f64,
    ends: Instant,
}

/// A token bucket that lets no more than `most` through in any span of time `per`: one half at
/// once, the other as time goes by.
struct Bucket {
    size: f64,
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(most: u32, per: Duration, now: Instant) -> Self {
        let size = (f64::from(most) / 2.0).max(1.0);
        Self { size, per_second: size / per.as_secs_f64(), tokens: size, filled: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.size);
        self.filled = now;
    }

    /// How long until one may be taken and `leaves` of the bucket be left.
    fn wait(&self, leaves: f64) -> Duration {
        // A bucket of a single token has nothing to leave.
        let wanted = (1.0 + leaves * self.size).min(self.size);
        Duration::from_secs_f64(((wanted - self.tokens) / self.per_second).max(0.0))
    }
}

impl Budget {
    pub(super) fn new(limits: WriteLimits, now: Instant) -> Self {
        let minute = limits.per_minute.map(|most| (most, Duration::from_secs(60)));
        let hour = limits.per_hour.map(|most| (most, Duration::from_secs(3600)));
        let buckets = minute.into_iter().chain(hour);
        let writes = buckets.map(|(most, per)| Bucket::new(most, per, now)).collect();
        let state = State { writes, rest: None, graphql: None, closed_until: None };
        Self { state: Mutex::new(state), places: Semaphore::new(AT_ONCE) }
    }

    /// Lets a request through when its turn comes soon; says how long to stay away otherwise. The
    /// place is kept until the answer is there; a merge needs none.
    pub(super) async fn admit(
        &self,
        clock: &dyn Clock,
        priority: Priority,
        (api, cost): (Api, Cost),
    ) -> Result<Admitted<'_>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            let Some(wait) = self.take(clock.instant(), priority, (api, cost)) else {
                return Ok(Admitted { _place: self.place(priority).await?, waited });
            };
            if waited + wait > priority.patience() {
                return Err(Failure::Final(GitHubError::Limited { after: wait }));
            }
            clock.sleep(wait).await;
            waited += wait;
        }
    }

    /// A place among the requests that are under way, which a merge does without.
    async fn place(&self, by: Priority) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        if by == Priority::Merge {
            return Ok(None);
        }
        match tokio::time::timeout(by.patience(), self.places.acquire()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            Ok(Err(_)) | Err(_) => {
                Err(Failure::Final(GitHubError::Limited { after: LONGEST_WAIT }))
            }
        }
    }

    /// Takes what the request costs, or says how long it has to wait.
    fn take(&self, now: Instant, by: Priority, (api, cost): (Api, Cost)) -> Option<Duration> {
        let mut state = self.state();
        let mut wait = state.closed(now).max(state.window(api, now).wait(by, now));
        if cost == Cost::Write {
            for bucket in &mut state.writes {
                bucket.fill(now);
                wait = wait.max(bucket.wait(by.leaves()));
            }
        }
        if !wait.is_zero() {
            // Never so little that it rounds to none.
            return Some(wait.max(Duration::from_millis(1)));
        }
        if cost == Cost::Write {
            state.writes.iter_mut().for_each(|bucket| bucket.tokens -= 1.0);
        }
        None
    }

    /// Takes note of what GitHub says is left of an hourly limit.
    pub(super) fn told(&self, api: Api, left: Left, now: Instant) {
        let window = Window {
            left: left.remaining as f64,
            limit: left.limit as f64,
            ends: now + left.resets_in,
        };
        let mut state = self.state();
        match api {
            Api::Rest => state.rest = Some(window),
            Api::GraphQl => state.graphql = Some(window),
        }
    }

    /// GitHub wants to hear nothing for this long.
    pub(super) fn close(&self, after: Duration, now: Instant) {
        let mut state = self.state();
        let until = now + after;
        state.closed_until = Some(state.closed_until.map_or(until, |before| before.max(until)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn closed(&self, now: Instant) -> Duration {
        self.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn window(&self, api: Api, now: Instant) -> Window {
        let known = match api {
            Api::Rest => self.rest,
            Api::GraphQl => self.graphql,
        };
        // Until GitHub says something, and after the end of its hour, everything is left.
        let whole = Window { left: 1.0, limit: 0.0, ends: now };
        known.filter(|window| now < window.ends).unwrap_or(whole)
    }
}

impl Window {
    fn wait(&self, by: Priority, now: Instant) -> Duration {
        if self.left >= 1.0 + by.leaves() * self.limit {
            return Duration::ZERO;
        }
        self.ends.saturating_duration_since(now)
    }
}

/// The right to make one request.
pub(super) struct Admitted<'a> {
    _place: Option<SemaphorePermit<'a>>,
    /// How long it was waited for.
    pub(super) waited: Duration,
}

impl Priority {
    /// What a request of this priority that had to wait, or was not let through, is told as.
    pub(super) fn held_back(self) -> sluice::observe::What {
        sluice::observe::What::GitHubHeldBack { priority: self.label() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;
    use sluice::clock::manual::ManualClock;

    use super::*;

    const WRITE: (Api, Cost) = (Api::GraphQl, Cost::Write);
    const READ: (Api, Cost) = (Api::GraphQl, Cost::Read);

    fn budget(clock: &ManualClock, per_minute: u32) -> Budget {
        let limits = WriteLimits { per_minute: Some(per_minute), per_hour: None };
        Budget::new(limits, clock.instant())
    }

    fn is_let_through(budget: &Budget, clock: &ManualClock, by: Priority) -> bool {
        budget.take(clock.instant(), by, WRITE).is_none()
    }

    #[test]
    fn no_minute_sees_more_than_its_limit() {
        let clock = ManualClock::new();
        let budget = budget(&clock, 80);
        let start = clock.instant();
        let second = |n: u32| start + Duration::from_secs(u64::from(n));
        let through = |n: u32| {
            (0..100).filter(|_| budget.take(second(n), Priority::Merge, WRITE).is_none()).count()
        };
        let each: Vec<usize> = (0..600).map(through).collect();
        assert_eq!(each[0], 40, "a burst");
        let busiest = each.windows(60).map(|minute| minute.iter().sum::<usize>()).max().unwrap();
        assert!((75..=80).contains(&busiest), "{busiest}");
    }

    #[test]
    fn what_is_more_urgent_finds_something_left() {
        let clock = ManualClock::new();
        let budget = budget(&clock, 80);
        let all = [Priority::Progress, Priority::Comment, Priority::Verdict, Priority::Merge];
        let through =
            all.map(|by| (0..100).filter(|_| is_let_through(&budget, &clock, by)).count());
        assert_eq!(through, [28, 6, 4, 2]);
    }

    #[tokio::test]
    async fn a_verdict_waits_for_its_turn_and_progress_does_not() {
        let clock = ManualClock::new();
        let budget = budget(&clock, 2);
        assert!(is_let_through(&budget, &clock, Priority::Merge));
        let refused = budget.admit(&clock, Priority::Progress, WRITE).await;
        assert!(matches!(refused, Err(Failure::Final(GitHubError::Limited { .. }))));
        // One in a minute, with patience for half of one.
        let refused = budget.admit(&clock, Priority::Verdict, WRITE).await;
        assert!(matches!(refused, Err(Failure::Final(GitHubError::Limited { after }))
            if after == Duration::from_secs(60)));
        clock.advance(Duration::from_secs(31)).await;
        let soon = budget.admit(&clock, Priority::Progress, WRITE).now_or_never();
        assert!(matches!(soon, Some(Err(_))), "it does not wait for 29 s either");
        let (admitted, ()) = tokio::join!(
            budget.admit(&clock, Priority::Verdict, WRITE),
            clock.advance(Duration::from_secs(30)),
        );
        assert_eq!(admitted.ok().map(|admitted| admitted.waited.as_secs()), Some(29));
    }

    #[tokio::test]
    async fn nothing_is_asked_while_github_wants_to_hear_nothing() {
        let clock = ManualClock::new();
        let budget = budget(&clock, 80);
        budget.close(Duration::from_secs(90), clock.instant());
        budget.close(Duration::from_secs(10), clock.instant());
        for by in [Priority::Progress, Priority::Merge] {
            let refused = budget.admit(&clock, by, READ).await;
            assert!(matches!(refused, Err(Failure::Final(GitHubError::Limited { after }))
                if after == Duration::from_secs(90)));
        }
        clock.advance(Duration::from_secs(90)).await;
        assert!(budget.admit(&clock, Priority::Progress, READ).await.is_ok());
    }

    #[tokio::test]
    async fn the_last_of_an_hour_is_for_what_is_urgent() {
        let clock = ManualClock::new();
        let budget = budget(&clock, 80);
        let resets_in = Duration::from_secs(600);
        let told = |remaining| {
            let left = Left { remaining, limit: 5000, resets_in };
            budget.told(Api::GraphQl, left, clock.instant());
        };
        told(1400);
        assert_eq!(budget.take(clock.instant(), Priority::Progress, READ), Some(resets_in));
        assert_eq!(budget.take(clock.instant(), Priority::Comment, READ), None);
        told(1);
        assert_eq!(budget.take(clock.instant(), Priority::Verdict, READ), Some(resets_in));
        assert_eq!(budget.take(clock.instant(), Priority::Merge, READ), None);
        told(0);
        assert_eq!(budget.take(clock.instant(), Priority::Merge, READ), Some(resets_in));
        let rest = (Api::Rest, Cost::Read);
        assert_eq!(budget.take(clock.instant(), Priority::Progress, rest), None, "its own hour");
        clock.advance(resets_in).await;
        assert_eq!(budget.take(clock.instant(), Priority::Progress, READ), None, "a new hour");
    }

    #[tokio::test]
    async fn a_merge_needs_no_place_among_the_others() {
        let clock = ManualClock::new();
        let budget = budget(&clock, 80);
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(budget.admit(&clock, Priority::Verdict, READ).await.ok().unwrap());
        }
        assert!(budget.admit(&clock, Priority::Merge, READ).await.is_ok());
        let mut next = Box::pin(budget.admit(&clock, Priority::Verdict, READ));
        assert!(futures_util::poll!(&mut next).is_pending(), "no place is left");
        taken.pop();
        assert!(next.await.is_ok());
    }
}
