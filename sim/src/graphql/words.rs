//! GitHub's enumerations, tied to the world's.

use async_graphql::{Enum, InputObject};

use crate::git;
use crate::world;

/// `CheckConclusionState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::CheckConclusion")]
pub(crate) enum CheckConclusionState {
    ActionRequired,
    Cancelled,
    Failure,
    Neutral,
    Skipped,
    Stale,
    StartupFailure,
    Success,
    TimedOut,
}

/// `CheckStatusState`, as far as the stand-in has it.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::CheckStatus")]
pub(crate) enum CheckStatusState {
    Queued,
    InProgress,
    Completed,
}

/// `RequestableCheckStatusState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestableCheckStatusState {
    Completed,
    InProgress,
    Pending,
    Queued,
    Waiting,
}

impl From<RequestableCheckStatusState> for world::CheckStatus {
    fn from(state: RequestableCheckStatusState) -> Self {
        match state {
            RequestableCheckStatusState::Completed => Self::Completed,
            RequestableCheckStatusState::InProgress => Self::InProgress,
            RequestableCheckStatusState::Pending
            | RequestableCheckStatusState::Queued
            | RequestableCheckStatusState::Waiting => Self::Queued,
        }
    }
}

/// `CheckRunType`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckRunType {
    All,
    Latest,
}

/// `StatusState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusState {
    Error,
    Expected,
    Failure,
    Pending,
    Success,
}

impl From<world::RollupState> for StatusState {
    fn from(state: world::RollupState) -> Self {
        match state {
            world::RollupState::Failure => Self::Failure,
            world::RollupState::Pending => Self::Pending,
            world::RollupState::Success => Self::Success,
        }
    }
}

impl From<world::StatusState> for StatusState {
    fn from(state: world::StatusState) -> Self {
        match state {
            world::StatusState::Error => Self::Error,
            world::StatusState::Failure => Self::Failure,
            world::StatusState::Pending => Self::Pending,
            world::StatusState::Success => Self::Success,
        }
    }
}

/// `PullRequestState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::PullState")]
pub(crate) enum PullRequestState {
    Open,
    Closed,
    Merged,
}

/// `PullRequestReviewState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::ReviewState")]
pub(crate) enum PullRequestReviewState {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
}

/// `PullRequestReviewDecision`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::ReviewDecision")]
pub(crate) enum PullRequestReviewDecision {
    Approved,
    ChangesRequested,
    ReviewRequired,
}

/// `MergeableState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::Mergeable")]
pub(crate) enum MergeableState {
    Mergeable,
    Conflicting,
    Unknown,
}

/// `MergeStateStatus`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::MergeState")]
pub(crate) enum MergeStateStatus {
    Behind,
    Blocked,
    Clean,
    Dirty,
    Draft,
    HasHooks,
    Unknown,
    Unstable,
}

/// `PullRequestMergeMethod`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::MergeMethod")]
pub(crate) enum PullRequestMergeMethod {
    Merge,
    Squash,
    Rebase,
}

/// `PatchStatus`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "git::ChangeType")]
pub(crate) enum PatchStatus {
    Added,
    Deleted,
    Modified,
    Renamed,
    Changed,
}

/// `ReactionContent`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "world::ReactionContent")]
pub(crate) enum ReactionContent {
    ThumbsUp,
    ThumbsDown,
    Laugh,
    Confused,
    Heart,
    Hooray,
    Rocket,
    Eyes,
}

/// `CheckAnnotationLevel`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckAnnotationLevel {
    Failure,
    Notice,
    Warning,
}

/// `OrderDirection`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderDirection {
    Asc,
    Desc,
}

/// `IssueOrderField`, as far as the stand-in has it.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IssueOrderField {
    CreatedAt,
    UpdatedAt,
}

/// `IssueOrder`.
#[derive(InputObject, Clone, Copy)]
pub(crate) struct IssueOrder {
    field: IssueOrderField,
    direction: OrderDirection,
}

impl IssueOrder {
    /// Puts pull requests in order; those of the same moment stay as they are.
    pub(crate) fn sort(self, pulls: &mut [&world::PullRequest]) {
        let key = |pull: &&world::PullRequest| match self.field {
            IssueOrderField::CreatedAt => pull.created_at,
            IssueOrderField::UpdatedAt => pull.updated_at,
        };
        match self.direction {
            OrderDirection::Asc => pulls.sort_by_key(key),
            OrderDirection::Desc => pulls.sort_by_key(|pull| std::cmp::Reverse(key(pull))),
        }
    }
}
