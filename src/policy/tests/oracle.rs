//! The rules of "Approval" and "Deploy signal" written a second time, naively, and judged over
//! generated pull requests, beside what has to hold of every verdict.

mod cases;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::facts_table::*;
use super::reasons;
use crate::github::{
    Facts, Members, MergeState, Owner, Ownership, PrState, Review, ReviewDecision, ReviewState,
    Role,
};
use crate::names::{Login, Sha};
use crate::outcome::{Reason, Refusal};
use crate::policy::Policy;
use crate::policy::clearance::{Cleared, Question, decide};
use crate::policy::mergeability::{self, Mergeability};
use crate::policy::signal::Signal;
use crate::project::{Approvals, OldHead, OwnersApproval, Project};
use crate::seal::{GateOutcome, GateResult};
use ReviewState::{Approved, ChangesRequested, Commented, Dismissed, Pending};
use cases::{case, person};

/// All that a verdict is made of.
#[derive(Debug, Clone)]
struct Case {
    facts: Facts,
    policy: Policy,
    project: Project,
    asked: Sha,
    role: Option<Role>,
    gate: Option<GateResult>,
}

impl Case {
    fn verdict(&self) -> Result<Cleared, Vec<Refusal>> {
        decide(&Question {
            facts: &self.facts,
            policy: &self.policy,
            project: &self.project,
            head: &self.asked,
            role: self.role,
            gate: self.gate.as_ref(),
            others: &[],
        })
    }

    fn with_reviews(&self, reviews: Vec<Review>) -> Self {
        Self { facts: Facts { reviews, ..self.facts.clone() }, ..self.clone() }
    }
}

/// The name under which GitHub knows somebody, whatever the case.
fn name(login: &Login) -> String {
    login.as_str().to_lowercase()
}

/// Who commands a deploy of the current head, by a comment that counts as one.
fn commands(case: &Case) -> Option<String> {
    let command = case.facts.command.as_ref()?;
    let author = name(command.author.as_ref()?);
    let is_after_the_push = command.head_pushed_ms.is_some_and(|at| at < command.created_ms);
    let is_one = case.policy.bot.enable_deploy_command
        && !command.edited
        && command.body.trim() == "/deploy"
        && is_after_the_push;
    let may = match case.policy.approvers.is_empty() {
        true => matches!(case.role, Some(Role::Maintain | Role::Admin)),
        false => case.policy.approvers.iter().any(|approver| name(approver) == author),
    };
    (is_one && may).then_some(author)
}

/// Whether one approver, who is not the author, says yes.
fn says_yes(case: &Case, who: &str) -> bool {
    let mut opinion = None;
    for review in &case.facts.reviews {
        let is_theirs = review.author.as_ref().is_some_and(|author| name(author) == who);
        if is_theirs && matches!(review.state, Approved | ChangesRequested | Dismissed) {
            opinion = Some((review.state, review.commit.as_ref() == Some(&case.facts.head)));
        }
    }
    let commanded = commands(case).as_deref() == Some(who);
    match opinion {
        Some((Approved, true)) => true,
        Some((Approved, false)) if case.project.approval_on_old_head == OldHead::Accept => true,
        // A no to this very head outweighs a command: nobody knows which came first.
        Some((ChangesRequested | Dismissed, true)) => false,
        _ => commanded,
    }
}

/// Whether somebody's yes is one that an owner may give.
fn owner_says_yes(case: &Case, who: &Login) -> bool {
    let theirs = |review: &&Review| {
        review.author.as_ref() == Some(who) && !matches!(review.state, Commented | Pending)
    };
    let last = case.facts.reviews.iter().rfind(theirs);
    let is_review = last.is_some_and(|review| {
        let is_current = review.commit.as_ref() == Some(&case.facts.head);
        let old_counts = case.project.approval_on_old_head == OldHead::Accept;
        review.state == Approved && (is_current || old_counts)
    });
    let may = match is_review {
        true => last.is_some_and(|review| review.may_push),
        false => !case.policy.approvers.is_empty(),
    };
    case.facts.author.as_ref() != Some(who) && says_yes(case, &name(who)) && may
}

/// Whether an owner of each file that has owners says yes, where the project minds.
fn is_approved_by_owners(case: &Case) -> bool {
    if case.project.code_owners == OwnersApproval::NotAsked {
        return true;
    }
    let Ownership::Known(owned) = &case.facts.ownership else { return false };
    owned.groups.iter().all(|group| {
        group.owners.iter().any(|owner| match owner {
            Owner::User(login) => owner_says_yes(case, login),
            Owner::Team(team) => match owned.teams.get(team) {
                Some(Members::Are(all)) => all.iter().any(|one| owner_says_yes(case, one)),
                _ => false,
            },
            Owner::Email(_) => false,
        })
    })
}

/// Whether the head may go to prod, in the words of the rules.
fn may_go(case: &Case) -> bool {
    let Case { facts, policy, project, .. } = case;
    let author = facts.author.as_ref().map(name);
    let mut approvers: Vec<String> = policy.approvers.iter().map(name).collect();
    approvers.sort();
    approvers.dedup();
    approvers.retain(|approver| Some(approver) != author.as_ref());
    let yes = approvers.iter().filter(|approver| says_yes(case, approver)).count();
    let needed = match project.approvals {
        Approvals::AtLeast(count) => (count as usize).max(1),
        Approvals::All => approvers.len().max(1),
    };
    let is_approved = policy.approvers.is_empty() || yes >= needed;
    // A command is judged alone: its author is owed an answer.
    let is_asked_for = match facts.command.is_some() || policy.approvers.is_empty() {
        true => commands(case).is_some(),
        false => is_approved,
    };
    let is_green = case.gate.as_ref().is_some_and(|gate| {
        gate.outcome != GateOutcome::Failed
            && gate.head == facts.head
            && gate.policy == facts.policy
            && gate.project == project.name
    });
    facts.state == PrState::Open
        && !facts.fork
        && case.asked == facts.head
        && ["main", "master"].contains(&facts.base_branch.as_str())
        && is_approved
        && is_approved_by_owners(case)
        && is_asked_for
        && is_green
}

