//! Branch protection: what GitHub demands before it lets a pull request into a branch.

use super::{MergeState, Pr, PullRequest, Repository, ReviewState, Role, World, WorldError};

/// Where a rule was configured, which decides where GitHub's API shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A classic branch protection rule.
    #[default]
    Classic,
    /// A ruleset.
    Ruleset,
}

/// The protection rule of one branch.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    /// Where it was configured.
    pub origin: Origin,
    /// Approving reviews by people with write access; 0 demands none.
    pub required_approvals: usize,
    /// Names of checks or status contexts that must have passed on the head.
    pub required_checks: Vec<String>,
    /// Whether a push dismisses approvals that were given before it.
    pub dismiss_stale: bool,
    /// Whether the head must contain the base's tip.
    pub strict: bool,
    /// Whether admins are bound too.
    pub enforce_admins: bool,
}

impl World {
    /// Sets the rule of a branch, or removes it with `None`.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such repository.
    pub fn protect(
        &mut self,
        name: &super::RepositoryName,
        branch: &str,
        rule: Option<Protection>,
    ) -> Result<(), WorldError> {
        let repository = self.repository_mut(name)?;
        match rule {
            Some(rule) => repository.protection.insert(branch.to_owned(), rule),
            None => repository.protection.remove(branch),
        };
        Ok(())
    }

    /// The first rule of the base that the pull request does not meet, in GitHub's words.
    pub(crate) fn protection_refusal(
        &self,
        repository: &Repository,
        pull: &PullRequest,
    ) -> Option<String> {
        let rule = repository.protection.get(&pull.base)?;
        if pull.latest_opinions().any(|review| {
            review.state == ReviewState::ChangesRequested && self.has_write(repository, review)
        }) && rule.required_approvals > 0
        {
            return Some("Changes have been requested.".to_owned());
        }
        let approvals = pull
            .latest_opinions()
            .filter(|review| review.state == ReviewState::Approved)
            .filter(|review| self.has_write(repository, review))
            .count();
        if approvals < rule.required_approvals {
            let missing = rule.required_approvals;
            let reviews = if missing == 1 { "review is" } else { "reviews are" };
            return Some(format!(
                "At least {missing} approving {reviews} required by reviewers with write access."
            ));
        }
        let name = rule
            .required_checks
            .iter()
            .find(|name| !repository.check_passed(&pull.head_oid, name))?;
        Some(format!("Required status check \"{name}\" is expected."))
    }

    fn has_write(&self, repository: &Repository, review: &super::Review) -> bool {
        review.author.as_deref().is_some_and(|login| {
            self.user(login).is_some() && repository.role_of(login) >= Role::Write
        })
    }

    /// Whether an admin's merge may pass the rule.
    pub(crate) fn bypasses(&self, pr: &Pr, identity: &super::Identity) -> Result<bool, WorldError> {
        let (repository, pull) = self.pull(pr)?;
        let bound = repository.protection.get(&pull.base).is_some_and(|rule| rule.enforce_admins);
        Ok(!bound && self.role(repository, identity) == Role::Admin)
    }

    /// What protection and checks make of a pull request that merges without conflict.
    pub(crate) fn state_of_clean(
        &self,
        repository: &Repository,
        pull: &PullRequest,
        contains_base: bool,
    ) -> MergeState {
        let strict = repository.protection.get(&pull.base).is_some_and(|rule| rule.strict);
        if pull.draft {
            MergeState::Draft
        } else if self.protection_refusal(repository, pull).is_some() {
            MergeState::Blocked
        } else if strict && !contains_base {
            MergeState::Behind
        } else if repository.all_checks_pass(&pull.head_oid) {
            MergeState::Clean
        } else {
            MergeState::Unstable
        }
    }
}
