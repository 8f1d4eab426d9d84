//! What every stage of a job has at hand, and the one place where a stage is timed and counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::clock::unix_ms;
use crate::engine::{EngineError, Fault};
use crate::github::{Ask, Facts, GitHubError};
use crate::job::{Envelope, Job};
use crate::lease::hold::{Lease, Validity};
use crate::names::NodeId;
use crate::observe::{Event, JobRef, What};
use crate::outcome::{Reason, Refusal, Stage, StageOutcome, Stop};
use crate::pipeline::Deps;
use crate::policy::Policy;
use crate::project::{OwnersApproval, Project, SharesRepository};
use crate::queue::QueueError;
use crate::redact::Redactor;

/// One job, being run.
pub(crate) struct Cx<'a> {
    pub(crate) deps: &'a Deps,
    pub(crate) project: Arc<Project>,
    pub(crate) job: JobRef,
    pub(crate) envelope: &'a Envelope,
    /// How many retries are left when this try breaks.
    pub(crate) attempts_left: u32,
    /// Fires on shutdown and on the job's own time limit.
    pub(crate) cancel: CancellationToken,
    /// Fires when the job is to stop where nothing is half done.
    pub(crate) halt: CancellationToken,
    /// Fires when the job is to wait for no lease any more.
    pub(crate) no_wait: CancellationToken,
    /// By what right it writes to its pull request.
    pub(crate) mandate: Mandate,
    /// Whether prod runs the head that the job is about, and main lacks it.
    pub(crate) urgent: Arc<AtomicBool>,
}

/// By what right a job writes to its pull request: a lease that has to stand, or nobody's.
///
/// Whoever stood still for longer than its lease finds that somebody else went on. What it was
/// about to say is old by then, and what it was about to create is there.
#[derive(Clone, Default)]
pub(crate) struct Mandate(Arc<Mutex<Option<Validity>>>);

impl Mandate {
    /// From now on it writes only while this lease stands.
    pub(crate) fn bind(&self, lease: &Lease) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.validity());
    }

    /// What it did under the lease is done: what came of it is its to say.
    pub(crate) fn unbind(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it may write now.
    pub(crate) fn stands(&self) -> bool {
        let lease = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lease.as_ref().is_none_or(Validity::is_standing)
    }
}

/// How a stage that gave a result ended; most simply did what they are for.
pub(crate) trait Ended {
    fn ended(&self) -> StageOutcome {
        StageOutcome::Ok
    }
}

impl Ended for () {}
impl Ended for Facts {}
impl Ended for Arc<Policy> {}
impl Ended for Stop {}

impl Cx<'_> {
    /// Runs one stage: nothing of a job happens outside one. One that panics is broken, so that the
    /// job still ends in order and says so.
    pub(crate) async fn stage<T: Ended>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        if self.halt.is_cancelled() && leads_to_an_apply(stage) {
            return Err(Stop::Interrupted(format!("told to stop before {stage}")));
        }
        let running = self.begin(stage);
        let result = caught(stage, work).await.map_err(|stop| stop.redacted(self.redactor()));
        running.end(match &result {
            Ok(value) => value.ended(),
            Err(stop) => stop.stage_outcome(),
        });
        result
    }

    /// Begins a stage whose end is not the end of a future, such as the wait for a lease.
    pub(crate) fn begin(&self, stage: Stage) -> InFlight<'_> {
        let begun = self.deps.clock.instant();
        self.tell(What::StageStarted(stage));
        InFlight { cx: self, stage, begun, outcome: StageOutcome::Interrupted }
    }

    /// Gives work a time limit: when it is over the job is cancelled, and still ends in order.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        tokio::pin!(work);
        tokio::select! {
            result = &mut work => return result,
            () = self.deps.clock.sleep(limit) => self.cancel.cancel(),
        }
        match work.await {
            Err(Stop::Interrupted(_)) => Err(Stop::Broken {
                what: format!("the job took longer than its limit of {} s", limit.as_secs()),
                source: None,
            }),
            result => result,
        }
    }

    /// All facts of the pull request, now.
    pub(crate) async fn facts(&self, command: Option<&NodeId>) -> Result<Facts, Stop> {
        let ask = self.ask(command);
        let read = async { self.deps.github.facts(&ask).await.map_err(stop_of_github) };
        self.until_cancelled(read).await
    }

    /// What GitHub is asked about the pull request.
    pub(crate) fn ask(&self, command: Option<&NodeId>) -> Ask {
        let minds_owners = self.project.code_owners == OwnersApproval::Required;
        Ask {
            repository: self.project.repository.clone(),
            pr: self.job.pr,
            path: self.project.path.clone(),
            marker: crate::render::comment::marker(&self.project),
            command: command.cloned(),
            files: !self.project.path.is_empty() || self.shares_repository() || minds_owners,
            // One that only finds the projects that are concerned judges nothing.
            owners: minds_owners && !self.envelope.spread,
            job: Some(self.job.clone()),
            urgent: self.urgent.load(Ordering::Relaxed),
        }
    }

    fn shares_repository(&self) -> bool {
        self.project.shares_repository == SharesRepository::Yes
    }

    /// The policy that goes with the facts.
    pub(crate) async fn policy(&self, facts: &Facts) -> Result<Arc<Policy>, Stop> {
        let read = async {
            let policy = self.deps.engine.policy(&self.project, &facts.base, &facts.policy).await;
            policy.map_err(|error| stop_of_engine(error, Reason::PlanError))
        };
        self.stage(Stage::Policy, self.until_cancelled(read)).await
    }

    /// What only reads, given up when the job is cancelled: GitHub and a project's Python may take
    /// longer to answer than a worker that ends has time.
    async fn until_cancelled<T>(
        &self,
        read: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            read = read => read,
            () = self.cancel.cancelled() => {
                Err(Stop::Interrupted("cancelled while something was read".to_owned()))
            }
        }
    }

    /// Publishes a job that follows from this one.
    pub(crate) async fn publish(&self, job: Job) -> Result<(), Stop> {
        let envelope = Envelope::following(self.envelope, job, unix_ms(self.now()));
        let stored = self.deps.publish(&envelope).await;
        stored.map_err(|error| stop_of_queue(error, &envelope))
    }

    /// Where people see the job, if there is such a page.
    pub(crate) fn status_page(&self) -> Option<String> {
        let url = self.deps.settings.status_url.as_ref()?;
        Some(format!("{url}/jobs/{}", self.job.id))
    }

    /// Tells all listeners, without secrets.
    pub(crate) fn tell(&self, what: What) {
        let what = match what {
            What::Refused(why) => {
                What::Refused(why.into_iter().map(|why| why.redacted(self.redactor())).collect())
            }
            What::Note(text) => What::Note(self.redactor().redact(&text).into_owned()),
            what => what,
        };
        let event = Event { at: self.now(), job: Some(self.job.clone()), what };
        self.deps.observer.observe(&event);
    }

    /// A line in the timeline.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.tell(What::Note(text.into()));
    }

    /// What takes secrets out of whatever leaves the job.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.deps.settings.redactor
    }

    /// Wall-clock time.
    pub(crate) fn now(&self) -> SystemTime {
        self.deps.clock.now()
    }
}

