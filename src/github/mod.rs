//! The `GitHub` port: what sluice asks of GitHub, in its own words.
//!
//! Owns the facts a decision is made of and the effects a job may have. Refuses to know HTTP:
//! an adapter reads all facts in one query, batches effects into one request, and makes each
//! effect idempotent by reading back before it repeats anything.

use std::time::Duration;

use async_trait::async_trait;

use crate::names::{Login, NodeId, PolicySha, PrNumber, Repository, Sha};
use crate::observe::JobRef;
use crate::outcome::Conclusion;

mod deployment;
mod merge;
mod open;
mod owners;
mod queue;
mod report;

pub use deployment::{DeploymentId, DeploymentState, DeploymentWrite};
pub use merge::{Merge, MergeMethod, MergeOutcome, Via};
pub use open::{MergedPull, OpenCheck, OpenPull, OpenPulls, Page, Redelivered};
pub use owners::{Members, Owned, OwnedFiles, Owner, Ownership, Team};
pub use queue::{Group, MergeQueue};
pub use report::{Attempt, CheckWrite, CommentWrite, Report, ReportError, Reported};

/// GitHub, or what stands in for it.
#[async_trait]
pub trait GitHub: Send + Sync {
    /// All facts about a pull request, as of now, in one request (two when a command is asked for,
    /// more only for what is longer than a page, and for files that were renamed).
    async fn facts(&self, ask: &Ask) -> Result<Facts, GitHubError>;

    /// Our own check runs on a commit, which need not be a head any more; none when it is gone.
    async fn checks(&self, ask: &Ask, commit: &Sha) -> Result<Vec<Check>, GitHubError>;

    /// Makes the report visible: check runs, the sticky comment, a reaction; in one request.
    ///
    /// Idempotent: after an ambiguous failure it reads back what exists (check run by head, name
    /// and `external_id`; comment by marker and author) and adopts it instead of writing twice.
    /// What was written before a failure is told with it. A second [`Attempt`] reads before it
    /// creates anything.
    async fn report(&self, report: &Report) -> Result<Reported, ReportError>;

    /// Merges, pinned to `head`, and reads the merged commit back. Never repeated blindly: after an
    /// ambiguous failure the pull request is read first. A pull request that was merged at this
    /// head already is `Merged`.
    async fn merge(&self, merge: &Merge) -> Result<MergeOutcome, GitHubError>;

    /// Shows in GitHub's own history where a deploy stands, and says which entry tells it.
    ///
    /// An entry that is not known is looked for: the newest of that head, environment and task.
    /// [`DeploymentState::InProgress`] takes up one that is open, or makes one; an end is written
    /// to one that lacks it, and makes none. A failure is no second end. After an ambiguous failure
    /// what is there is read before anything is repeated.
    async fn deployment(
        &self,
        write: &DeploymentWrite,
    ) -> Result<Option<DeploymentId>, GitHubError>;

    /// What the account may do in the repository that is asked about, by GitHub's `role_name`.
    async fn role(&self, ask: &Ask, login: &Login) -> Result<Role, GitHubError>;

    /// The open pull requests of a repository, in GitHub's order, a page in one request: at most
    /// 50, from the first (`after` is `None`) or from where an earlier page ended. What opens or
    /// closes between two pages may be on both or on neither. With the first page come the merged
    /// ones that changed last.
    async fn open_pulls(
        &self,
        repository: &Repository,
        after: Option<&Page>,
    ) -> Result<OpenPulls, GitHubError>;

    /// Has the webhooks sent again that GitHub could not deliver since then, in milliseconds since
    /// 1970, as far as its log has them: each with its old delivery id, in a bounded number of
    /// requests. `None` where there is no log: only Apps have one.
    async fn redeliver(&self, since_ms: u64) -> Result<Option<Redelivered>, GitHubError>;
}

/// Which pull request, seen from which project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The repository.
    pub repository: Repository,
    /// The pull request.
    pub pr: PrNumber,
    /// The project's folder, for the policy's id and the merged subtree.
    pub path: String,
    /// The hidden text that tells this project's sticky comment from any other.
    pub marker: String,
    /// A comment whose author, text and age are wanted too.
    pub command: Option<NodeId>,
    /// Whether all changed files are wanted, also where they are not among the first hundred.
    pub files: bool,
    /// Whether it is wanted who owns them.
    pub owners: bool,
    /// On behalf of which job, for what is counted; `None` outside any.
    pub job: Option<JobRef>,
    /// Whether a merge waits for it: prod runs the head. It goes before everything else.
    pub urgent: bool,
}

