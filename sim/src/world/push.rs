//! Pushes: a branch moves, and every pull request from or into it notices.

use std::time::SystemTime;

use super::{Identity, Pr, PullState, RepositoryName, Role, World, WorldError};
use crate::git::{NewCommit, Oid};
use crate::shape;

/// One entry of a repository's activity.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Database id.
    pub id: u64,
    /// The full reference that moved.
    pub reference: String,
    /// Where it was.
    pub before: Oid,
    /// Where it is.
    pub after: Oid,
    /// When GitHub received the push: the only trustworthy time of a head, since the dates in a
    /// commit are its author's to choose.
    pub at: SystemTime,
    /// Who pushed.
    pub actor: Identity,
    /// What kind of movement.
    pub kind: ActivityType,
}

/// How a reference moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityType {
    /// A push on top of what was there.
    Push,
    /// A push that threw commits away.
    ForcePush,
    /// A merged pull request.
    PrMerge,
    /// A new branch.
    BranchCreation,
}

/// One push of one commit.
#[derive(Clone, Debug)]
pub struct Push {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// What the commit changes.
    pub files: super::Files,
    /// The commit's message.
    pub message: String,
    /// `None` pushes on top of the branch; a commit throws away what came after it.
    pub onto: Option<Oid>,
}

impl World {
    /// Pushes one commit to a branch of the repository itself, creating the branch from the
    /// default branch when it is new.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] without write access, [`WorldError::NotFound`],
    /// [`WorldError::Git`].
    pub fn push(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        push: &Push,
    ) -> Result<Oid, WorldError> {
        let repository = self.repository(name)?;
        self.require(repository, by, Role::Write)?;
        let old = repository.branches.get(&push.branch).cloned();
        let parent = match (&push.onto, &old) {
            (Some(onto), _) => onto.clone(),
            (None, Some(old)) => old.clone(),
            (None, None) => repository.tip(&repository.default_branch)?.clone(),
        };
        let kind = match (&old, &push.onto) {
            (None, _) => ActivityType::BranchCreation,
            (Some(old), Some(onto)) if old != onto => ActivityType::ForcePush,
            _ => ActivityType::Push,
        };
        let new = repository.git.commit_files(&NewCommit {
            reference: &format!("refs/heads/{}", push.branch),
            parent: Some(&parent),
            author: self.signature(by),
            message: &push.message,
            files: &push.files,
        })?;
        self.branch_moved(by, name, &Movement { branch: &push.branch, to: new.clone(), kind })?;
        Ok(new)
    }

    /// Records that a branch moved and tells everyone it concerns.
    pub(super) fn branch_moved(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        movement: &Movement<'_>,
    ) -> Result<(), WorldError> {
        let (id, at) = (self.fresh_id(), self.now());
        let repository = self.repository_mut(name)?;
        let before = repository
            .branches
            .insert(movement.branch.to_owned(), movement.to.clone())
            .unwrap_or_else(Oid::zero);
        repository.activity.push(Activity {
            id,
            reference: format!("refs/heads/{}", movement.branch),
            before: before.clone(),
            after: movement.to.clone(),
            at,
            actor: by.clone(),
            kind: movement.kind,
        });
        let payload = shape::push(self, self.repository(name)?, movement.branch, &before)?;
        self.emit(by, name, ("push", None), payload)?;
        for number in self.open_pulls(name, |pull| pull.base == movement.branch)? {
            self.pull_mut(&Pr::new(name.clone(), number))?.forget_mergeability();
        }
        self.build_groups(name, movement.branch)?;
        let from_branch = |pull: &super::PullRequest| {
            pull.head == movement.branch && pull.head_repository.is_none()
        };
        for number in self.open_pulls(name, from_branch)? {
            self.head_moved(by, &Pr::new(name.clone(), number), &movement.to)?;
        }
        Ok(())
    }

    fn open_pulls(
        &self,
        name: &RepositoryName,
        wanted: impl Fn(&super::PullRequest) -> bool,
    ) -> Result<Vec<u64>, WorldError> {
        let pulls = self.repository(name)?.pulls.values();
        let open = pulls.filter(|pull| pull.state == PullState::Open && wanted(pull));
        Ok(open.map(|pull| pull.number).collect())
    }
}

/// Where a branch went, and why.
pub(super) struct Movement<'a> {
    pub(super) branch: &'a str,
    pub(super) to: Oid,
    pub(super) kind: ActivityType,
}
