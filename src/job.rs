//! The messages: what a producer asks of a worker.
//!
//! Owns the versioned JSON on the wire. A message carries identifiers only; a worker reads the
//! truth again, so that a forged message can ask but never approve.

use serde::{Deserialize, Serialize};

use crate::names::{JobId, NodeId, PrNumber, ProjectName, Sha};
use crate::observe::JobRef;

/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// How the cause of jobs begins whose end somebody waits for (see `sluice-producer actions`). No
/// webhook's delivery id holds a colon.
pub const WAITED_FOR: &str = "actions:";

/// The most a message may measure, in bytes; real ones have some hundred.
pub const MAX_BYTES: usize = 16 * 1024;

/// A job on its way, with what is needed to count, time and trace it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Version of this format.
    pub v: u32,
    /// The job's id: the same job published twice has the same one.
    pub id: JobId,
    /// When it was first published, in milliseconds since 1970. Kept across retries.
    pub enqueued_ms: u64,
    /// The webhook delivery (or command line) it comes from, for tracing.
    pub cause: String,
    /// Whether it is meant for every project of the repository that the pull request concerns: its
    /// own is any of them then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spread: bool,
    /// What is to be done.
    pub job: Job,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Job {
    /// Look at a pull request's head.
    GateCheck(GateCheck),
    /// Somebody wrote a command.
    Command(Command),
    /// Take a head to prod, merge it, clean up.
    Deploy(Deploy),
    /// Remove what a closed pull request left behind.
    Cleanup(Cleanup),
}

/// The job that runs the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateCheck {
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request.
    pub pr: PrNumber,
    /// How much is looked at.
    pub scope: Scope,
    /// The head as the event knew it; a newer one supersedes this job. `None`: whatever is current.
    pub head: Option<Sha>,
    /// Whether results that exist already are to be made anew.
    pub refresh: Refresh,
    /// The comment that asks to have the code of a fork's head run: it is read and judged again
    /// before that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<NodeId>,
}

/// How much of the gate a check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// GitHub facts only, no Python: announces the checks, judges approval, asks for what is
    /// missing.
    Approval,
    /// Lint, unit tests, PR environment and prod plan preview.
    Full,
    /// Whether a group of the merge queue may be merged, whose commit is the head.
    Group,
}

/// Whether an existing gate result is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// A result for this head and policy is adopted.
    No,
    /// Somebody asked for it again.
    Yes,
}

/// A comment that may be a command. Which commands exist is policy, so the worker decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request.
    pub pr: PrNumber,
    /// The comment, read again from GitHub before it counts.
    pub comment: NodeId,
}

/// The job that takes one head to prod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request.
    pub pr: PrNumber,
    /// The head that was cleared. Any other is refused.
    pub head: Sha,
    /// The comment that asked for it; `None` when approval and gate did.
    pub command: Option<NodeId>,
    /// When the signal came, in milliseconds since 1970, for the lead time.
    pub signalled_ms: u64,
}

/// The job that removes what a closed pull request left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleanup {
    /// The project concerned.
    pub project: ProjectName,
    /// The pull request.
    pub pr: PrNumber,
}

/// The closed set of job kinds, for labels and routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// Full gate check.
    Gate,
    /// Approval gate check.
    Approval,
    /// Command.
    Command,
    /// Deploy.
    Deploy,
    /// Cleanup.
    Cleanup,
}

impl JobKind {
    /// All of them, in the order of a pull request's life.
    pub const ALL: [Self; 5] =
        [Self::Approval, Self::Gate, Self::Command, Self::Deploy, Self::Cleanup];

    /// The label in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Approval => "approval",
            Self::Command => "command",
            Self::Deploy => "deploy",
            Self::Cleanup => "cleanup",
        }
    }
}

