//! Merging: the rules GitHub checks, in its order and its words, and then a real merge.

use std::time::SystemTime;

use super::push::{ActivityType, Movement};
use super::{Identity, Pr, PullState, Role, World, WorldError};
use crate::faults::MergeFault;
use crate::git::{MergeTree, Oid};

/// How the commits of a pull request get into its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit with two parents.
    #[default]
    Merge,
    /// One new commit with everything.
    Squash,
    /// Each commit anew, on top of the base.
    Rebase,
}

/// What a merge asks for.
#[derive(Clone, Debug, Default)]
pub struct MergeRequest {
    /// How.
    pub method: MergeMethod,
    /// The head that the caller wants merged; any other is refused.
    pub expected_head: Option<String>,
    /// The first line of the commit.
    pub headline: Option<String>,
    /// The rest of it.
    pub body: Option<String>,
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The commit that the base points at since.
    pub commit: Oid,
    /// When.
    pub at: SystemTime,
    /// By whom.
    pub by: Identity,
}

impl World {
    /// Merges a pull request.
    ///
    /// # Errors
    /// [`WorldError::NotAllowed`] when the rules refuse, [`WorldError::Conflict`] when the head is
    /// not the expected one, [`WorldError::Forbidden`] without write access.
    pub fn merge(
        &mut self,
        by: &Identity,
        pr: &Pr,
        request: &MergeRequest,
    ) -> Result<Oid, WorldError> {
        if let Some(hook) = self.faults.before_merge.take() {
            hook(self);
        }
        let (repository, _) = self.pull(pr)?;
        self.require(repository, by, Role::Write)?;
        if let Some(fault) = self.faults.merges.pop_front() {
            return Err(fault.refusal());
        }
        self.check_mergeable(by, pr, request)?;
        let commit = self.merge_commit(by, pr, request)?;
        let at = self.now();
        let base = {
            let (repository, pull) = self.pull(pr)?;
            repository.git.update_ref(&format!("refs/heads/{}", pull.base), &commit)?;
            pull.base.clone()
        };
        let pull = self.pull_mut(pr)?;
        pull.state = PullState::Merged;
        pull.merged = Some(Merged { commit: commit.clone(), at, by: by.clone() });
        pull.closed_at = Some(at);
        pull.updated_at = at;
        let movement = Movement { branch: &base, to: commit.clone(), kind: ActivityType::PrMerge };
        self.branch_moved(by, &pr.repository, &movement)?;
        self.emit_pull(by, pr, "closed")?;
        Ok(commit)
    }

    fn check_mergeable(
        &self,
        by: &Identity,
        pr: &Pr,
        request: &MergeRequest,
    ) -> Result<(), WorldError> {
        let refuse = |message: &str| Err(WorldError::NotAllowed(message.to_owned()));
        let (repository, pull) = self.pull(pr)?;
        if pull.state != PullState::Open {
            return refuse("Pull Request is not mergeable");
        }
        if request.expected_head.as_deref().is_some_and(|head| head != pull.head_oid.as_str()) {
            return Err(MergeFault::HeadModified.refusal());
        }
        if repository.merge_queues.contains_key(&pull.base) {
            return refuse("Changes must be made through the merge queue");
        }
        if pull.draft {
            return refuse("Pull Request is still a draft");
        }
        match self.protection_refusal(repository, pull) {
            Some(refusal) if !self.bypasses(pr, by)? => refuse(&refusal),
            _ => Ok(()),
        }
    }

    fn merge_commit(
        &self,
        by: &Identity,
        pr: &Pr,
        request: &MergeRequest,
    ) -> Result<Oid, WorldError> {
        let (repository, pull) = self.pull(pr)?;
        let (git, by) = (&repository.git, self.signature(by));
        let (base, head) = (repository.tip(&pull.base)?, &pull.head_oid);
        let not_mergeable = || MergeFault::NotMergeable.refusal();
        if request.method == MergeMethod::Rebase {
            return git.rebase(base, head, &by)?.ok_or_else(not_mergeable);
        }
        let MergeTree::Clean(tree) = git.merge_tree(base, head)? else {
            return Err(not_mergeable());
        };
        let squash = request.method == MergeMethod::Squash;
        let headline = request.headline.clone().unwrap_or_else(|| {
            if squash {
                return format!("{} (#{})", pull.title, pull.number);
            }
            let owner = pull.head_repository.as_ref().unwrap_or(&repository.name).owner();
            format!("Merge pull request #{} from {owner}/{}", pull.number, pull.head)
        });
        let body = request.body.clone().unwrap_or_else(|| pull.title.clone());
        let message = format!("{headline}\n\n{body}\n");
        let parents: &[&Oid] = if squash { &[base] } else { &[base, head] };
        Ok(git.commit_tree(&tree, parents, &by, &message)?)
    }
}

impl MergeFault {
    fn refusal(self) -> WorldError {
        match self {
            Self::BaseModified => WorldError::NotAllowed(
                "Base branch was modified. Review and try the merge again.".to_owned(),
            ),
            Self::NotMergeable => {
                WorldError::NotAllowed("Pull Request is not mergeable".to_owned())
            }
            Self::HeadModified => WorldError::Conflict(
                "Head branch was modified. Review and try the merge again.".to_owned(),
            ),
        }
    }
}
