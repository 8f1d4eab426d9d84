//! What is wished for, and the waiting for it.
//!
//! Owns how long, how often and how politely the store is asked, and the order in which leases may
//! be taken. Refuses to know what is done with them.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::hold::{Keeper, Lease};
use super::{Grant, LeaseError, LeaseKey, LeaseRequest, Obstacle, Owner, Release};
use crate::names::{Environment, JobId, Sha};
use crate::observe::JobRef;
use crate::outcome::Stop;

/// The longest pause between two questions. A release wakes the waiting at once; this is for the
/// expiries and wake-ups that nobody announces.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// The pause after a question that got no answer, doubled each time up to [`ASK_EVERY`]: it may
/// have been granted, and nobody renews that.
const ASK_SOON: Duration = Duration::from_millis(500);

/// What is done while a lease cannot be had.
pub enum Wait<'a> {
    /// Give the job back at once: its slot is worth more than its place.
    No,
    /// Wait. A *reservation* is not waited for: the job it is kept for may stand in line behind
    /// this one.
    UpTo {
        /// This long.
        at_most: Duration,
        /// Is told what is in the way, each time it is somebody or something else.
        told: &'a (dyn Fn(&Obstacle) + Send + Sync),
    },
}

/// A wish for leases: an environment, and snapshot versions *within* it, so that nobody can wait
/// for an environment while holding snapshot versions, and nothing deadlocks; or a turn, under
/// which nothing else is waited for.
pub struct Wish<'a> {
    pub(super) keys: Vec<LeaseKey>,
    pub(super) job: JobRef,
    pub(super) head: Option<Sha>,
    pub(super) wait: Wait<'a>,
    /// Ends the waiting. The work itself looks after its own cancellation.
    pub(super) cancel: CancellationToken,
    /// Ends the waiting too, but takes nothing back that can be had without any.
    pub(super) no_wait: CancellationToken,
    /// The lease this one is within: its end is the end of this one too.
    pub(super) outer: CancellationToken,
}

impl<'a> Wish<'a> {
    /// An environment of the job's project, for one head. `cancel` ends the waiting.
    pub fn environment(
        job: &JobRef,
        head: &Sha,
        environment: &Environment,
        wait: Wait<'a>,
        cancel: &CancellationToken,
    ) -> Self {
        Self {
            keys: vec![LeaseKey::Environment(job.project.clone(), environment.clone())],
            job: job.clone(),
            head: Some(head.clone()),
            wait,
            cancel: cancel.clone(),
            no_wait: CancellationToken::new(),
            outer: CancellationToken::new(),
        }
    }

    /// The job's turn to show something on its pull request. `cancel` ends the waiting.
    pub fn turn(job: &JobRef, wait: Wait<'a>, cancel: &CancellationToken) -> Self {
        Self {
            keys: vec![LeaseKey::PullRequest(job.project.clone(), job.pr)],
            job: job.clone(),
            head: None,
            wait,
            cancel: cancel.clone(),
            no_wait: CancellationToken::new(),
            outer: CancellationToken::new(),
        }
    }

    /// The same wish, which waits no longer once `no_wait` fires; so does what is wished for within
    /// it. What can be had without waiting is still taken.
    pub fn waiting_until(mut self, no_wait: &CancellationToken) -> Self {
        self.no_wait = no_wait.clone();
        self
    }

    /// The snapshot versions (`name@version`) that a plan builds, all or none, within the
    /// environment's lease. None at all is granted at once. When the outer lease is lost, so is
    /// this one, and its waiting ends.
    pub fn snapshots(lease: &Lease, versions: Vec<String>, wait: Wait<'a>) -> Self {
        let project = &lease.job().project;
        let key = |version| LeaseKey::Snapshot(project.clone(), version);
        lease.wish(versions.into_iter().map(key).collect(), wait)
    }

    /// What is wished for, in a few words.
    pub(super) fn label(&self) -> String {
        match self.keys.as_slice() {
            [] => format!("{}/no snapshots", self.job.project),
            [key] => key.to_string(),
            [key, rest @ ..] => format!("{key} and {} more", rest.len()),
        }
    }

    /// Takes what is wished for, waiting as the wish says. The instant is that of the *sending* of
    /// the question that was granted: the store cannot have counted from earlier.
    pub(super) async fn grant(&self, keeper: &Keeper) -> Result<(Grant, Instant), Stop> {
        let request = self.request(keeper);
        let mut unanswered = false;
        let granted = self.granted(keeper, &request, &mut unanswered).await;
        if granted.is_err() && unanswered {
            tokio::spawn(take_back(keeper.clone(), request));
        }
        granted
    }

