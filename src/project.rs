//! A SQLMesh project as sluice is configured to serve it.
//!
//! Owns what the *operator* decides. What the *team* decides (approvers, bot options) is policy,
//! read from the base branch.

use std::path::PathBuf;

use crate::names::{ProjectName, Repository};

/// One SQLMesh project: a name, a GitHub repository, a path in it, a Python environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its name in queues, metrics and check names.
    pub name: ProjectName,
    /// The repository that holds it.
    pub repository: Repository,
    /// Its folder in the repository, `/`-separated, empty for the root. Never absolute, never `..`.
    pub path: String,
    /// What else in the repository it is made of: files and folders, written as `path` is.
    pub also: Vec<String>,
    /// The interpreter that has the project's SQLMesh.
    pub python: Python,
    /// SQLMesh gateway, when not the configuration's default.
    pub gateway: Option<String>,
    /// Environment variables of the worker that the project's Python may see, by name.
    pub pass_env: Vec<String>,
    /// How many SQLMesh sessions may be open at once; 1 for a DuckDB file, which admits one
    /// process.
    pub max_sessions: usize,
    /// How many required approvers must have approved.
    pub approvals: Approvals,
    /// Whether an approval given for an older head counts.
    pub approval_on_old_head: OldHead,
    /// Whether the owners of what is changed must have approved as well.
    pub code_owners: OwnersApproval,
    /// Whether the repository holds other projects: check names then carry this one's.
    pub shares_repository: SharesRepository,
}

/// Where a project's Python comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Python {
    /// An interpreter that exists already.
    Interpreter(PathBuf),
    /// A file of pinned requirements, from which an environment is made and cached.
    Requirements(PathBuf),
}

/// How many of the required approvers must approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approvals {
    /// This many, at least one.
    AtLeast(u32),
    /// Each of them.
    All,
}

/// What an approval of an older head is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldHead {
    /// Nothing: what was approved is not what would be deployed.
    Refuse,
    /// As much as a current one, for teams that rely on GitHub's own dismissal rule.
    Accept,
}

/// What the CODEOWNERS file of the base branch is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnersApproval {
    /// Nothing: it is GitHub's alone.
    NotAsked,
    /// An owner of each changed file that has owners must have approved.
    Required,
}

/// Whether check names need the project's name to tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharesRepository {
    /// It is alone: the reference bot's names, unchanged.
    No,
    /// Others live there: names end in ` (project)`.
    Yes,
}
