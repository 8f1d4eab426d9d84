//! The one way to work under a lease: take it, keep it, prove it, give it back.
//!
//! Owns the lease's whole life around a piece of work: waiting, renewal, the self-fence, the
//! release. Refuses to know what the work is. The work gets a [`Lease`], which only this module can
//! make; whatever is dangerous without one demands a `&Lease`:
//!
//! ```compile_fail,E0624
//! let forge = sluice::lease::hold::Lease::new; // private: only `hold` makes one
//! ```
//! ```compile_fail,E0308
//! use sluice::lease::hold::Lease;
//! fn keep(lease: &Lease) -> Lease {
//!     lease.clone() // no `Clone`: it is lent, and goes back
//! }
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::wish;
use super::{Grant, LeaseError, LeaseKey, Leases, Release, Timings, Wait, Wish};
use crate::clock::Clock;
use crate::observe::{Event, JobRef, LeaseEnd, Observer, What};
use crate::outcome::Stop;

/// What is needed to hold leases: one per worker.
#[derive(Clone)]
pub struct Keeper {
    /// Who has which lease.
    pub leases: Arc<dyn Leases>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Is told of every lease that is given and ends.
    pub observer: Arc<dyn Observer>,
    /// How long everything takes.
    pub timings: Timings,
    /// This worker, for people: host and process.
    pub host: String,
}

/// Proof that a set of leases stands, lent to the work for as long as it may work.
///
/// It cannot be made, copied or kept: [`hold`] lends it and gives the leases back afterwards.
pub struct Lease {
    grant: Grant,
    job: JobRef,
    clock: Arc<dyn Clock>,
    fence_after: Duration,
    /// When the last renewal that succeeded was *sent*.
    confirmed: Mutex<Instant>,
    phase: Mutex<String>,
    release: Mutex<Release>,
    /// Wakes the renewal when `release` has changed.
    decided: Notify,
    /// What the store was told of that last: what it does when this process is lost.
    heard: watch::Sender<Release>,
    lost: CancellationToken,
    /// What ends the waiting for leases within this one.
    cancel: CancellationToken,
    no_wait: CancellationToken,
}

impl Lease {
    fn new(keeper: &Keeper, wish: &Wish<'_>, grant: Grant, sent: Instant) -> Self {
        Self {
            job: wish.job.clone(),
            clock: keeper.clock.clone(),
            fence_after: keeper.timings.fence_after(),
            confirmed: Mutex::new(sent),
            phase: Mutex::default(),
            release: Mutex::new(grant.give_back),
            decided: Notify::new(),
            heard: watch::Sender::new(grant.give_back),
            grant,
            lost: wish.outer.child_token(),
            cancel: wish.cancel.clone(),
            no_wait: wish.no_wait.clone(),
        }
    }

    /// The fencing token: higher than that of any lease ever given on these keys.
    pub fn epoch(&self) -> u64 {
        self.grant.epoch
    }

    /// What is held.
    pub fn keys(&self) -> &[LeaseKey] {
        &self.grant.keys
    }

    /// Whether it stands *now*: not lost, and confirmed recently enough by the clock, even when the
    /// renewal task did not get to run (a suspended machine, a stalled runtime).
    pub fn is_standing(&self) -> bool {
        !self.lost.is_cancelled() && self.clock.instant() < self.fence_at()
    }

    /// Fires when the lease is lost or fenced, and when the hold ends in any way: whatever works
    /// under the lease stops on it, and [`hold`] waits for that.
    pub fn lost(&self) -> CancellationToken {
        self.lost.child_token()
    }

