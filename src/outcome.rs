//! What a job can come to, and what is then done with its message: one table.
//!
//! Owns the vocabulary (stage, stop, verdict, disposition, conclusion). Refuses to know how any
//! of it is decided.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::Sha;
use crate::redact::Redactor;

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label in metrics, logs and timelines.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}

labels! {
    /// One step of a job. Nothing of a job runs outside one.
    Stage {
        /// Reading the facts from GitHub and deciding what they allow.
        Gate = "gate",
        /// Reading approvers and bot options from the base branch.
        Policy = "policy",
        /// Merging head into base in a worktree, and starting a bridge on it.
        Checkout = "checkout",
        /// Loading the project.
        Load = "load",
        /// SQLMesh's linter.
        Lint = "lint",
        /// SQLMesh's unit tests.
        Test = "test",
        /// Who approved.
        Approval = "approval",
        /// The pull request's own environment.
        PrEnvironment = "pr_environment",
        /// What a deploy would do to prod.
        ProdPlan = "prod_plan",
        /// Waiting for the environment's lease.
        Lease = "lease",
        /// Reading all facts again, under the lease.
        Validate = "validate",
        /// Planning prod, under the lease.
        Plan = "plan",
        /// Applying the plan.
        Apply = "apply",
        /// Merging the pull request, pinned to the planned head.
        Merge = "merge",
        /// Removing what is no longer needed.
        Cleanup = "cleanup",
        /// Telling people.
        Report = "report",
    }
}

labels! {
    /// How a stage ended.
    StageOutcome {
        /// It did what it is for.
        Ok = "ok",
        /// There was nothing to do.
        Skipped = "skipped",
        /// It found a fault in the change: a failing test, a plan error.
        Failed = "failed",
        /// It ended in a user-visible no.
        Refused = "refused",
        /// Not now.
        Later = "later",
        /// Something of ours or around us broke.
        Broken = "broken",
        /// Shutdown, cancel or a lost lease.
        Interrupted = "interrupted",
        /// A newer head exists.
        Superseded = "superseded",
    }
}

labels! {
    /// Why sluice says no. The sentence that goes with it is made where the facts are.
    Reason {
        /// Required approval is missing.
        NotApproved = "not_approved",
        /// An approval of the owners of what is changed is missing.
        OwnersMissing = "owners_missing",
        /// Required by the base branch's protection and not there.
        Blocked = "blocked",
        /// Conflicts with the base branch.
        Dirty = "dirty",
        /// A draft.
        Draft = "draft",
        /// GitHub did not say in time whether it can be merged.
        MergeabilityUnknown = "mergeability_unknown",
        /// Merged already.
        AlreadyMerged = "already_merged",
        /// Closed.
        Closed = "closed",
        /// The head is not the one that was cleared.
        HeadMoved = "head_moved",
        /// The base branch is not a production branch.
        NotProduction = "not_production",
        /// The commenter may not deploy.
        MayNotDeploy = "may_not_deploy",
        /// The commenter may not have a fork's code run.
        MayNotGate = "may_not_gate",
        /// The deploy command is not enabled.
        CommandDisabled = "command_disabled",
        /// The command is older than the head, was edited, or is gone.
        CommandStale = "command_stale",
        /// Nothing asks for a deploy.
        NoSignal = "no_signal",
        /// The gate has no result for this head.
        GateMissing = "gate_missing",
        /// The gate failed for this head.
        GateFailed = "gate_failed",
        /// The plan is not the one that was previewed.
        PlanChanged = "plan_changed",
        /// SQLMesh refuses the plan.
        PlanError = "plan_error",
        /// Models need a category.
        Uncategorized = "uncategorized",
        /// The base branch changes the project faster than it can be planned.
        BaseMoved = "base_moved",
        /// Another plan was applied meanwhile, twice.
        Conflict = "conflict",
        /// Lint or unit tests fail on the merged tree.
        TestsFailed = "tests_failed",
        /// The head is in a fork.
        Fork = "fork",
        /// It concerns other projects as well.
        SeveralProjects = "several_projects",
    }
}

/// A user-visible no: a closed reason and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The label.
    pub reason: Reason,
    /// For people: what is wrong and what to do about it. Never a traceback.
    pub sentence: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into() }
    }

    /// The same without secrets in its sentence.
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        Self { reason: self.reason, sentence: redactor.redact(&self.sentence).into_owned() }
    }
}