/// Each person's last opinion, and nothing else, in the order in which they were given.
fn last_opinions(reviews: &[Review]) -> Vec<Review> {
    let mut last = BTreeMap::new();
    for (index, review) in reviews.iter().enumerate() {
        if let (Some(author), false) = (&review.author, matches!(review.state, Commented | Pending))
        {
            last.insert(name(author), index);
        }
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    kept.into_iter().map(|index| reviews[index].clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// I2, and "each with all reasons".
    #[test]
    fn it_decides_as_the_rules_say(case in case()) {
        let verdict = case.verdict();
        prop_assert_eq!(verdict.is_ok(), may_go(&case), "{:?} of {:#?}", verdict, case);
        match verdict {
            Ok(cleared) => {
                prop_assert_eq!(cleared.head(), &case.facts.head);
                let by_command = commands(&case).map(|by| Signal::Command { by: login(&by) });
                let signal = by_command.unwrap_or(Signal::Automatic);
                prop_assert_eq!(cleared.signal(), &signal);
                for who in cleared.approved_by() {
                    prop_assert!(says_yes(&case, &name(who)));
                    prop_assert!(case.facts.author.as_ref() != Some(who));
                }
            }
            Err(refusals) => {
                let reasons = reasons(&refusals);
                prop_assert!(!reasons.is_empty());
                let Case { facts, asked, .. } = &case;
                let production = ["main", "master"].contains(&facts.base_branch.as_str());
                let told = [
                    (facts.state == PrState::Closed, Reason::Closed),
                    (matches!(facts.state, PrState::Merged(_)), Reason::AlreadyMerged),
                    (facts.fork, Reason::Fork),
                    (asked != &facts.head, Reason::HeadMoved),
                    (!production, Reason::NotProduction),
                    (!is_approved_by_owners(&case), Reason::OwnersMissing),
                ];
                for (holds, reason) in told {
                    let is_told = reasons.contains(&reason);
                    prop_assert_eq!(holds, is_told, "{:?} of {:?}", reason, reasons);
                }
            }
        }
    }

    #[test]
    fn who_is_no_approver_changes_nothing(case in case(), at in 0usize..9, newest: bool) {
        let mut reviews = case.facts.reviews.clone();
        let at = if newest { reviews.len() } else { at.min(reviews.len()) };
        let states = [Approved, ChangesRequested, Dismissed];
        for (author, state) in [Some(login("trent")), None].into_iter().zip(states) {
            let commit = Some(case.facts.head.clone());
            reviews.insert(at, Review { author, state, commit, submitted_ms: 1, may_push: true });
        }
        prop_assert_eq!(case.with_reviews(reviews).verdict(), case.verdict());
    }

    #[test]
    fn an_approval_taken_away_never_clears(case in case(), who in person(), at: Index) {
        let mut reviews = case.facts.reviews.clone();
        let commit = Some(case.facts.head.clone());
        let (author, state) = (who, Approved);
        let approval = Review { author, state, commit, submitted_ms: 1, may_push: true };
        reviews.insert(at.index(reviews.len() + 1), approval);
        if case.verdict().is_ok() {
            prop_assert!(case.with_reviews(reviews).verdict().is_ok());
        }
    }

    #[test]
    fn only_the_last_opinion_of_each_counts(case in case()) {
        let last = case.with_reviews(last_opinions(&case.facts.reviews));
        prop_assert_eq!(last.verdict(), case.verdict());
    }

    #[test]
    fn what_github_would_not_merge_never_goes_on(case in case()) {
        let Case { facts, policy, .. } = &case;
        let verdict = mergeability::decide(facts, policy, &["ours".to_owned()]);
        let is_draft = facts.draft || facts.merge_state == MergeState::Draft;
        match facts.merge_state {
            _ if is_draft => prop_assert!(matches!(verdict, Mergeability::No(_))),
            MergeState::Unknown => prop_assert_eq!(verdict, Mergeability::AskAgain),
            MergeState::Dirty => prop_assert!(matches!(verdict, Mergeability::No(_))),
            MergeState::Clean | MergeState::HasHooks | MergeState::Unstable => {
                prop_assert_eq!(verdict, Mergeability::Yes);
            }
            MergeState::Behind | MergeState::Draft => {
                let minds = policy.bot.check_if_blocked_on_deploy_to_prod;
                prop_assert_eq!(verdict == Mergeability::Yes, !minds);
            }
            MergeState::Blocked => {
                let others = facts.required_pending.iter().any(|name| name != "ours");
                let only_ours = !facts.required_pending.is_empty()
                    && !others
                    && matches!(facts.review_decision, None | Some(ReviewDecision::Approved));
                let minds = policy.bot.check_if_blocked_on_deploy_to_prod;
                prop_assert_eq!(verdict == Mergeability::Yes, !minds || only_ours);
            }
        }
    }
}

/// The cases are of use: enough of them go to prod, and enough do not.
#[test]
fn cases_are_of_both_sorts() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut tree = || case().new_tree(&mut runner).unwrap().current();
    let cleared = (0..1_000).filter(|_| tree().verdict().is_ok()).count();
    assert!((30..970).contains(&cleared), "{cleared} of 1000 are cleared");
}
