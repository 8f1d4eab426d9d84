//! A merge: what is asked of GitHub, and what it came to.

use super::{Ask, MergedCommit};
use crate::names::{NodeId, Sha};

/// A merge, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Which pull request, for reading back.
    pub ask: Ask,
    /// The pull request's node id.
    pub pr_id: NodeId,
    /// The head that was planned; any other is refused by GitHub.
    pub head: Sha,
    /// How. A merge queue has a method of its own.
    pub method: MergeMethod,
    /// Which way.
    pub via: Via,
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// A merge commit.
    Merge,
    /// One new commit.
    Squash,
    /// The head's commits, again.
    Rebase,
}

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeOutcome {
    /// It is merged, as this commit.
    Merged(MergedCommit),
    /// It is in the base branch's merge queue.
    Waits,
    /// The head is another one now.
    HeadMoved,
    /// GitHub says no, in its words; it may say yes later.
    Refused(String),
}

/// How a pull request gets into its base branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// At once.
    Merge,
    /// Through the base branch's merge queue: it is put there, unless it is there.
    Queue,
    /// The same, and it was put there before: that it is there no more is a refusal.
    InQueue,
}