/// The only error of a stage.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A user-visible no; the job is done.
    #[error("refused: {}", sentences(.0))]
    Refused(Vec<Refusal>),
    /// Busy or rate limited: come back, the attempt does not count.
    #[error("later: {why}")]
    Later {
        /// For people and logs.
        why: String,
        /// How long to stay away.
        after: Duration,
    },
    /// Something broke: retried with backoff, then a dead letter.
    #[error("{what}")]
    Broken {
        /// What was being done, for people and logs; redacted before it leaves.
        what: String,
        /// What broke it.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Shutdown or a lost lease: requeued, not a failure.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// A newer head exists; its own job does the work.
    #[error("superseded by {0}")]
    Superseded(Sha),
}

fn sentences(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| r.sentence.as_str()).collect::<Vec<_>>().join(" ")
}

impl Stop {
    /// One refusal.
    pub fn refused(reason: Reason, sentence: impl Into<String>) -> Self {
        Self::Refused(vec![Refusal::new(reason, sentence)])
    }

    /// Something broke, with its cause.
    pub fn broken(
        what: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Broken { what: what.into(), source: Some(Box::new(source)) }
    }

    /// The same without secrets in what it says. Done before any of it is shortened: half of a
    /// secret is not known for one.
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        let redact = |text: String| redactor.redact(&text).into_owned();
        match self {
            Self::Refused(refusals) => {
                Self::Refused(refusals.into_iter().map(|why| why.redacted(redactor)).collect())
            }
            Self::Later { why, after } => Self::Later { why: redact(why), after },
            Self::Broken { what, source } => Self::Broken { what: redact(what), source },
            Self::Interrupted(why) => Self::Interrupted(redact(why)),
            Self::Superseded(newer) => Self::Superseded(newer),
        }
    }

    /// How the stage that stopped is counted.
    pub fn stage_outcome(&self) -> StageOutcome {
        match self {
            Self::Refused(_) => StageOutcome::Refused,
            Self::Later { .. } => StageOutcome::Later,
            Self::Broken { .. } => StageOutcome::Broken,
            Self::Interrupted(_) => StageOutcome::Interrupted,
            Self::Superseded(_) => StageOutcome::Superseded,
        }
    }
}

/// A check run's conclusion, by GitHub's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// All is well.
    Success,
    /// Something is wrong.
    Failure,
    /// Nothing to say, and no reason to hold the pull request.
    Neutral,
    /// Not run, for the reason in its title.
    Skipped,
    /// Somebody has to decide something.
    ActionRequired,
    /// A newer head made it pointless.
    Cancelled,
}

impl Conclusion {
    /// GitHub's word for it in REST and webhooks (upper case in GraphQL).
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
            Self::Skipped => "skipped",
            Self::ActionRequired => "action_required",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is done with a message once its job has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It reached a terminal state.
    Done,
    /// Again after this long; the attempt does not count.
    Later(Duration),
    /// Again after the backoff of its attempt; the attempt counts.
    Retry,
    /// Given back at once, to the head of its queue; not a failure.
    Requeue,
    /// It failed for good, for this reason; without secrets, as it is stored and shown.
    Dead(String),
}

impl Disposition {
    /// Every label.
    pub const LABELS: [&str; 5] = ["done", "later", "retry", "requeue", "dead"];

    /// The label in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Later(_) => "later",
            Self::Retry => "retry",
            Self::Requeue => "requeue",
            Self::Dead(_) => "dead",
        }
    }
}

labels! {
    /// What a deploy came to, for `deploys_total`.
    DeployOutcome {
        /// Prod runs it.
        Deployed = "deployed",
        /// A user-visible no.
        Refused = "refused",
        /// Prod runs it, main does not have it yet.
        AppliedNotMerged = "applied_not_merged",
        /// It failed for good.
        Failed = "failed",
    }
}

/// The one table: how a stopped job's message is settled.
///
/// `attempts_left` counts the retries that remain; at 0 a broken job is dead.
pub fn disposition(stop: &Stop, attempts_left: u32) -> Disposition {
    match stop {
        Stop::Refused(_) | Stop::Superseded(_) => Disposition::Done,
        Stop::Later { after, .. } => Disposition::Later(*after),
        Stop::Interrupted(_) => Disposition::Requeue,
        Stop::Broken { .. } if attempts_left > 0 => Disposition::Retry,
        Stop::Broken { .. } => Disposition::Dead(stop.to_string()),
    }
}

/// The conclusion that the deploy's check run gets for a refusal (BEHAVIOUR, "Deploy: stages").
pub fn conclusion_of(reason: Reason) -> Conclusion {
    match reason {
        Reason::Blocked | Reason::Dirty | Reason::TestsFailed => Conclusion::Failure,
        Reason::PlanChanged | Reason::PlanError | Reason::Uncategorized => {
            Conclusion::ActionRequired
        }
        _ => Conclusion::Skipped,
    }
}