/// Why a message cannot be run. It goes to the dead letters as it is.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// Written by a newer (or much older) sluice.
    #[error("message version {found} is not {VERSION}, the one this worker reads")]
    Version {
        /// What the message says of itself.
        found: u64,
    },
    /// Not a job.
    #[error("not a job: {0}")]
    Json(#[from] serde_json::Error),
    /// More than [`MAX_BYTES`].
    #[error("a message of {0} bytes is no job of ours (at most {MAX_BYTES})")]
    TooLarge(usize),
}

impl Job {
    /// What sort of job it is.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::GateCheck(check) if check.scope == Scope::Full => JobKind::Gate,
            Self::GateCheck(_) => JobKind::Approval,
            Self::Command(_) => JobKind::Command,
            Self::Deploy(_) => JobKind::Deploy,
            Self::Cleanup(_) => JobKind::Cleanup,
        }
    }

    /// Its id. A deploy and a full gate check are about one head, however often they are asked for;
    /// everything else is about one event.
    fn id(&self, cause: &str) -> JobId {
        let (kind, project, pr) = (self.kind().label(), self.project(), self.pr());
        match self {
            Self::Deploy(Deploy { head, .. }) => JobId::of_deploy(project, pr, head),
            Self::GateCheck(GateCheck {
                scope: Scope::Full, head: Some(head), command, ..
            }) => {
                let pr = pr.to_string();
                let mut parts = vec![kind, project.as_str(), &pr, head.as_str()];
                // Each that asks for a fork's is one of its own.
                parts.extend(command.as_ref().map(NodeId::as_str));
                JobId::of_parts(&parts)
            }
            _ => JobId::of_parts(&[kind, project.as_str(), &pr.to_string(), cause]),
        }
    }

    /// The same for another project.
    #[must_use]
    pub fn of(mut self, name: &ProjectName) -> Self {
        let project = match &mut self {
            Self::GateCheck(job) => &mut job.project,
            Self::Command(job) => &mut job.project,
            Self::Deploy(job) => &mut job.project,
            Self::Cleanup(job) => &mut job.project,
        };
        project.clone_from(name);
        self
    }

    /// The project it concerns.
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::GateCheck(job) => &job.project,
            Self::Command(job) => &job.project,
            Self::Deploy(job) => &job.project,
            Self::Cleanup(job) => &job.project,
        }
    }

    /// The pull request it concerns.
    pub fn pr(&self) -> PrNumber {
        match self {
            Self::GateCheck(job) => job.pr,
            Self::Command(job) => job.pr,
            Self::Deploy(job) => job.pr,
            Self::Cleanup(job) => job.pr,
        }
    }
}

impl Envelope {
    /// A job on its way. `cause` is what it comes from: a webhook's delivery id, a command line.
    pub fn new(job: Job, cause: &str, now_ms: u64) -> Self {
        let cause: String = cause.chars().filter(char::is_ascii_graphic).take(100).collect();
        Self { v: VERSION, id: job.id(&cause), enqueued_ms: now_ms, cause, spread: false, job }
    }

    /// The same for every project of the repository that the pull request concerns.
    #[must_use]
    pub fn spread(self) -> Self {
        let id = JobId::of_parts(&["spread", self.id.as_str()]);
        Self { id, spread: true, ..self }
    }

    /// A job that follows from this one.
    pub fn following(&self, job: Job, now_ms: u64) -> Self {
        Self::new(job, &self.cause, now_ms)
    }

    /// What listeners are told of it.
    pub fn job_ref(&self) -> JobRef {
        let (project, pr) = (self.job.project().clone(), self.job.pr());
        let (id, kind, cause) = (self.id.clone(), self.job.kind(), self.cause.clone());
        JobRef { id, kind, project, pr, cause }
    }

    /// The message as bytes for the wire.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a message; a version that is not ours is said before anything else is looked at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadMessage> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        if bytes.len() > MAX_BYTES {
            return Err(BadMessage::TooLarge(bytes.len()));
        }
        let Version { v } = serde_json::from_slice(bytes)?;
        if v != u64::from(VERSION) {
            return Err(BadMessage::Version { found: v });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
