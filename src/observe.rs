//! What happened, told once: metrics, logs, timelines and tests are all listeners.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::github::CheckStatus;
use crate::job::JobKind;
use crate::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use crate::outcome::{DeployOutcome, Refusal, Stage, StageOutcome};
use crate::render::checks::CheckKind;

/// Listens.
pub trait Observer: Send + Sync {
    /// Takes note. Returns at once and never fails: a listener keeps its troubles to itself.
    fn observe(&self, event: &Event);
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// In which job; `None` outside any.
    pub job: Option<JobRef>,
    /// What.
    pub what: What,
}

/// Which job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRef {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub kind: JobKind,
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request concerned.
    pub pr: PrNumber,
    /// The event that it follows from, as its message says.
    pub cause: String,
}

/// What a check run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSaid {
    /// Which.
    pub kind: CheckKind,
    /// Where it stands.
    pub status: CheckStatus,
    /// Its title, without secrets.
    pub title: String,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// A job was stored.
    Published,
    /// A job was begun, this long after it was stored.
    Started {
        /// Stored → begun.
        queued: Duration,
    },
    /// A stage began.
    StageStarted(Stage),
    /// A stage ended.
    StageEnded {
        /// Which.
        stage: Stage,
        /// How.
        outcome: StageOutcome,
        /// After how long.
        took: Duration,
    },
    /// A lease was given.
    LeaseGranted {
        /// What for.
        key: String,
        /// After waiting this long.
        waited: Duration,
    },
    /// A lease was given back, or lost.
    LeaseEnded {
        /// What for.
        key: String,
        /// How long it was held.
        held: Duration,
        /// Whether it was given back in order.
        end: LeaseEnd,
    },
    /// A pull request is judged at this head: the newest, as GitHub says.
    Judged {
        /// Which.
        head: Sha,
        /// What the pull request's environment is called, whether it is there or not.
        environment: Environment,
    },
    /// What check runs of a head say: first all that are there, then what has been written.
    Checks {
        /// Which.
        head: Sha,
        /// Those that this job has come across, or has written.
        checks: Vec<CheckSaid>,
    },
    /// A job is refused, for all these reasons.
    Refused(Vec<Refusal>),
    /// A head reached prod.
    Deployed {
        /// Signal → deployed.
        lead: Duration,
    },
    /// A deploy ended.
    DeployEnded(DeployOutcome),
    /// Prod runs a head that main does not have (`true`), or no longer so.
    AppliedNotMerged(bool),
    /// Something that a person reads in a timeline, such as who approved.
    Note(String),
    /// A job's message was settled.
    Settled {
        /// The disposition's label.
        disposition: &'static str,
        /// Why, when it is not simply done.
        why: Option<String>,
    },
    /// The open pull requests of a repository were looked through for what was missed.
    Swept {
        /// `done` or `failed`.
        outcome: &'static str,
    },
    /// A webhook was answered.
    Webhook {
        /// GitHub's event name if we know it, else `other`.
        event: &'static str,
        /// What became of it.
        outcome: &'static str,
        /// After how long.
        took: Duration,
    },
    /// A request to GitHub had to wait, or was not made, so that its limits are kept.
    GitHubHeldBack {
        /// How urgent it was.
        priority: &'static str,
    },
    /// GitHub answered, or did not.
    GitHubRequest {
        /// The port's verb.
        verb: &'static str,
        /// The HTTP status; 0 when there was none.
        status: u16,
        /// After how long.
        took: Duration,
        /// What is left of the rate limit, when it was said.
        remaining: Option<u64>,
    },
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// Given back.
    Released,
    /// Lost: not renewed in time, or taken away.
    Lost,
}

/// Several listeners as one.
#[derive(Clone, Default)]
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    /// These, in order.
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Self(observers)
    }
}

impl Observer for Observers {
    fn observe(&self, event: &Event) {
        for observer in &self.0 {
            observer.observe(event);
        }
    }
}
