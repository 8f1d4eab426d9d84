//! Branch protection in the three places where GitHub shows it: the classic rule, what it means for
//! whoever updates a branch, and the rules of rulesets, which appear only in `Ref.rules`.

use async_graphql::{SimpleObject, Union};

use crate::world::{self, Origin};

/// `BranchProtectionRule`.
#[derive(SimpleObject)]
pub(crate) struct BranchProtectionRule {
    pattern: String,
    requires_approving_reviews: bool,
    required_approving_review_count: Option<usize>,
    requires_status_checks: bool,
    required_status_check_contexts: Vec<String>,
    requires_strict_status_checks: bool,
    dismisses_stale_reviews: bool,
    is_admin_enforced: bool,
}

impl BranchProtectionRule {
    pub(crate) fn of(pattern: &str, rule: &world::Protection) -> Self {
        Self {
            pattern: pattern.to_owned(),
            requires_approving_reviews: rule.required_approvals > 0,
            required_approving_review_count: Some(rule.required_approvals),
            requires_status_checks: !rule.required_checks.is_empty(),
            required_status_check_contexts: rule.required_checks.clone(),
            requires_strict_status_checks: rule.strict,
            dismisses_stale_reviews: rule.dismiss_stale,
            is_admin_enforced: rule.enforce_admins,
        }
    }
}

/// `RefUpdateRule`: a classic rule, seen by whoever updates the branch.
#[derive(SimpleObject)]
pub(crate) struct RefUpdateRule {
    pattern: String,
    required_approving_review_count: Option<usize>,
    required_status_check_contexts: Option<Vec<Option<String>>>,
}

impl RefUpdateRule {
    pub(crate) fn of(pattern: &str, rule: &world::Protection) -> Option<Self> {
        (rule.origin == Origin::Classic).then(|| Self {
            pattern: pattern.to_owned(),
            required_approving_review_count: Some(rule.required_approvals),
            required_status_check_contexts: Some(
                rule.required_checks.iter().cloned().map(Some).collect(),
            ),
        })
    }
}

/// `RepositoryRule`.
#[derive(SimpleObject)]
pub(crate) struct RepositoryRule {
    parameters: Option<RuleParameters>,
}

/// `RuleParameters`.
#[derive(Union)]
pub(crate) enum RuleParameters {
    /// Reviews that are required.
    PullRequest(PullRequestParameters),
    /// Checks that are required.
    Checks(RequiredStatusChecksParameters),
}

/// `PullRequestParameters`.
#[derive(SimpleObject)]
pub(crate) struct PullRequestParameters {
    required_approving_review_count: usize,
    dismiss_stale_reviews_on_push: bool,
}

/// `RequiredStatusChecksParameters`.
#[derive(SimpleObject)]
pub(crate) struct RequiredStatusChecksParameters {
    required_status_checks: Vec<StatusCheckConfiguration>,
    strict_required_status_checks_policy: bool,
}

/// `StatusCheckConfiguration`.
#[derive(SimpleObject)]
pub(crate) struct StatusCheckConfiguration {
    context: String,
}

impl RepositoryRule {
    /// The rules of a ruleset; none for a classic rule.
    pub(crate) fn of(rule: &world::Protection) -> Vec<Self> {
        if rule.origin == Origin::Classic {
            return Vec::new();
        }
        let reviews = RuleParameters::PullRequest(PullRequestParameters {
            required_approving_review_count: rule.required_approvals,
            dismiss_stale_reviews_on_push: rule.dismiss_stale,
        });
        let contexts = rule.required_checks.iter().cloned();
        let checks = RuleParameters::Checks(RequiredStatusChecksParameters {
            required_status_checks: contexts
                .map(|context| StatusCheckConfiguration { context })
                .collect(),
            strict_required_status_checks_policy: rule.strict,
        });
        let parameters = [reviews, checks].into_iter();
        parameters.map(|parameters| Self { parameters: Some(parameters) }).collect()
    }
}
