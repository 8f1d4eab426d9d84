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
use crate::names::Sha;
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
    confirmed: Arc<Mutex<Instant>>,
    phase: Mutex<String>,
    meant: Mutex<Meant>,
    /// Wakes the renewal when what is meant has changed.
    decided: Notify,
    /// What the store was told of that last, which it does when this process is lost; `None` while
    /// nobody can say, since it was told something else and has not answered.
    heard: watch::Sender<Option<Meant>>,
    lost: CancellationToken,
    /// What ends the waiting for leases within this one.
    cancel: CancellationToken,
    no_wait: CancellationToken,
}

/// How a lease is to be given back, and the head that it is kept for when it is reserved.
#[derive(Clone, PartialEq)]
struct Meant {
    release: Release,
    kept_for: Option<Sha>,
}

impl Lease {
    fn new(keeper: &Keeper, wish: &Wish<'_>, grant: Grant, sent: Instant) -> Self {
        let meant = Meant { release: grant.give_back, kept_for: grant.kept_for.clone() };
        Self {
            job: wish.job.clone(),
            clock: keeper.clock.clone(),
            fence_after: keeper.timings.fence_after(),
            confirmed: Arc::new(Mutex::new(sent)),
            phase: Mutex::default(),
            heard: watch::Sender::new(Some(meant.clone())),
            meant: Mutex::new(meant),
            decided: Notify::new(),
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
        self.validity().is_standing()
    }

    /// The same question, for who has to ask it elsewhere than in the work.
    pub fn validity(&self) -> Validity {
        Validity {
            lost: self.lost.clone(),
            confirmed: self.confirmed.clone(),
            fence_after: self.fence_after,
            clock: self.clock.clone(),
        }
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
        self.means(Meant { release, ..self.meant() });
    }

    fn means(&self, means: Meant) {
        let mut meant = self.meant.lock().unwrap_or_else(PoisonError::into_inner);
        if *meant != means {
            *meant = means;
            self.decided.notify_one();
        }
    }

    fn meant(&self) -> Meant {
        self.meant.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The grant as the store is to hear of it, and how it is to be given back.
    fn said(&self, Meant { release, kept_for }: Meant) -> (Grant, Release) {
        (Grant { kept_for, ..self.grant.clone() }, release)
    }

    /// Means to reserve for this job's head, and returns when the store knows: from then on the
    /// lease is reserved also when this process is lost. [`Stop::Interrupted`] when the lease is
    /// lost first, which is after `fence_after` at the latest.
    pub async fn reserve(&self) -> Result<(), Stop> {
        let kept_for = self.grant.owner.head.clone();
        let means = Meant { release: Release::Reserve, kept_for };
        self.means(means.clone());
        let mut heard = self.heard.subscribe();
        let known = tokio::select! {
            biased;
            () = self.lost.cancelled() => false,
            heard = heard.wait_for(|heard| heard.as_ref() == Some(&means)) => heard.is_ok(),
        };
        let lost = || Stop::Interrupted("the lease was lost before it was reserved".to_owned());
        if known { Ok(()) } else { Err(lost()) }
    }

    /// Whether it may stay reserved although it was to be free: the store was not told, or has not
    /// answered.
    fn stays_reserved(&self) -> bool {
        let is_free = |meant: &Meant| meant.release == Release::Free;
        is_free(&self.meant()) && !self.heard.borrow().as_ref().is_some_and(is_free)
    }

    /// Whether it was reserved for this pull request when it was taken: an earlier try applied.
    pub fn was_reserved(&self) -> bool {
        self.grant.give_back == Release::Reserve
    }

    /// The head that it was reserved for when it was taken, if it was.
    pub fn was_kept_for(&self) -> Option<&Sha> {
        self.grant.kept_for.as_ref().filter(|_| self.was_reserved())
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
        self.validity().fence_at()
    }
}

/// Whether a lease stands, without the right to work under it.
#[derive(Clone)]
pub struct Validity {
    lost: CancellationToken,
    confirmed: Arc<Mutex<Instant>>,
    fence_after: Duration,
    clock: Arc<dyn Clock>,
}

impl Validity {
    /// As [`Lease::is_standing`]; not any more once the hold has ended.
    pub fn is_standing(&self) -> bool {
        !self.lost.is_cancelled() && self.clock.instant() < self.fence_at()
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
    let (grant, release) = lease.said(lease.meant());
    if matches!(outcome, Outcome::Lost) {
        // Nothing can be given back; the store does what the last renewal said.
        return LeaseEnd::Lost;
    }
    loop {
        match wish::give_back(keeper, &grant, release).await {
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
        let meant = lease.meant();
        let (grant, give_back) = lease.said(meant.clone());
        // Until it has answered nobody knows what the store does, however often it is asked.
        lease.heard.send_if_modified(|heard| {
            let is_news = heard.as_ref() != Some(&meant);
            is_news && heard.take().is_some()
        });
        let answer = tokio::select! {
            answer = leases.renew(&grant, &phase, give_back) => answer,
            () = lease.clock.sleep(timings.answer_within().min(left(&lease))) => continue,
        };
        match answer {
            Ok(()) => {
                *lease.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
                lease.heard.send_replace(Some(meant));
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