/// Everything a decision about a pull request is made of, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The pull request's node id.
    pub id: NodeId,
    /// The repository's node id.
    pub repository_id: NodeId,
    /// Its number.
    pub number: PrNumber,
    /// Its title.
    pub title: String,
    /// Open, closed or merged.
    pub state: PrState,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether its head lives in another repository.
    pub fork: bool,
    /// Who opened it; `None` for a deleted account.
    pub author: Option<Login>,
    /// Its newest commit.
    pub head: Sha,
    /// The branch of its head.
    pub head_branch: String,
    /// The branch it is to be merged into.
    pub base_branch: String,
    /// The newest commit of that branch.
    pub base: Sha,
    /// The tree of the project's folder at `base`; `None` when it has none. A base that moved
    /// elsewhere leaves it as it was.
    pub base_project_tree: Option<Sha>,
    /// What it changes, against what it branched off.
    pub changed: Changed,
    /// Whom that belongs to.
    pub ownership: Ownership,
    /// What the policy at `base` is read from: changes exactly when the configuration files do.
    pub policy: PolicySha,
    /// All reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Where it stands in the base branch's merge queue.
    pub queue: MergeQueue,
    /// Whether GitHub would merge it.
    pub merge_state: MergeState,
    /// What the protection rules make of the reviews; `None` when they ask for none.
    pub review_decision: Option<ReviewDecision>,
    /// Required checks and statuses that are not successful, by name, ours included.
    pub required_pending: Vec<String>,
    /// Our own check runs on `head`.
    pub checks: Vec<Check>,
    /// Our sticky comment.
    pub comment: Option<Comment>,
    /// The command that was asked for, if it still exists on this pull request.
    pub command: Option<CommandFacts>,
}

/// The files that a pull request changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// All of them by their paths in the repository, a renamed one by both.
    Files(Vec<String>),
    /// They are more than were asked for, or than GitHub lists.
    Unknown,
}

/// Where a pull request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged, as this commit.
    Merged(MergedCommit),
}

/// The commit that a merge made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedCommit {
    /// Its id.
    pub sha: Sha,
    /// Its tree.
    pub tree: Sha,
    /// The tree of the project's folder in it; `None` when the folder is gone.
    pub project_tree: Option<Sha>,
    /// The branch that got it: the base of the pull request when it was merged.
    pub into: String,
    /// When, in milliseconds since 1970; `None` when GitHub does not say.
    pub at_ms: Option<u64>,
}

/// One review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Who; `None` for a deleted account.
    pub author: Option<Login>,
    /// What they said.
    pub state: ReviewState,
    /// The head it was given for; `None` when that commit is gone.
    pub commit: Option<Sha>,
    /// When, in milliseconds since 1970, by GitHub's clock in whole seconds.
    pub submitted_ms: u64,
    /// Whether its author may push to the repository.
    pub may_push: bool,
}

/// A review's opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    /// Yes.
    Approved,
    /// No.
    ChangesRequested,
    /// No opinion.
    Commented,
    /// Was an opinion, was dismissed.
    Dismissed,
    /// Not submitted yet.
    Pending,
}

/// GitHub's `mergeStateStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeState {
    /// The head is behind the base and the rules mind.
    Behind,
    /// Protection rules are not met.
    Blocked,
    /// Mergeable.
    Clean,
    /// Conflicts.
    Dirty,
    /// A draft.
    Draft,
    /// Mergeable, with hooks.
    HasHooks,
    /// Not computed yet.
    Unknown,
    /// Mergeable, with failing checks that are not required.
    Unstable,
}

/// What the protection rules make of the reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewDecision {
    /// Satisfied.
    Approved,
    /// Somebody objects.
    ChangesRequested,
    /// Reviews are missing.
    ReviewRequired,
}

/// A check run of ours, as it is on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its node id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// The job that wrote it last.
    pub external_id: String,
    /// Where it stands.
    pub status: CheckStatus,
    /// When it was asked for last, in milliseconds since 1970; `None` when GitHub does not say.
    pub started_ms: Option<u64>,
    /// Its title.
    pub title: String,
    /// Its summary, in which the gate's seal travels.
    pub summary: String,
}

/// Where a check run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// Waiting.
    Queued,
    /// Being worked on.
    InProgress,
    /// Done.
    Completed(Conclusion),
}

impl CheckStatus {
    /// GitHub's word for it, or for the conclusion, in lower case.
    pub fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed(conclusion) => conclusion.label(),
        }
    }
}

/// A comment of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its node id.
    pub id: NodeId,
    /// Its text.
    pub body: String,
}

/// What is known of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFacts {
    /// The comment.
    pub id: NodeId,
    /// Who wrote it; `None` for a deleted account.
    pub author: Option<Login>,
    /// Its text as it is now.
    pub body: String,
    /// Whether it was edited after it was written.
    pub edited: bool,
    /// When it was written, in milliseconds since 1970.
    pub created_ms: u64,
    /// When `head` was pushed to its branch, by GitHub's record; `None` when there is none.
    pub head_pushed_ms: Option<u64>,
}

/// What an account may do, by GitHub's role names, least first. A custom role counts as the
/// standard role that the same answer's `permission` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Triage.
    Triage,
    /// Push.
    Write,
    /// Maintain.
    Maintain,
    /// All.
    Admin,
}

/// Why GitHub did not do it, by what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// Wait: a limit was reached.
    #[error("GitHub's rate limit is reached for {} s", .after.as_secs())]
    Limited {
        /// How long to stay away.
        after: Duration,
    },
    /// Try again: GitHub or the network had a moment. Retries within the call are used up.
    #[error("GitHub did not answer as it should: {what}")]
    Unavailable {
        /// What happened, without secrets.
        what: String,
        /// What the client said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It is not there, or we may not see it.
    #[error("GitHub does not know {0}")]
    NotFound(String),
    /// We may not.
    #[error("GitHub refuses us: {0}")]
    Forbidden(String),
    /// The request is wrong; repeating it does not help.
    #[error("GitHub does not accept the request: {0}")]
    Invalid(String),
}