/// Whether a stage is only of use to what follows it.
fn leads_to_an_apply(stage: Stage) -> bool {
    match stage {
        Stage::Checkout
        | Stage::Load
        | Stage::Lint
        | Stage::Test
        | Stage::Validate
        | Stage::Plan
        | Stage::PrEnvironment
        | Stage::ProdPlan
        | Stage::Apply => true,
        Stage::Gate
        | Stage::Policy
        | Stage::Approval
        | Stage::Lease
        | Stage::Merge
        | Stage::Cleanup
        | Stage::Report => false,
    }
}

async fn caught<T>(stage: Stage, work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let mut work = pin!(work);
    std::future::poll_fn(|task| {
        // Nothing of the stage is used after a panic but what is behind locks that forgive it.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(task)));
        polled.unwrap_or_else(|_panic| {
            Poll::Ready(Err(Stop::Broken { what: format!("{stage} panicked"), source: None }))
        })
    })
    .await
}

/// A stage that runs. It ends in the metrics even when the job is dropped in the middle of it: as
/// interrupted.
pub(crate) struct InFlight<'a> {
    cx: &'a Cx<'a>,
    stage: Stage,
    begun: Instant,
    outcome: StageOutcome,
}

impl InFlight<'_> {
    /// Ends it so.
    pub(crate) fn end(mut self, outcome: StageOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let took = self.cx.deps.clock.instant().saturating_duration_since(self.begun);
        self.cx.tell(What::StageEnded { stage: self.stage, outcome: self.outcome, took });
    }
}

/// What a job does about GitHub's troubles.
pub(crate) fn stop_of_github(error: GitHubError) -> Stop {
    match error {
        GitHubError::Limited { after } => {
            Stop::Later { why: "GitHub's rate limit is reached".to_owned(), after }
        }
        other => Stop::broken(other.to_string(), other),
    }
}

/// What a job does about the engine's troubles. `declared` is the reason that a fault of the change
/// itself is refused with, at this stage.
pub(crate) fn stop_of_engine(error: EngineError, declared: Reason) -> Stop {
    match error {
        EngineError::MergeConflict { files } => Stop::Refused(vec![conflict(&files)]),
        EngineError::NoCommit(sha) => Stop::refused(
            Reason::HeadMoved,
            format!("Commit {} is no longer in the repository.", sha.short()),
        ),
        EngineError::Declared { class: Fault::Uncategorized, message, .. } => {
            Stop::refused(Reason::Uncategorized, message)
        }
        EngineError::Declared { class: Fault::Other | Fault::Apply, message, traceback } => {
            let what = match traceback {
                Some(traceback) => format!("{message}\n{traceback}"),
                None => message,
            };
            Stop::Broken { what, source: None }
        }
        EngineError::Declared { message, .. } => Stop::refused(declared, message),
        EngineError::Conflict(message) => Stop::refused(Reason::Conflict, message),
        EngineError::Busy(why) => Stop::Later { why, after: Duration::from_secs(10) },
        EngineError::Halted(stage) => Stop::Interrupted(format!("stopped before {stage}")),
        EngineError::Cancelled => Stop::Interrupted("cancelled".to_owned()),
        error @ (EngineError::Timeout { .. } | EngineError::Broken { .. }) => {
            Stop::broken(error.to_string(), error)
        }
    }
}

/// The refusal of a head that conflicts with its base.
fn conflict(files: &[String]) -> Refusal {
    let files = files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
    Refusal::new(
        Reason::Dirty,
        format!(
            "This branch conflicts with its base in {files}. Merge the base branch into it, \
             resolve the conflict and push: a new gate check follows by itself."
        ),
    )
}

fn stop_of_queue(error: QueueError, envelope: &Envelope) -> Stop {
    Stop::broken(format!("{} could not be queued: {error}", envelope.id), error)
}
