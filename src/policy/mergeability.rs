//! Whether GitHub would merge it.
//!
//! Owns what each merge state means for a deploy (BEHAVIOUR "Deploy: stages", validate). Refuses to
//! know how often GitHub is asked again.

use super::Policy;
use super::words::{code, listed};
use crate::github::{Facts, MergeState, ReviewDecision};
use crate::outcome::{Reason, Refusal};

/// Whether GitHub would merge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mergeability {
    /// It would, or would once our own checks are concluded.
    Yes,
    /// It has not computed it yet. Never taken for a yes.
    AskAgain,
    /// It would not.
    No(Vec<Refusal>),
}

/// Judges GitHub's merge state. `own_checks` are the names of our check runs: they are pending
/// while we work, so they do not count as blockers; whether they are green is the gate's word, not
/// GitHub's.
pub fn decide(facts: &Facts, policy: &Policy, own_checks: &[String]) -> Mergeability {
    if facts.draft || facts.merge_state == MergeState::Draft {
        return no(Reason::Draft, "This is a draft: mark it as ready for review to deploy it.");
    }
    let minds_blocks = policy.bot.check_if_blocked_on_deploy_to_prod;
    match facts.merge_state {
        MergeState::Clean | MergeState::HasHooks | MergeState::Unstable => Mergeability::Yes,
        MergeState::Unknown => Mergeability::AskAgain,
        MergeState::Dirty => no(
            Reason::Dirty,
            format!("It conflicts with {}: merge or rebase, then push.", code(&facts.base_branch)),
        ),
        MergeState::Behind if minds_blocks => no(
            Reason::Blocked,
            format!(
                "The protection rules want it up to date with {}: update the branch.",
                code(&facts.base_branch)
            ),
        ),
        MergeState::Blocked if minds_blocks && !only_we_block(facts, own_checks) => {
            no(Reason::Blocked, blockers(facts, own_checks))
        }
        MergeState::Behind | MergeState::Blocked => Mergeability::Yes,
        MergeState::Draft => no(Reason::Draft, "This is a draft."),
    }
}

fn no(reason: Reason, sentence: impl Into<String>) -> Mergeability {
    Mergeability::No(vec![Refusal::new(reason, sentence)])
}

/// Whether the block goes away when our own checks are concluded. Where nothing is pending,
/// something that GitHub does not name blocks (an unresolved conversation, a missing signature).
fn only_we_block(facts: &Facts, own_checks: &[String]) -> bool {
    matches!(facts.review_decision, None | Some(ReviewDecision::Approved))
        && !facts.required_pending.is_empty()
        && facts.required_pending.iter().all(|name| own_checks.contains(name))
}

fn blockers(facts: &Facts, own_checks: &[String]) -> String {
    let mut why = Vec::new();
    match facts.review_decision {
        Some(ReviewDecision::ReviewRequired) => why.push("a required review is missing".to_owned()),
        Some(ReviewDecision::ChangesRequested) => {
            why.push("a reviewer asked for changes".to_owned());
        }
        Some(ReviewDecision::Approved) | None => {}
    }
    let others: Vec<String> = facts
        .required_pending
        .iter()
        .filter(|name| !own_checks.contains(name))
        .take(10)
        .map(|name| code(name))
        .collect();
    if !others.is_empty() {
        why.push(format!("required checks are not successful: {}", listed(&others)));
    }
    if why.is_empty() {
        why.push("GitHub does not say which; see the merge box below".to_owned());
    }
    format!(
        "Protection rules of {} are not met: {}. \
         (`check_if_blocked_on_deploy_to_prod: false` turns this check off.)",
        code(&facts.base_branch),
        why.join("; "),
    )
}