    /// Notes what the holder is doing, for people; said with the next renewal.
    pub fn phase(&self, text: &str) {
        text.clone_into(&mut self.phase.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says how the lease is given back when the work ends, however it ends. Unless said otherwise
    /// it is freed, or stays reserved when it was.
    ///
    /// The store is told at once, by a renewal: should this process be lost, the lease goes back
    /// in the same way once its time and the lock-delay are over.
    pub fn give_back(&self, release: Release) {
        let mut wanted = self.release.lock().unwrap_or_else(PoisonError::into_inner);
        if *wanted != release {
            *wanted = release;
            self.decided.notify_one();
        }
    }

    /// Means to reserve, and returns when the store knows: from then on the lease is reserved also
    /// when this process is lost. [`Stop::Interrupted`] when the lease is lost first, which is
    /// after `fence_after` at the latest.
    pub async fn reserve(&self) -> Result<(), Stop> {
        self.give_back(Release::Reserve);
        let mut heard = self.heard.subscribe();
        let known = tokio::select! {
            biased;
            () = self.lost.cancelled() => false,
            heard = heard.wait_for(|heard| *heard == Release::Reserve) => heard.is_ok(),
        };
        let lost = || Stop::Interrupted("the lease was lost before it was reserved".to_owned());
        if known { Ok(()) } else { Err(lost()) }
    }

    /// Whether it stays reserved although it was to be free: the store was not told.
    fn stays_reserved(&self) -> bool {
        let release = *self.release.lock().unwrap_or_else(PoisonError::into_inner);
        release == Release::Free && *self.heard.borrow() == Release::Reserve
    }

    /// Whether it was reserved for this pull request when it was taken: an earlier try applied.
    pub fn was_reserved(&self) -> bool {
        self.grant.give_back == Release::Reserve
    }

    /// A wish for more, within this lease.
    pub(super) fn wish<'a>(&self, keys: Vec<LeaseKey>, wait: Wait<'a>) -> Wish<'a> {
        Wish {
            keys,
            job: self.job.clone(),
            head: self.grant.owner.head.clone(),
            wait,
            cancel: self.cancel.clone(),
            no_wait: self.no_wait.clone(),
            outer: self.lost.clone(),
        }
    }

    /// The job that works under it.
    pub fn job(&self) -> &JobRef {
        &self.job
    }

    fn fence_at(&self) -> Instant {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) + self.fence_after
    }
}

/// Works under a lease: takes what is wished for, runs `work` with the proof, gives it back.
///
/// Waits as the wish says; [`Stop::Later`] when it cannot be had, [`Stop::Interrupted`] when
/// cancelled while waiting. While `work` runs, the leases are renewed on a task of their own. When
/// they are lost, [`Lease::lost`] fires, `work` gets until the store could give them to somebody
/// else to end (then it is dropped), and what it says is discarded for [`Stop::Interrupted`]. The
/// same is said when they were to be freed and stay reserved, because the store is away: whoever
/// takes the job up again frees them.
/// Dropping the future (or a panic in `work`) stops the renewal; the leases then end by their TTL.
pub async fn hold<T>(
    keeper: &Keeper,
    wish: Wish<'_>,
    work: impl AsyncFnOnce(&Lease) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let asked = keeper.clock.instant();
    let (grant, sent) = wish.grant(keeper).await?;
    let label = wish.label();
    let granted = keeper.clock.instant();
    let waited = granted.saturating_duration_since(asked);
    tell(keeper, &wish.job, What::LeaseGranted { key: label.clone(), waited });

    let lease = Arc::new(Lease::new(keeper, &wish, grant, sent));
    let renewal = Renewal::start(keeper, &lease);
    let outcome = supervise(keeper, &lease, work).await;
    drop(renewal);

    let end = give_back(keeper, &lease, &outcome).await;
    let held = keeper.clock.instant().saturating_duration_since(granted);
    tell(keeper, &wish.job, What::LeaseEnded { key: label.clone(), held, end });
    match outcome {
        Outcome::Ended(_) if end == LeaseEnd::Lost && lease.stays_reserved() => {
            Err(Stop::Interrupted(format!("{label} could not be freed and stays reserved")))
        }
        Outcome::Ended(result) => result,
        Outcome::Lost => Err(Stop::Interrupted(format!("the lease on {label} was lost"))),
    }
}

