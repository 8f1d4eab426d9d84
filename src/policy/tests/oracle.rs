//! The rules of "Approval" and "Deploy signal" written a second time, naively, and judged over
//! generated pull requests, beside what has to hold of every verdict.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::facts_table::*;
use super::reasons;
use crate::github::{
    CommandFacts, Facts, MergeState, PrState, Review, ReviewDecision, ReviewState, Role,
};
use crate::names::{Login, PolicySha, ProjectName, Sha};
use crate::outcome::{Reason, Refusal};
use crate::policy::Policy;
use crate::policy::clearance::{Cleared, Question, decide};
use crate::policy::mergeability::{self, Mergeability};
use crate::policy::signal::Signal;
use crate::project::{Approvals, OldHead, Project};
use crate::seal::{GateOutcome, GateResult};
use ReviewState::{Approved, ChangesRequested, Commented, Dismissed, Pending};

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
        && is_asked_for
        && is_green
}

/// Mostly the first, sometimes another.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    first: T,
    others: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![6 => Just(first), 1 => prop::sample::select(others)]
}

fn person() -> impl Strategy<Value = Option<Login>> {
    let who = prop::sample::select(vec!["alice", "carol", "CAROL", "dave", "Erin", "mallory", ""]);
    who.prop_map(|who| (!who.is_empty()).then(|| login(who)))
}

fn review() -> impl Strategy<Value = Review> {
    let state = mostly(Approved, vec![ChangesRequested, Commented, Dismissed, Pending]);
    let commit = mostly(Some(sha(HEAD)), vec![Some(sha(OLD_HEAD)), None]);
    let made = |(author, state, commit)| Review { author, state, commit, submitted_ms: 1 };
    (person(), state, commit).prop_map(made)
}

fn command() -> impl Strategy<Value = Option<CommandFacts>> {
    let body = mostly("/deploy", vec![" /deploy\n", "/gate", "/deploy now", "please /deploy", ""]);
    let pushed = mostly(Some(1_000), vec![Some(2_000), Some(2_001), None]);
    let made = |(author, body, edited, head_pushed_ms): (_, &str, _, _)| CommandFacts {
        id: node("IC_1"),
        author,
        body: body.to_owned(),
        edited,
        created_ms: 2_000,
        head_pushed_ms,
    };
    let one = (person(), body, mostly(false, vec![true]), pushed).prop_map(made);
    prop::option::of(one)
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let merged = PrState::Merged(super::clearance::merged_commit());
    let place = (
        mostly(PrState::Open, vec![PrState::Closed, merged]),
        mostly(false, vec![true]),
        mostly("main", vec!["master", "develop", "Main"]),
        mostly(Some(login("alice")), vec![Some(login("carol")), Some(login("DAVE")), None]),
    );
    let merge = (
        mostly(false, vec![true]),
        prop::sample::select(vec![
            MergeState::Behind,
            MergeState::Blocked,
            MergeState::Clean,
            MergeState::Dirty,
            MergeState::Draft,
            MergeState::HasHooks,
            MergeState::Unknown,
            MergeState::Unstable,
        ]),
        prop::option::of(prop::sample::select(vec![
            ReviewDecision::Approved,
            ReviewDecision::ChangesRequested,
            ReviewDecision::ReviewRequired,
        ])),
        prop::collection::vec(prop::sample::select(vec!["ours", "theirs"]), 0..3),
    );
    let said = (prop::collection::vec(review(), 0..8), command());
    type Place = (PrState, bool, &'static str, Option<Login>);
    type Merging = (bool, MergeState, Option<ReviewDecision>, Vec<&'static str>);
    type Talk = (Vec<Review>, Option<CommandFacts>);
    let made = |(place, merge, (reviews, command)): (Place, Merging, Talk)| {
        let (state, fork, base_branch, author) = place;
        let (draft, merge_state, review_decision, pending) = merge;
        Facts {
            state,
            fork,
            base_branch: base_branch.to_owned(),
            author,
            draft,
            merge_state,
            review_decision,
            required_pending: pending.into_iter().map(str::to_owned).collect(),
            reviews,
            command,
            ..facts()
        }
    };
    (place, merge, said).prop_map(made)
}

fn any_gate() -> impl Strategy<Value = Option<GateResult>> {
    let passed = gate(GateOutcome::Passed);
    let others = vec![
        Some(gate(GateOutcome::NoChanges)),
        Some(gate(GateOutcome::Failed)),
        Some(GateResult { head: sha(OLD_HEAD), ..passed.clone() }),
        Some(GateResult { policy: PolicySha::new("0ther").unwrap(), ..passed.clone() }),
        Some(GateResult { project: ProjectName::new("lake").unwrap(), ..passed.clone() }),
        None,
    ];
    mostly(Some(passed), others)
}

fn case() -> impl Strategy<Value = Case> {
    let approvers = prop::sample::select(vec![
        vec!["carol"],
        vec!["carol", "dave"],
        vec!["Carol", "carol", "DAVE", "erin"],
        vec!["alice"],
        vec![],
    ]);
    let approvals = mostly(
        Approvals::AtLeast(1),
        vec![Approvals::AtLeast(0), Approvals::AtLeast(2), Approvals::All],
    );
    let old_head = mostly(OldHead::Refuse, vec![OldHead::Accept]);
    let role = prop::option::of(prop::sample::select(vec![
        Role::None,
        Role::Read,
        Role::Triage,
        Role::Write,
        Role::Maintain,
        Role::Admin,
    ]));
    let rules = (approvers, approvals, old_head, any::<(bool, bool)>());
    let asked = mostly(sha(HEAD), vec![sha(OLD_HEAD)]);
    (any_facts(), rules, role, asked, any_gate()).prop_map(|(facts, rules, role, asked, gate)| {
        let (approvers, approvals, approval_on_old_head, (command, blocks)) = rules;
        let policy = policy(&approvers).with(|bot| {
            bot.enable_deploy_command = command;
            bot.check_if_blocked_on_deploy_to_prod = blocks;
        });
        let project = Project { approvals, approval_on_old_head, ..project() };
        Case { facts, policy, project, asked, role, gate }
    })
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
            reviews.insert(at, Review { author, state, commit, submitted_ms: 1 });
        }
        prop_assert_eq!(case.with_reviews(reviews).verdict(), case.verdict());
    }

    #[test]
    fn an_approval_taken_away_never_clears(case in case(), who in person(), at: Index) {
        let mut reviews = case.facts.reviews.clone();
        let commit = Some(case.facts.head.clone());
        let approval = Review { author: who, state: Approved, commit, submitted_ms: 1 };
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
