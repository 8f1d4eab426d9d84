//! The pipelines: one function per job that reads top to bottom, one file per stage.
//!
//! Owns the order of things and what follows from what. Refuses to know any adapter.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, unix_ms};
use crate::engine::Engine;
use crate::github::GitHub;
use crate::job::{Envelope, Job, Scope};
use crate::lease::Leases;
use crate::lease::Timings;
use crate::lease::hold::Keeper;
use crate::ledger::Ledger;
use crate::names::ProjectName;
use crate::observe::{Event, Observer, What};
use crate::outcome::{self, Disposition, Stop};
use crate::pause::Pauses;
use crate::project::Project;
use crate::queue::{Queue, QueueError, RetryPolicy};
use crate::redact::Redactor;
use crate::seal::SealKey;

mod apply;
mod board;
mod bridge;
mod cleanup;
mod coalesce;
mod command;
mod cx;
mod deploy;
mod gate;
mod group;
mod judge;
mod left_open;
pub mod missed;
mod route;
mod standing;
mod sticky;
mod supersede;
pub mod sweep;
mod turn;

use cx::{Cx, Mandate};

/// All that a job needs from the outside.
#[derive(Clone)]
pub struct Deps {
    /// Where jobs wait.
    pub queue: Arc<dyn Queue>,
    /// Who may change an environment.
    pub leases: Arc<dyn Leases>,
    /// GitHub.
    pub github: Arc<dyn GitHub>,
    /// SQLMesh on a checkout.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
    /// What is remembered, for speed only.
    pub ledger: Arc<dyn Ledger>,
    /// What an operator has paused.
    pub pauses: Arc<dyn Pauses>,
    /// The projects that are served.
    pub projects: Arc<[Arc<Project>]>,
    /// What the operator set.
    pub settings: Arc<Settings>,
}

/// What the operator set, as the pipelines need it.
#[derive(Debug)]
pub struct Settings {
    /// Signs gate results.
    pub seal: SealKey,
    /// Stands in front of everything that leaves.
    pub redactor: Arc<Redactor>,
    /// How broken jobs are retried.
    pub retry: RetryPolicy,
    /// How leases are kept.
    pub lease: Timings,
    /// Host and process, for lease holders.
    pub host: String,
    /// Where a check run's "Details" leads, without a slash at the end.
    pub status_url: Option<String>,
    /// Changes are shown at most this often.
    pub report_every: Duration,
    /// Progress of an apply is shown at most this often.
    pub progress_every: Duration,
    /// A gate check may take this long.
    pub gate_timeout: Duration,
    /// A deploy may take this long once it has prod, and wait as long for it.
    pub deploy_timeout: Duration,
    /// How long GitHub is asked again whether a pull request can be merged; it was seen to take up
    /// to 3 minutes.
    pub mergeability_patience: Duration,
    /// How long a merge that GitHub refuses is tried again while prod stays reserved.
    pub merge_patience: Duration,
    /// How often the open pull requests of a repository are swept; zero: never.
    pub sweep_every: Duration,
    /// A check that stands open for longer than this and the longest wait before a retry, and that
    /// nobody is seen to work on or to wait for, was left by somebody who is gone.
    pub left_open_after: Duration,
    /// Word of a run that was not heard of is waited for this long: then it took its process along.
    pub dead_after: Duration,
    /// Pushes to one pull request that are no further apart than this are taken together.
    pub settle: Duration,
}

impl Deps {
    /// What is needed to hold leases.
    fn keeper(&self) -> Keeper {
        Keeper {
            leases: Arc::clone(&self.leases),
            clock: Arc::clone(&self.clock),
            observer: Arc::clone(&self.observer),
            timings: self.settings.lease,
            host: self.settings.host.clone(),
        }
    }

    /// Publishes a job, and says so.
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        self.queue.publish(envelope).await?;
        let job = Some(envelope.job_ref());
        self.observer.observe(&Event { at: self.clock.now(), job, what: What::Published });
        Ok(())
    }

    /// A project by its name.
    pub fn project(&self, name: &ProjectName) -> Option<&Arc<Project>> {
        self.projects.iter().find(|project| project.name == *name)
    }
}

