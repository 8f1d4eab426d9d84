//! What GitHub's own history shows of a deploy.
//!
//! Owns the shape of such an entry. Refuses to know when one is made, and how it looks on the wire.

use super::{Ask, Attempt};
use crate::names::Sha;

/// The number of a deployment in its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeploymentId(pub u64);

/// Where a deploy stands, as GitHub's history is to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentWrite {
    /// Whose repository, and in which job.
    pub ask: Ask,
    /// The commit that is deployed.
    pub head: Sha,
    /// The environment's name on GitHub.
    pub environment: String,
    /// What tells this deploy's entries from any other's of that commit and environment.
    pub task: String,
    /// The entry, when it is known.
    pub known: Option<DeploymentId>,
    /// Whether there may be one that is not known.
    pub attempt: Attempt,
    /// Where it stands.
    pub state: DeploymentState,
    /// A few words on that; at most 140 characters are kept.
    pub description: String,
    /// Where its log is.
    pub log_url: Option<String>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// Being applied, or on its way to the end that it needs.
    InProgress,
    /// The environment runs it.
    Success,
    /// It was refused on its way.
    Failure,
    /// Something broke on its way.
    Error,
}
