//! The `Engine` port: a project's code on a merged checkout, and SQLMesh on top of it.
//!
//! Owns what a job may ask of SQLMesh. Refuses to know git, Python or processes: opening a session
//! merges the head into the base in a checkout of its own; dropping or cancelling it kills every
//! process that it started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::names::{Environment, PolicySha, PrNumber, Sha};
use crate::policy::Policy;
use crate::project::Project;

/// SQLMesh with its checkout, or what stands in for it.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Approvers and bot options of the base branch at `base`. Answers for a `policy` id that was
    /// read before come from a cache, without git or Python.
    async fn policy(
        &self,
        project: &Project,
        base: &Sha,
        policy: &PolicySha,
    ) -> Result<Arc<Policy>, EngineError>;

    /// Merges `source.head` into `source.base` in a worktree of its own and starts a bridge on it.
    ///
    /// When `cancel` fires, every call of the session ends with [`EngineError::Cancelled`], and
    /// only after all processes of the session are gone.
    async fn open(
        &self,
        source: &Source,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError>;
}

/// What a session is opened on.
#[derive(Debug, Clone)]
pub struct Source {
    /// The project.
    pub project: Arc<Project>,
    /// The pull request, whose ref is fetched.
    pub pr: PrNumber,
    /// The branch that `base` is on, which is fetched.
    pub base_branch: String,
    /// The commit that is merged into.
    pub base: Sha,
    /// The commit that is merged.
    pub head: Sha,
    /// Whether it is a stranger's: its code runs apart then, without anything that the worker has.
    pub confined: bool,
}

/// One job's SQLMesh: one context, used for everything the job does.
#[async_trait]
pub trait Session: Send + Sync {
    /// The checkout that the session stands on.
    fn checkout(&self) -> &Checkout;
    /// Loads the project. Comes first.
    async fn load(&mut self) -> Result<Loaded, EngineError>;
    /// Runs the linter.
    async fn lint(&mut self) -> Result<LintReport, EngineError>;
    /// Runs the unit tests.
    async fn test(&mut self) -> Result<TestReport, EngineError>;
    /// Builds a plan and remembers it for `apply`.
    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, EngineError>;
    /// Applies a plan that this session built, asking `watch` before every stage of the evaluator.
    async fn apply(&mut self, plan: &Plan, watch: &dyn Watch) -> Result<Applied, EngineError>;
    /// Marks an environment for removal. One that does not exist is fine.
    async fn invalidate(&mut self, environment: &Environment) -> Result<(), EngineError>;
    /// What the state store says of an environment; `None` when there is none.
    async fn environment(
        &mut self,
        environment: &Environment,
    ) -> Result<Option<EnvironmentState>, EngineError>;
    /// Ends the session in order and says what it used. Dropping it instead kills it.
    async fn close(self: Box<Self>) -> Result<Used, EngineError>;
}

/// Asked and told while a plan is applied.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Whether the next stage may start. Asked before each.
    async fn may_start(&self, stage: &str) -> Fence;
    /// How far it is.
    fn progress(&self, progress: Progress);
}

/// The answer before a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// The lease and its epoch stand.
    Go,
    /// They do not.
    Halt,
}

/// A merged tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The whole tree.
    pub tree: Sha,
    /// The tree of the project's folder.
    pub project_tree: Sha,
}

/// A loaded project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// How many models it has.
    pub models: u64,
    /// The linter is on for it.
    pub linter: bool,
}

/// What the linter said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LintReport {
    /// Violations of rules at level error, one per line of text.
    pub errors: Vec<String>,
    /// Violations at level warning.
    pub warnings: Vec<String>,
}

/// What the unit tests said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TestReport {
    /// How many ran.
    pub ran: u64,
    /// How many were skipped.
    pub skipped: u64,
    /// Those that failed or could not run.
    pub failures: Vec<TestFailure>,
}

/// One failing test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFailure {
    /// Its name.
    pub name: String,
    /// What it printed, bounded.
    pub text: String,
}

/// Which plan is wanted. The bot options go along, as the base branch has them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanRequest {
    /// For what.
    pub purpose: Purpose,
    /// Which environment.
    pub environment: Environment,
    /// The bot options.
    pub options: crate::policy::BotOptions,
    /// The branch of the head, for the forward-only suffix.
    pub head_branch: String,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The pull request's environment.
    Pr,
    /// What a deploy would do to prod, not to be applied.
    ProdPreview,
    /// The deploy itself.
    Prod,
}

