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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::github::{Changed, Check, MergeQueue, MergeState, Ownership, PrState};
    use crate::names::{NodeId, PolicySha, PrNumber, ProjectName, Repository, Sha};
    use crate::project::{Approvals, OldHead, OwnersApproval, Python, SharesRepository};
    use crate::seal::GateOutcome;

    fn sha(digit: &str) -> Sha {
        Sha::new(digit.repeat(40)).unwrap()
    }

    fn project() -> Project {
        Project {
            name: ProjectName::new("warehouse").unwrap(),
            repository: Repository::new("acme/monorepo").unwrap(),
            path: "warehouse".into(),
            also: vec![],
            python: Python::Interpreter("python".into()),
            gateway: None,
            pass_env: vec![],
            max_sessions: 1,
            approvals: Approvals::AtLeast(1),
            approval_on_old_head: OldHead::Refuse,
            code_owners: OwnersApproval::NotAsked,
            shares_repository: SharesRepository::No,
        }
    }

    fn pull_request(checks: Vec<Check>) -> Facts {
        Facts {
            id: NodeId::new("PR_7").unwrap(),
            repository_id: NodeId::new("R_1").unwrap(),
            number: PrNumber(7),
            title: "Tidy orders".into(),
            state: PrState::Open,
            draft: false,
            fork: false,
            author: None,
            head: sha("c"),
            head_branch: "tidy-orders".into(),
            base_branch: "main".into(),
            base: sha("b"),
            base_project_tree: None,
            changed: Changed::Unknown,
            ownership: Ownership::NotAsked,
            policy: PolicySha::new("90110").unwrap(),
            reviews: vec![],
            queue: MergeQueue::None,
            merge_state: MergeState::Clean,
            review_decision: None,
            required_pending: vec![],
            checks,
            comment: None,
            command: None,
        }
    }

    fn result() -> GateResult {
        GateResult {
            v: seal::VERSION,
            project: project().name,
            pr: PrNumber(7),
            base_branch: "main".into(),
            previewed: None,
            head: sha("c"),
            base: sha("b"),
            policy: PolicySha::new("90110").unwrap(),
            outcome: GateOutcome::Passed,
            plan_digest: None,
            digest_input: vec![],
            tree: sha("7"),
            made_ms: 3_000,
        }
    }

    /// The gate's state where this result stands on the head of pull request 7.
    fn state_by(change: impl FnOnce(&mut GateResult)) -> GateState {
        let (project, key) = (project(), SealKey::derive(b"webhook secret"));
        let mut result = result();
        change(&mut result);
        let check = Check {
            id: NodeId::new("CR_1").unwrap(),
            name: checks::name(CheckKind::ProdPlan, &project),
            external_id: String::new(),
            status: CheckStatus::Completed(Conclusion::Success),
            started_ms: None,
            title: String::new(),
            summary: seal::seal(&result, &key),
        };
        gate_state(&pull_request(vec![check]), &project, &key)
    }

    #[test]
    fn a_result_is_about_one_pull_request_head_base_branch_and_policy() {
        assert!(matches!(state_by(|_| {}), GateState::Sealed(_)));
        let changes: [fn(&mut GateResult); 4] = [
            |result| result.pr = PrNumber(8),
            |result| result.head = sha("a"),
            |result| result.base_branch = "release".to_owned(),
            |result| result.policy = PolicySha::new("ab").unwrap(),
        ];
        for change in changes {
            assert_eq!(state_by(change), GateState::Missing);
        }
    }
}