/// How a running job is told to end, from the mildest to the hardest; each fires those before it.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Wait for no lease any more: somebody else may as well.
    pub no_wait: CancellationToken,
    /// Stop where nothing is half done: before the next stage that leads to an apply, and before
    /// the next stage of SQLMesh's evaluator within one. What follows an apply goes on.
    pub halt: CancellationToken,
    /// Stop now: Python is killed.
    pub cancel: CancellationToken,
}

impl Default for Signals {
    fn default() -> Self {
        let cancel = CancellationToken::new();
        let halt = cancel.child_token();
        Self { no_wait: halt.child_token(), halt, cancel }
    }
}

/// Runs a job and says what becomes of its message.
///
/// `attempt` counts earlier tries. Every end is told to the observer, and a failure is logged here
/// and nowhere else.
pub async fn perform(
    deps: &Deps,
    envelope: &Envelope,
    attempt: u32,
    signals: Signals,
) -> Disposition {
    let attempts_left = deps.settings.retry.left(attempt);
    let Some(project) = deps.project(envelope.job.project()) else {
        return of_nobody(envelope, attempts_left);
    };
    let cx = Cx {
        deps,
        project: Arc::clone(project),
        job: envelope.job_ref(),
        envelope,
        attempts_left,
        cancel: signals.cancel,
        halt: signals.halt,
        no_wait: signals.no_wait,
        mandate: Mandate::default(),
        urgent: Arc::default(),
    };
    let queued = unix_ms(cx.now()).saturating_sub(envelope.enqueued_ms);
    cx.tell(What::Started { queued: Duration::from_millis(queued) });
    // From here on it is told, logged and stored.
    let result = Box::pin(run(&cx)).await.map_err(|stop| stop.redacted(cx.redactor()));
    let disposition = match &result {
        Ok(()) => Disposition::Done,
        Err(stop) => outcome::disposition(stop, attempts_left),
    };
    settled(&cx, &result, &disposition);
    disposition
}

/// What becomes of a job of a project that is not configured here: another worker may know it
/// already, or this one after its restart.
fn of_nobody(envelope: &Envelope, attempts_left: u32) -> Disposition {
    let why = format!("project {} is not configured here", envelope.job.project());
    if attempts_left > 0 {
        tracing::warn!(job = %envelope.id, %why, "the job failed and is retried");
        return Disposition::Retry;
    }
    tracing::error!(job = %envelope.id, %why, "the job failed for good");
    Disposition::Dead(why)
}

async fn run(cx: &Cx<'_>) -> Result<(), Stop> {
    let limit = cx.deps.settings.gate_timeout;
    if cx.envelope.spread {
        return cx.within(limit, route::run(cx)).await;
    }
    match &cx.envelope.job {
        // A gate check's time is for what it runs: it has to say that it was over.
        Job::GateCheck(check) if check.scope == Scope::Full => Box::pin(gate::run(cx, check)).await,
        Job::GateCheck(check) if check.scope == Scope::Group => {
            cx.within(limit, Box::pin(group::run(cx, check))).await
        }
        Job::GateCheck(check) => cx.within(limit, Box::pin(coalesce::run(cx, check))).await,
        Job::Command(command) => cx.within(limit, Box::pin(command::run(cx, command))).await,
        // A deploy's time starts when it has prod.
        Job::Deploy(job) => Box::pin(deploy::run(cx, job)).await,
        Job::Cleanup(job) => cx.within(limit, cleanup::run(cx, job)).await,
    }
}

/// Tells how the job ended, and logs it when that needs somebody's eye.
fn settled(cx: &Cx<'_>, result: &Result<(), Stop>, disposition: &Disposition) {
    if let Err(Stop::Refused(refusals)) = result {
        cx.tell(What::Refused(refusals.clone()));
    }
    let why = result.as_ref().err().map(ToString::to_string);
    let label = disposition.label();
    match (disposition, &why) {
        (Disposition::Dead(_), Some(why)) => {
            tracing::error!(job = %cx.job.id, %why, "the job failed for good");
        }
        (Disposition::Retry, Some(why)) => {
            tracing::warn!(job = %cx.job.id, %why, "the job failed and is retried");
        }
        _ => tracing::info!(job = %cx.job.id, disposition = label, why, "the job ended"),
    }
    cx.deps.observer.observe(&Event {
        at: cx.now(),
        job: Some(cx.job.clone()),
        what: What::Settled { disposition: label, why },
    });
}
