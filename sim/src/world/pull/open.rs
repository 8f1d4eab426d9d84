//! Opening a pull request, and pushing to it: from a branch of the repository or from a fork.

use super::{Pr, PullRequest, PullState};
use crate::git::{NewCommit, Oid};
use crate::world::mergeability::Mergeability;
use crate::world::{Files, Identity, Push, RepositoryName, World, WorldError};

/// A pull request to open.
#[derive(Clone, Debug)]
pub struct PullSpec {
    /// The branch to make, from the tip of `base`, or to use when it is there.
    pub branch: String,
    /// Its title.
    pub title: String,
    /// What its one commit changes.
    pub files: Files,
    /// The branch it goes into.
    pub base: String,
    /// Whether it is opened as a draft.
    pub draft: bool,
    /// The fork that it comes from.
    pub fork: Option<RepositoryName>,
}

impl World {
    /// Opens a pull request with one commit on top of the base.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] when the branch is in the repository itself and the author may
    /// not push, [`WorldError::NotFound`], [`WorldError::Git`].
    pub fn open_pull(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        spec: PullSpec,
    ) -> Result<Pr, WorldError> {
        let base_oid = self.repository(name)?.tip(&spec.base)?.clone();
        let (id, now) = (self.fresh_id(), self.now());
        let repository = self.repository_mut(name)?;
        repository.last_number += 1;
        let pr = Pr::new(name.clone(), repository.last_number);
        let head_oid = self.push_head(by, &pr, &spec, &base_oid)?;
        let size = self.repository(name)?.size_of(&base_oid, &head_oid)?;
        let pull = PullRequest {
            id,
            number: pr.number,
            title: spec.title,
            body: String::new(),
            author: self.login(by),
            state: PullState::Open,
            draft: spec.draft,
            head: spec.branch,
            head_oid: head_oid.clone(),
            head_repository: spec.fork,
            base: spec.base,
            base_oid,
            created_at: now,
            updated_at: now,
            closed_at: None,
            merged: None,
            reviews: Vec::new(),
            queued: None,
            reactions: Vec::new(),
            size,
            mergeability: Mergeability::Unknown,
        };
        let repository = self.repository_mut(name)?;
        repository.git.update_ref(&format!("refs/pull/{}/head", pr.number), &head_oid)?;
        repository.pulls.insert(pr.number, pull);
        self.emit_pull(by, &pr, "opened")?;
        self.request_suite(by, name, &head_oid)?;
        Ok(pr)
    }

    fn push_head(
        &mut self,
        by: &Identity,
        pr: &Pr,
        spec: &PullSpec,
        base: &Oid,
    ) -> Result<Oid, WorldError> {
        if let Some(fork) = &spec.fork {
            let reference = format!("refs/forks/{fork}/{}", spec.branch);
            let repository = self.repository(&pr.repository)?;
            if let (true, Some(tip)) =
                (spec.files.is_empty(), repository.branches.get(&spec.branch))
            {
                // The fork has the branch as the repository has it.
                repository.git.update_ref(&reference, tip)?;
                return Ok(tip.clone());
            }
            return self.commit_to_fork(by, pr, (&reference, base, &spec.files));
        }
        let existing = self.repository(&pr.repository)?.branches.get(&spec.branch).cloned();
        match existing {
            Some(tip) if spec.files.is_empty() => Ok(tip),
            existing => {
                let push = Push {
                    branch: spec.branch.clone(),
                    files: spec.files.clone(),
                    message: spec.title.clone(),
                    onto: Some(existing.unwrap_or_else(|| base.clone())),
                };
                self.push(by, &pr.repository, &push)
            }
        }
    }

    fn commit_to_fork(
        &self,
        by: &Identity,
        pr: &Pr,
        (reference, parent, files): (&str, &Oid, &Files),
    ) -> Result<Oid, WorldError> {
        let repository = self.repository(&pr.repository)?;
        Ok(repository.git.commit_files(&NewCommit {
            reference,
            parent: Some(parent),
            author: self.signature(by),
            message: "Change from a fork",
            files,
        })?)
    }

    /// Pushes one commit to the pull request's own branch, wherever that is.
    ///
    /// # Errors
    /// As [`World::push`].
    pub fn push_to_pull(
        &mut self,
        by: &Identity,
        pr: &Pr,
        files: &Files,
    ) -> Result<Oid, WorldError> {
        let (_, pull) = self.pull(pr)?;
        let Some(fork) = pull.head_repository.clone() else {
            let push = Push {
                branch: pull.head.clone(),
                files: files.clone(),
                message: format!("Update {}", pull.head),
                onto: None,
            };
            return self.push(by, &pr.repository, &push);
        };
        let reference = format!("refs/forks/{fork}/{}", pull.head);
        let parent = pull.head_oid.clone();
        let new = self.commit_to_fork(by, pr, (&reference, &parent, files))?;
        self.head_moved(by, pr, &new)?;
        Ok(new)
    }
}
