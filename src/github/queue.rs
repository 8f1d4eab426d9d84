//! GitHub's merge queue, as far as a pull request is concerned.

use crate::names::Sha;

/// Where a pull request stands in the merge queue of its base branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeQueue {
    /// The branch has none that we may see.
    None,
    /// It is not in it.
    Out,
    /// It is in it.
    In {
        /// Its group, once GitHub has made one.
        group: Option<Group>,
    },
}

/// What the queue makes of a pull request: its change on top of what is before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The commit that the base branch may become, and that checks are asked for.
    pub head: Sha,
    /// What it is on top of: the base branch, or the group before.
    pub onto: Sha,
}
