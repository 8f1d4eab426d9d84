//! One message, from its delivery to its settling, whatever happens to its job.
//!
//! Owns what is done about messages that are no jobs, panics, jobs that end workers, and deliveries
//! that are lost while their job runs.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sluice::job::{Envelope, JobKind};
use sluice::ledger::Ledger;
use sluice::observe::{Event, What};
use sluice::outcome::Disposition;
use sluice::pipeline::{Deps, Settings, Signals, perform};
use sluice::queue::{Delivery, QueueError};
use sluice::redact::Redactor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::drain::{Drain, Kind};

/// How many worker processes may end with a job before it is taken for poison: once may be chance.
const MOST_DEATHS: u32 = 2;

/// How often is asked whether one of them lives after all.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The jobs of this worker.
#[derive(Clone)]
pub(super) struct Jobs {
    pub(super) deps: Deps,
    pub(super) drain: Arc<Drain>,
    pub(super) tracker: TaskTracker,
}

impl Jobs {
    /// Runs the job of one delivery on a task of its own; `slot` is given back when it is settled.
    pub(super) fn spawn<Slot: Send + 'static>(
        &self,
        delivery: Box<dyn Delivery>,
        slot: Slot,
    ) -> tokio::task::JoinHandle<()> {
        let jobs = self.clone();
        self.tracker.spawn(jobs.run(delivery, slot))
    }

    async fn run<Slot>(self, delivery: Box<dyn Delivery>, slot: Slot) {
        let settled = match Envelope::from_bytes(delivery.bytes()) {
            Err(error) => {
                let dead = dead(&self.deps.settings.redactor, &error.to_string());
                delivery.settle(dead).await
            }
            Ok(envelope) => self.run_noted(delivery, envelope, slot).await,
        };
        match settled {
            Ok(()) => {}
            Err(QueueError::Lost) => tracing::info!("a message was lost meanwhile and comes back"),
            Err(error) => {
                tracing::warn!(%error, "a message could not be settled and comes back");
            }
        }
    }

    /// Runs the job, and notes that it does: a run that begins and does not end took its process
    /// along.
    async fn run_noted<Slot>(
        &self,
        delivery: Box<dyn Delivery>,
        envelope: Envelope,
        slot: Slot,
    ) -> Result<(), QueueError> {
        let run = Run {
            ledger: self.deps.ledger.as_ref(),
            message: delivery.message().to_owned(),
            id: hex::encode(rand::random::<[u8; 16]>()),
            lost: delivery.lost(),
        };
        let disposition = match self.judge(&run).await {
            Judged::Sound => self.run_supervised(&run, &envelope, delivery.attempt()).await,
            Judged::Poison { deaths } => self.poison(&envelope, deaths),
            Judged::Open => Disposition::Requeue,
        };
        if disposition == Disposition::Requeue {
            // Whoever gets it next, at once, is to find no run that has not ended.
            run.end().await;
            return delivery.settle(disposition).await;
        }
        let settled = async {
            let settled = delivery.settle(disposition).await;
            // The next job need not wait until the ledger has heard of this one's end.
            drop(slot);
            settled
        };
        tokio::join!(run.end(), settled).1
    }

    /// Begins a run of the message, unless it ended too many processes. Those that seem to have
    /// ended get the time to say that they live first: a worker may have lost its message, and be
    /// slow, or cut off from the ledger.
    async fn judge(&self, run: &Run<'_>) -> Judged {
        let Deps { clock, settings, .. } = &self.deps;
        let deaths = run.begin().await.unwrap_or_default();
        if deaths < MOST_DEATHS {
            return Judged::Sound;
        }
        tracing::warn!(message = run.message, deaths, "it may be poison: waiting for word of them");
        let certain_at = clock.instant() + settings.dead_after;
        loop {
            // Who waits with it does not run it, and does not die of it.
            run.end().await;
            tokio::select! {
                () = clock.sleep(ASK_AGAIN) => {}
                () = run.lost.cancelled() => return Judged::Open,
                () = self.drain.is_told() => return Judged::Open,
            }
            match run.begin().await {
                // It begins like any other, and not where its project was paused meanwhile.
                Some(deaths) if deaths < MOST_DEATHS => return Judged::Open,
                Some(deaths) if clock.instant() >= certain_at => return Judged::Poison { deaths },
                // Too early, or nobody knows: the broker's consumer timeout bounds that.
                _ => {}
            }
        }
    }

    /// Runs the job, and passes on what it is told meanwhile. A panic ends the job and not its
    /// message.
    async fn run_supervised(
        &self,
        run: &Run<'_>,
        envelope: &Envelope,
        attempt: u32,
    ) -> Disposition {
        let (kind, signals) = (envelope.job.kind(), Signals::default());
        let job = perform(&self.deps, envelope, attempt, signals.clone());
        // What it leaves behind is behind locks that outlive a panic, and told again.
        let job = AssertUnwindSafe(job).catch_unwind();
        tokio::pin!(job);
        // The other two never end by themselves.
        let ended = tokio::select! {
            ended = &mut job => ended,
            () = run.tell_lost(kind, &signals) => job.await,
            () = self.drain.tell(Kind::of(kind), &signals) => job.await,
        };
        let Settings { redactor, retry, .. } = &*self.deps.settings;
        let left = retry.left(attempt);
        ended.unwrap_or_else(|panic| panicked(redactor, left, said(panic.as_ref())))
    }

    /// The end of a job that ends workers.
    fn poison(&self, envelope: &Envelope, deaths: u32) -> Disposition {
        let why = format!("poison: it ended {deaths} worker processes");
        tracing::error!(job = %envelope.id, %why, "the job failed for good");
        self.deps.observer.observe(&Event {
            at: self.deps.clock.now(),
            job: Some(envelope.job_ref()),
            what: What::Settled { disposition: "dead", why: Some(why.clone()) },
        });
        Disposition::Dead(why)
    }
}