/// A plan, as data and as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// SQLMesh's id of it.
    pub plan_id: String,
    /// For what it was built; also its name within the session.
    pub purpose: Purpose,
    /// The environment it is for.
    pub environment: Environment,
    /// Whether the environment is made by it.
    pub is_new_environment: bool,
    /// Whether applying it would do anything.
    pub has_effect: bool,
    /// Whether the code differs from the environment's.
    pub has_changes: bool,
    /// What changes.
    pub models: Vec<ModelChange>,
    /// Models that need a category by hand.
    pub uncategorized: Vec<String>,
    /// Every snapshot version that applying it builds or fills, as `name@version`. An apply holds a
    /// lease on each.
    pub builds: Vec<String>,
    /// What this change does directly, in canonical order: what an approval is bound to.
    pub digest_input: Vec<DirectChange>,
    /// The plan as Markdown, bounded.
    pub markdown: String,
}

/// One model's part in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChange {
    /// The model, as people call it.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// SQLMesh's model kind.
    pub kind: String,
    /// SQLMesh's change category, when it has one.
    pub category: Option<String>,
    /// The dates that are loaded, as text.
    pub loaded: Option<String>,
    /// The dates that are not loaded, as text.
    pub missing: Option<String>,
}

/// What happens to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Its own code changed.
    DirectlyModified,
    /// Something upstream changed.
    IndirectlyModified,
    /// Only metadata changed.
    MetadataUpdated,
}

/// One direct change, as an approval is bound to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DirectChange {
    /// The model.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// Its category.
    pub category: Option<String>,
    /// Whether it is forward-only.
    pub forward_only: bool,
    /// Whether it may destroy data.
    pub destructive: bool,
    /// The model's own code and metadata as one word, whatever is upstream of it.
    pub fingerprint: String,
}

/// How far an apply is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The evaluator's stage, in words.
    pub phase: String,
    /// The model that was worked on last.
    pub model: Option<String>,
    /// Batches done.
    pub done: u64,
    /// Batches in all; 0 when the stage has none.
    pub total: u64,
}

/// An applied plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Whether there was anything to do.
    pub changed: bool,
    /// The plan that the environment stands at now, read back.
    pub plan_id: Option<String>,
    /// Seconds per stage of the evaluator.
    pub stages: BTreeMap<String, f64>,
}

/// What the state store says of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentState {
    /// The plan that it stands at.
    pub plan_id: String,
    /// Whether that plan was finished.
    pub finalized: bool,
}

/// What a session used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// CPU time of its processes.
    pub cpu: Duration,
    /// The most memory it had, in bytes.
    pub peak_rss: u64,
}

/// Why the engine did not do it, by what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Head and base conflict; the author has to merge.
    #[error("conflicts with the base branch in {}", .files.join(", "))]
    MergeConflict {
        /// The conflicting files, the first 20.
        files: Vec<String>,
    },
    /// A commit is not there any more: the head moved or was never ours.
    #[error("commit {0} is not in the repository")]
    NoCommit(Sha),
    /// The project's own fault, declared by SQLMesh: say so on the pull request.
    #[error("{message}")]
    Declared {
        /// What sort of fault.
        class: Fault,
        /// SQLMesh's sentence.
        message: String,
        /// The last lines of the traceback; redacted before it leaves.
        traceback: Option<String>,
    },
    /// Another plan came first: plan again, once.
    #[error("another plan was applied meanwhile: {0}")]
    Conflict(String),
    /// The warehouse or a slot is taken: later.
    #[error("busy: {0}")]
    Busy(String),
    /// The watch said halt; nothing after that stage began.
    #[error("halted before {0}")]
    Halted(String),
    /// Cancelled; all processes are gone.
    #[error("cancelled")]
    Cancelled,
    /// Something took too long and was killed.
    #[error("{what} took longer than {} s and was stopped", .after.as_secs())]
    Timeout {
        /// What.
        what: String,
        /// How long it was given.
        after: Duration,
    },
    /// The bridge or git could not start, died, or spoke nonsense: try again.
    #[error("{what}")]
    Broken {
        /// What happened, with the last lines of its output.
        what: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// What sort of fault SQLMesh declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The configuration is not valid.
    Config,
    /// The project does not load.
    Load,
    /// The linter itself failed.
    Lint,
    /// The test runner itself failed.
    Test,
    /// A change needs a category by hand.
    Uncategorized,
    /// SQLMesh refuses the plan.
    Plan,
    /// A plan failed while it was applied.
    Apply,
    /// Anything else that the project's code or SQLMesh raised.
    Other,
}
