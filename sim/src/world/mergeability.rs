//! Whether a pull request can be merged, answered as lazily as GitHub does: the first read after
//! a change says UNKNOWN and sets the computation off, a later read has the answer.

use super::{Pr, PullRequest, PullState, ReviewState, World, WorldError};
use crate::git::MergeTree;

/// What the stand-in knows of a pull request's merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mergeability {
    /// Head or base changed since it was last computed.
    Unknown,
    /// Merges without conflict.
    Clean { contains_base: bool },
    /// Does not.
    Conflicting,
}

/// GitHub's `MergeableState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum Mergeable {
    Mergeable,
    Conflicting,
    Unknown,
}

/// GitHub's `MergeStateStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum MergeState {
    Behind,
    Blocked,
    Clean,
    Dirty,
    Draft,
    HasHooks,
    Unknown,
    Unstable,
}

/// GitHub's `PullRequestReviewDecision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum ReviewDecision {
    Approved,
    ChangesRequested,
    ReviewRequired,
}

impl World {
    /// Reads the merge state as a client does: UNKNOWN the first time after a change.
    ///
    /// # Errors
    /// [`WorldError::NotFound`], [`WorldError::Git`].
    pub fn read_merge_state(&mut self, pr: &Pr) -> Result<(Mergeable, MergeState), WorldError> {
        let state = self.present_merge_state(pr)?;
        if state.0 == Mergeable::Unknown && !self.faults.mergeability_stuck {
            self.compute_mergeability(pr)?;
        }
        Ok(state)
    }

    /// The merge state as far as it is known, without setting anything off.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn present_merge_state(&self, pr: &Pr) -> Result<(Mergeable, MergeState), WorldError> {
        let (repository, pull) = self.pull(pr)?;
        if pull.state != PullState::Open || self.faults.mergeability_stuck {
            return Ok((Mergeable::Unknown, MergeState::Unknown));
        }
        Ok(match pull.mergeability {
            Mergeability::Unknown => (Mergeable::Unknown, MergeState::Unknown),
            Mergeability::Conflicting => (Mergeable::Conflicting, MergeState::Dirty),
            Mergeability::Clean { contains_base } => {
                (Mergeable::Mergeable, self.state_of_clean(repository, pull, contains_base))
            }
        })
    }

    fn compute_mergeability(&mut self, pr: &Pr) -> Result<(), WorldError> {
        let (repository, pull) = self.pull(pr)?;
        if pull.state != PullState::Open {
            return Ok(());
        }
        let base = repository.tip(&pull.base)?;
        let computed = match repository.git.merge_tree(base, &pull.head_oid)? {
            MergeTree::Conflict => Mergeability::Conflicting,
            MergeTree::Clean(tree) => {
                let by = self.signature(&super::Identity::user(repository.name.owner()));
                let message = format!("Merge {} into {base}", pull.head_oid);
                let parents = [base, &pull.head_oid];
                let test = repository.git.commit_tree(&tree, &parents, &by, &message)?;
                repository.git.update_ref(&format!("refs/pull/{}/merge", pr.number), &test)?;
                let contains_base = repository.git.contains(&pull.head_oid, base)?;
                Mergeability::Clean { contains_base }
            }
        };
        self.pull_mut(pr)?.mergeability = computed;
        Ok(())
    }

    /// What GitHub makes of the reviews; `None` when there is nothing to say.
    #[must_use]
    pub fn review_decision(
        &self,
        repository: &super::Repository,
        pull: &PullRequest,
    ) -> Option<ReviewDecision> {
        let any = |state| pull.latest_opinions().any(|review| review.state == state);
        if any(ReviewState::ChangesRequested) {
            return Some(ReviewDecision::ChangesRequested);
        }
        let required =
            repository.protection.get(&pull.base).map_or(0, |rule| rule.required_approvals);
        let given = pull.latest_opinions().filter(|one| one.state == ReviewState::Approved).count();
        if given < required {
            return Some(ReviewDecision::ReviewRequired);
        }
        (given > 0).then_some(ReviewDecision::Approved)
    }
}