/// What is to be thought of a message before it is run.
enum Judged {
    /// It may run.
    Sound,
    /// It ended so many processes: it ends no further one.
    Poison { deaths: u32 },
    /// For whoever has it next, at once.
    Open,
}

/// One run of one message.
struct Run<'a> {
    ledger: &'a dyn Ledger,
    message: String,
    id: String,
    lost: CancellationToken,
}

impl Run<'_> {
    /// This process begins to run the message. How many others did and were not heard of again.
    async fn begin(&self) -> Option<u32> {
        self.ledger.begin(&self.message, &self.id).await
    }

    /// This process lives, and runs the message no more, or not as its owner.
    async fn end(&self) {
        self.ledger.end(&self.message, &self.id).await;
    }

    /// When the delivery is lost somebody else gets the message. What works under a lease goes on,
    /// and the copy comes when that is over and finds what it did: a gate check or a deploy may
    /// well take longer than a broker leaves a message with its worker. A deploy that only waits
    /// for its lease leaves the waiting to the copy. The rest is short: it is cancelled, as
    /// somebody else does it. Never returns.
    async fn tell_lost(&self, kind: JobKind, signals: &Signals) {
        self.lost.cancelled().await;
        tracing::info!(message = self.message, "a message was lost while its job runs");
        match kind {
            JobKind::Gate => {}
            JobKind::Deploy => signals.no_wait.cancel(),
            JobKind::Approval | JobKind::Command | JobKind::Cleanup => signals.cancel.cancel(),
        }
        self.end().await;
        std::future::pending::<()>().await;
    }
}

/// What a panic says of itself.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// A panic is a fault of ours: it is retried like any other.
fn panicked(redactor: &Redactor, attempts_left: u32, panic: &str) -> Disposition {
    if attempts_left == 0 {
        return dead(redactor, &format!("the job panicked: {panic}"));
    }
    let panic = redactor.redact(panic);
    tracing::error!(%panic, "a job panicked and is retried");
    Disposition::Retry
}

/// The end of a message that no job settled, and that nobody has logged yet.
fn dead(redactor: &Redactor, why: &str) -> Disposition {
    let why = redactor.redact(why).into_owned();
    tracing::error!(%why, "a message goes to the dead letters");
    Disposition::Dead(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_job_settled_takes_no_secret_to_the_dead_letters() {
        let redactor = Redactor::new(["hush-hush"]);
        let dead = dead(&redactor, "not a job: hush-hush");
        assert_eq!(dead, Disposition::Dead("not a job: [redacted]".to_owned()));
        let why = "the job panicked: no [redacted]".to_owned();
        assert_eq!(panicked(&redactor, 0, "no hush-hush"), Disposition::Dead(why));
        assert_eq!(panicked(&redactor, 1, "no hush-hush"), Disposition::Retry);
    }
}