    /// The same; notes whether the last question got no answer.
    async fn granted(
        &self,
        keeper: &Keeper,
        request: &LeaseRequest,
        unanswered: &mut bool,
    ) -> Result<(Grant, Instant), Stop> {
        let asked = keeper.clock.instant();
        let (mut told, mut soon) = (None, ASK_SOON);
        while !self.is_over() {
            let sent = keeper.clock.instant();
            let answer = ask(keeper, request).await;
            *unanswered = matches!(answer, Err(LeaseError::Unavailable(_)));
            let error = match answer {
                Ok(grant) if self.is_over() => {
                    decline(keeper, &grant).await;
                    break;
                }
                Ok(grant) => return Ok((grant, sent)),
                Err(error) => error,
            };
            let left = self.time_left(&error, asked, keeper.clock.instant());
            if left.is_zero() {
                return Err(later(keeper, &error));
            }
            self.tell(&error, &mut told);
            let longest = if *unanswered { soon } else { ASK_EVERY };
            soon = if *unanswered { (soon * 2).min(ASK_EVERY) } else { ASK_SOON };
            let pause = left.min(longest.mul_f64(rand::random_range(0.5..1.0)));
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => break,
                () = self.no_wait.cancelled() => break,
                () = self.outer.cancelled() => break,
                () = pause_after(keeper, &error, &self.keys, pause) => {}
            }
        }
        Err(self.interrupted())
    }

    fn request(&self, keeper: &Keeper) -> LeaseRequest {
        let owner = Owner {
            nonce: hex::encode(rand::random::<[u8; 16]>()),
            job: self.job.id.clone(),
            host: keeper.host.clone(),
            pr: self.job.pr,
            head: self.head.clone(),
        };
        let (ttl, lock_delay) = (keeper.timings.ttl(), keeper.timings.lock_delay());
        LeaseRequest { keys: self.keys.clone(), owner, ttl, lock_delay }
    }

    /// How much longer what is in the way is waited for.
    fn time_left(&self, error: &LeaseError, asked: Instant, now: Instant) -> Duration {
        let is_reserved =
            matches!(error, LeaseError::Busy { obstacle: Obstacle::Reserved { .. }, .. });
        let at_most = match &self.wait {
            Wait::UpTo { at_most, .. } if !is_reserved => *at_most,
            Wait::UpTo { .. } | Wait::No => Duration::ZERO,
        };
        at_most.saturating_sub(now.saturating_duration_since(asked))
    }

    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.outer.is_cancelled()
    }

    fn interrupted(&self) -> Stop {
        Stop::Interrupted(format!("stopped while waiting for the lease on {}", self.label()))
    }

    /// Tells what is in the way, once for each occupant.
    fn tell(&self, error: &LeaseError, told: &mut Option<Option<JobId>>) {
        let (LeaseError::Busy { obstacle, .. }, Wait::UpTo { told: listener, .. }) =
            (error, &self.wait)
        else {
            return;
        };
        let occupant = match obstacle {
            Obstacle::Held { owner, .. } | Obstacle::Reserved { owner } => Some(owner.job.clone()),
            Obstacle::LockDelay { .. } => None,
        };
        if told.as_ref() != Some(&occupant) {
            listener(obstacle);
            *told = Some(occupant);
        }
    }
}

async fn ask(keeper: &Keeper, request: &LeaseRequest) -> Result<Grant, LeaseError> {
    tokio::select! {
        answer = keeper.leases.acquire(request) => answer,
        () = keeper.clock.sleep(keeper.timings.answer_within()) => Err(no_answer()),
    }
}

/// Waits for a change; a store that is away knows of none.
async fn pause_after(keeper: &Keeper, error: &LeaseError, keys: &[LeaseKey], pause: Duration) {
    match error {
        LeaseError::Busy { .. } => keeper.leases.changed(keys, pause).await,
        LeaseError::Lost(_) | LeaseError::Unavailable(_) => keeper.clock.sleep(pause).await,
    }
}

/// Gives back at once, as it was, what was granted to somebody who no longer wants it. Fails in the
/// log only: the lease then ends by its TTL.
async fn decline(keeper: &Keeper, grant: &Grant) {
    if let Err(error) = give_back(keeper, grant, grant.give_back).await {
        tracing::warn!(%error, "an unwanted lease could not be given back");
    }
}

/// Asks again for what is no longer wanted and may have been granted without an answer, and gives
/// it back: nobody renews it, and it would be in everybody's way until its TTL and lock-delay are
/// over. On a task of its own, since nobody need wait for that, and for no longer than the grant
/// could stand.
async fn take_back(keeper: Keeper, request: LeaseRequest) {
    let until = keeper.clock.instant() + request.ttl;
    let mut pause = ASK_SOON;
    while keeper.clock.instant() < until {
        match ask(&keeper, &request).await {
            Ok(grant) => return decline(&keeper, &grant).await,
            Err(LeaseError::Busy { .. } | LeaseError::Lost(_)) => return,
            Err(LeaseError::Unavailable(_)) => {}
        }
        keeper.clock.sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(ASK_EVERY);
    }
}

/// Gives leases back, within the time that an answer may take.
pub(super) async fn give_back(
    keeper: &Keeper,
    grant: &Grant,
    release: Release,
) -> Result<(), LeaseError> {
    tokio::select! {
        answer = keeper.leases.release(grant, release) => answer,
        () = keeper.clock.sleep(keeper.timings.answer_within()) => Err(no_answer()),
    }
}

fn no_answer() -> LeaseError {
    LeaseError::Unavailable("it gave no answer in time".to_owned())
}

fn later(keeper: &Keeper, error: &LeaseError) -> Stop {
    let after = match error {
        LeaseError::Busy { obstacle: Obstacle::LockDelay { left }, .. } => *left,
        _ => keeper.timings.come_back_after(),
    };
    Stop::Later { why: error.to_string(), after }
}
