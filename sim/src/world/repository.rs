//! A repository: a bare git repository and everything GitHub keeps beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::push::Activity;
use super::{
    CheckRun, CheckSuite, Comment, CommitStatus, Deployment, Identity, Protection, PullRequest,
    Role, World, WorldError,
};
use crate::git::{Git, NewCommit, Oid, Signature};

/// Paths and their new contents; `None` removes the path.
pub type Files = Vec<(String, Option<Vec<u8>>)>;

/// `owner/name`. Compares without letter case, as GitHub does.
#[derive(Clone, Debug, Eq)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The name as GitHub writes it, `owner/name`.
    pub fn new(full: impl Into<String>) -> Self {
        Self(full.into())
    }

    /// Both parts together.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who owns the repository.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The name without its owner.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One repository.
#[derive(Debug)]
pub struct Repository {
    /// Database id.
    pub id: u64,
    /// Its full name.
    pub name: RepositoryName,
    /// Those that it had before.
    pub former_names: Vec<RepositoryName>,
    /// The branch that is checked out by default.
    pub default_branch: String,
    /// Branch name → tip.
    pub branches: BTreeMap<String, Oid>,
    /// Pull requests by number.
    pub pulls: BTreeMap<u64, PullRequest>,
    /// Conversation comments by database id.
    pub comments: BTreeMap<u64, Comment>,
    /// Check suites, oldest first.
    pub suites: Vec<CheckSuite>,
    /// Check runs by database id.
    pub runs: BTreeMap<u64, CheckRun>,
    /// Commit statuses, oldest first.
    pub statuses: Vec<CommitStatus>,
    /// Deployments, oldest first.
    pub deployments: Vec<Deployment>,
    /// Roles by login in lower case; who is not here may only look.
    pub collaborators: BTreeMap<String, Role>,
    /// Protection rules by branch.
    pub protection: BTreeMap<String, Protection>,
    /// Who waits in the merge queue, by number, of each branch that requires one.
    pub merge_queues: BTreeMap<String, Vec<u64>>,
    /// Every push, oldest first.
    pub activity: Vec<Activity>,
    pub(crate) git: Git,
    pub(super) last_number: u64,
}

impl Repository {
    /// The bare repository on disk, for `git --git-dir`.
    #[must_use]
    pub fn git_directory(&self) -> &Path {
        self.git.directory()
    }

    /// The role of a login; [`Role::Read`] for a stranger: repositories are public here.
    #[must_use]
    pub fn role_of(&self, login: &str) -> Role {
        self.collaborators.get(&login.to_lowercase()).copied().unwrap_or(Role::Read)
    }

    /// The tip of a branch.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such branch.
    pub fn tip(&self, branch: &str) -> Result<&Oid, WorldError> {
        self.branches.get(branch).ok_or(WorldError::NotFound)
    }

    /// The content of a file at a commit; `None` when there is no such file.
    ///
    /// # Errors
    /// [`WorldError::Git`] when git fails.
    pub fn file(&self, commit: &Oid, path: &str) -> Result<Option<Vec<u8>>, WorldError> {
        let object = self.git.object(&format!("{commit}:{path}"))?;
        Ok(object.map(|object| object.content))
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such commit.
    pub fn tree(&self, commit: &Oid) -> Result<Oid, WorldError> {
        Ok(self.git.commit(commit)?.ok_or(WorldError::NotFound)?.tree)
    }

    /// The parents of a commit, first parent first.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such commit.
    pub fn parents(&self, commit: &Oid) -> Result<Vec<Oid>, WorldError> {
        Ok(self.git.commit(commit)?.ok_or(WorldError::NotFound)?.parents)
    }
}

impl World {
    /// Makes a repository whose `main` has one commit with these files.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when the name is taken, [`WorldError::Git`] when git fails.
    pub fn create_repository(
        &mut self,
        name: &RepositoryName,
        files: &Files,
    ) -> Result<(), WorldError> {
        if self.repository(name).is_ok() {
            return Err(WorldError::Unprocessable("name already exists on this account".into()));
        }
        let directory = self.root.join(format!("{name}.git"));
        let git = Git::init(directory, "main")?;
        let author = self.signature(&Identity::user(name.owner()));
        let first = git.commit_files(&NewCommit {
            reference: "refs/heads/main",
            parent: None,
            author,
            message: "Initial commit",
            files,
        })?;
        let id = self.fresh_id();
        self.repositories.push(Repository {
            id,
            name: name.clone(),
            former_names: Vec::new(),
            default_branch: "main".to_owned(),
            branches: BTreeMap::from([("main".to_owned(), first)]),
            pulls: BTreeMap::new(),
            comments: BTreeMap::new(),
            suites: Vec::new(),
            runs: BTreeMap::new(),
            statuses: Vec::new(),
            deployments: Vec::new(),
            collaborators: BTreeMap::new(),
            protection: BTreeMap::new(),
            merge_queues: BTreeMap::new(),
            activity: Vec::new(),
            git,
            last_number: 0,
        });
        Ok(())
    }

    /// Gives a user a role in a repository.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such repository.
    pub fn collaborate(
        &mut self,
        name: &RepositoryName,
        login: &str,
        role: Role,
    ) -> Result<(), WorldError> {
        let repository = self.repository_mut(name)?;
        repository.collaborators.insert(login.to_lowercase(), role);
        Ok(())
    }

    pub(crate) fn signature(&self, by: &Identity) -> Signature {
        let name = self.login(by);
        let email = format!("{name}@users.noreply.example");
        Signature { name, email, at: self.now() }
    }
}
