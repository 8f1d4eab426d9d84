//! Pull requests as a sweep sees them: only what tells whether somebody has to look.

use super::CheckStatus;
use crate::names::{PrNumber, Sha};

/// One page of open pull requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenPulls {
    /// At most 50.
    pub pulls: Vec<OpenPull>,
    /// The merged ones that changed last, the last one first: at most 50, with the first page only.
    pub merged: Vec<MergedPull>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Page>,
}

/// Where a page begins, in GitHub's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(pub String);

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPull {
    /// Its number.
    pub number: PrNumber,
    /// Its newest commit.
    pub head: Sha,
    /// The branch it is to be merged into.
    pub base_branch: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether its head lives in another repository.
    pub fork: bool,
    /// When it got its newest review, in milliseconds since 1970.
    pub reviewed_ms: Option<u64>,
    /// Our own check runs on `head`, without what they say.
    pub checks: Vec<OpenCheck>,
}

/// A merged pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPull {
    /// Its number.
    pub number: PrNumber,
    /// The commit that was merged.
    pub head: Sha,
    /// When that was, in milliseconds since 1970; `None` when GitHub does not say.
    pub merged_ms: Option<u64>,
    /// Our own check runs on `head`, without what they say.
    pub checks: Vec<OpenCheck>,
}

/// A check run of ours on the head of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCheck {
    /// Its name.
    pub name: String,
    /// The job that wrote it last, or that will conclude it.
    pub external_id: String,
    /// Where it stands.
    pub status: CheckStatus,
    /// Its title; empty when it has none.
    pub title: String,
    /// When it was asked for last, in milliseconds since 1970; `None` when GitHub does not say.
    pub started_ms: Option<u64>,
    /// When it was concluded last, in milliseconds since 1970; `None` while it is open.
    pub completed_ms: Option<u64>,
}

/// What became of GitHub's log of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redelivered {
    /// Deliveries that were looked at.
    pub seen: usize,
    /// Those that are sent again.
    pub again: usize,
    /// Until when all is looked at, in milliseconds since 1970.
    pub newest_ms: u64,
}
