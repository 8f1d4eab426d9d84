//! What the check runs of a head say of its gate.
//!
//! Owns the reading of seals. Refuses to know who works on what: a check that stands open reads as
//! running here.

use crate::github::{CheckStatus, Facts, ReviewState};
use crate::outcome::Conclusion;
use crate::project::Project;
use crate::render::checks::{self, CheckKind};
use crate::seal::{self, GateResult, SealKey};

/// What is known of the gate for a head, read from the check runs themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GateState {
    /// No result for this head and policy, and nobody works on one.
    Missing,
    /// Announced or being worked on.
    Running,
    /// It broke, or was stopped, without a result; somebody has to ask again.
    Broke,
    /// There is a result, signed by us.
    Sealed(Box<GateResult>),
}

/// Reads the gate's state from the check runs.
pub(crate) fn gate_state(facts: &Facts, project: &Project, key: &SealKey) -> GateState {
    let name = checks::name(CheckKind::ProdPlan, project);
    let Some(check) = facts.checks.iter().find(|check| check.name == name) else {
        return GateState::Missing;
    };
    match check.status {
        CheckStatus::Queued | CheckStatus::InProgress => return GateState::Running,
        // A newer head made it pointless, and went away again.
        CheckStatus::Completed(Conclusion::Cancelled) => return GateState::Missing,
        // The head did not concern the project, before its base was another one.
        CheckStatus::Completed(Conclusion::Neutral) => return GateState::Missing,
        CheckStatus::Completed(_) => {}
    }
    match seal::unseal(&check.summary, key, &project.name) {
        Some(result) if fits(&result, facts) => GateState::Sealed(Box::new(result)),
        Some(_) => GateState::Missing,
        // Written by us under another key or by another version: nobody can say what it said.
        None if seal::is_sealed(&check.summary) => GateState::Missing,
        None => GateState::Broke,
    }
}

/// A result is about one pull request, head, base branch and policy.
fn fits(result: &GateResult, facts: &Facts) -> bool {
    result.pr == facts.number
        && result.head == facts.head
        && result.base_branch == facts.base_branch
        && result.policy == facts.policy
}

/// The newest result for this head, also while another is being made: what it says of previews that
/// people saw still counts.
pub(crate) fn result_before(facts: &Facts, project: &Project, key: &SealKey) -> Option<GateResult> {
    let name = checks::name(CheckKind::ProdPlan, project);
    let check = facts.checks.iter().find(|check| check.name == name)?;
    let result = seal::before(&check.summary, key, &project.name)?;
    (result.head == facts.head && result.pr == facts.number).then_some(result)
}

/// The facts without approvals and commands that speak of another plan than the one that people can
/// see now: what came before the newest preview does not count once previews differed.
pub(crate) fn about_the_preview(facts: &Facts, project: &Project, key: &SealKey) -> Facts {
    let before = result_before(facts, project, key).and_then(|result| result.previewed);
    let from_ms = before.map_or(0, |previewed| previewed.approved_from_ms);
    let mut facts = facts.clone();
    facts
        .reviews
        .retain(|review| review.state != ReviewState::Approved || review.submitted_ms >= from_ms);
    if facts.command.as_ref().is_some_and(|command| command.created_ms < from_ms) {
        facts.command = None;
    }
    facts
}

impl GateState {
    /// The result, when there is one.
    pub(crate) fn result(&self) -> Option<&GateResult> {
        match self {
            Self::Sealed(result) => Some(result),
            _ => None,
        }
    }
}
