//! What becomes visible on a pull request, and how much of it did.
//!
//! Owns the shape of a report. Refuses to know who writes it, and how it looks on the wire.

use super::{Ask, CheckStatus, GitHubError};
use crate::names::{JobId, NodeId, Sha};

/// What becomes visible on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which pull request, for reading back.
    pub ask: Ask,
    /// The repository's node id.
    pub repository_id: NodeId,
    /// The pull request's node id.
    pub pr_id: NodeId,
    /// The commit that the check runs belong to.
    pub head: Sha,
    /// Check runs to create or update.
    pub checks: Vec<CheckWrite>,
    /// The sticky comment's new text.
    pub comment: Option<CommentWrite>,
    /// A comment that gets an 👀.
    pub eyes: Option<NodeId>,
    /// Whether what it creates may be there already.
    pub attempt: Attempt,
}

/// How much is known of what a report creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attempt {
    /// It is not there.
    #[default]
    First,
    /// A write of it failed or was given up: it may be there.
    Again,
}

/// A check run as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckWrite {
    /// The one to update; `None` creates it.
    pub id: Option<NodeId>,
    /// Its name.
    pub name: String,
    /// The job that writes it.
    pub external_id: JobId,
    /// Where it stands.
    pub status: CheckStatus,
    /// Its title; at most 255 characters are kept.
    pub title: String,
    /// Its summary, Markdown; an adapter cuts at 65,535 characters, at a line end.
    pub summary: String,
    /// Where "Details" leads.
    pub details_url: Option<String>,
}

/// The sticky comment as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentWrite {
    /// The one to rewrite; `None` creates it.
    pub id: Option<NodeId>,
    /// Its text, at most 65,536 characters, with the marker in it.
    pub body: String,
}

/// What a report made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reported {
    /// The node id of each check run of the report, by name.
    pub checks: Vec<(String, NodeId)>,
    /// The sticky comment, when the report had one.
    pub comment: Option<NodeId>,
}

/// Why a report is not visible as a whole.
#[derive(Debug, thiserror::Error)]
#[error("a report was not written as a whole")]
pub struct ReportError {
    /// What is visible as the report has it: not to be created again.
    pub written: Reported,
    /// Why the rest is not.
    pub source: GitHubError,
}