/// How the work under a lease ended.
enum Outcome<T> {
    /// While the lease stood.
    Ended(Result<T, Stop>),
    /// Too late: what it says does not count.
    Lost,
}

async fn supervise<T>(
    keeper: &Keeper,
    lease: &Lease,
    work: impl AsyncFnOnce(&Lease) -> Result<T, Stop>,
) -> Outcome<T> {
    let work = work(lease);
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => {
            return if lease.is_standing() { Outcome::Ended(result) } else { Outcome::Lost };
        }
        () = lease.lost.cancelled() => {}
    }
    tokio::select! {
        biased;
        _ = work => {}
        () = keeper.clock.sleep(keeper.timings.end_within()) => {
            tracing::error!(job = %lease.job.id, "work did not end after its lease was lost");
        }
    }
    Outcome::Lost
}

async fn give_back<T>(keeper: &Keeper, lease: &Lease, outcome: &Outcome<T>) -> LeaseEnd {
    let release = *lease.release.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(outcome, Outcome::Lost) {
        // Nothing can be given back; the store does what the last renewal said.
        return LeaseEnd::Lost;
    }
    loop {
        match wish::give_back(keeper, &lease.grant, release).await {
            Ok(()) => return LeaseEnd::Released,
            // The store is away for a moment, and the lease stands: it is asked again.
            Err(LeaseError::Unavailable(why)) if keeper.clock.instant() < lease.fence_at() => {
                tracing::warn!(job = %lease.job.id, why, "a lease is given back once more");
                let left = lease.fence_at().saturating_duration_since(keeper.clock.instant());
                keeper.clock.sleep(keeper.timings.renew_every().min(left)).await;
            }
            // The work is done and stands; the next one waits for the TTL and the lock-delay, and
            // then for what the last renewal said.
            Err(error) => {
                tracing::warn!(job = %lease.job.id, %error, "a lease could not be given back");
                return LeaseEnd::Lost;
            }
        }
    }
}

fn tell(keeper: &Keeper, job: &JobRef, what: What) {
    keeper.observer.observe(&Event { at: keeper.clock.now(), job: Some(job.clone()), what });
}

/// The task that renews a lease. Ends with the hold, however that ends.
struct Renewal {
    task: tokio::task::JoinHandle<()>,
    lost: CancellationToken,
}

impl Renewal {
    fn start(keeper: &Keeper, lease: &Arc<Lease>) -> Self {
        let (leases, timings) = (keeper.leases.clone(), keeper.timings);
        let task = tokio::spawn(renew(leases, timings, lease.clone()));
        Self { task, lost: lease.lost.clone() }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.task.abort();
        self.lost.cancel();
    }
}

/// Renews until the lease is lost, taken away or fenced; then fires its token.
async fn renew(leases: Arc<dyn Leases>, timings: Timings, lease: Arc<Lease>) {
    let left = |lease: &Lease| lease.fence_at().saturating_duration_since(lease.clock.instant());
    loop {
        tokio::select! {
            () = lease.clock.sleep(timings.renew_every().min(left(&lease))) => {}
            () = lease.decided.notified() => {}
        }
        let sent = lease.clock.instant();
        if sent >= lease.fence_at() {
            tracing::warn!(job = %lease.job.id, "no renewal in time: the lease is given up");
            break;
        }
        let phase = lease.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let give_back = *lease.release.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = tokio::select! {
            answer = leases.renew(&lease.grant, &phase, give_back) => answer,
            () = lease.clock.sleep(timings.answer_within().min(left(&lease))) => continue,
        };
        match answer {
            Ok(()) => {
                *lease.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
                lease.heard.send_replace(give_back);
            }
            Err(LeaseError::Lost(key)) => {
                tracing::warn!(job = %lease.job.id, %key, "the lease is lost");
                break;
            }
            Err(error) => tracing::warn!(job = %lease.job.id, %error, "a renewal failed"),
        }
    }
    lease.lost.cancel();
}

#[cfg(test)]
mod tests;
