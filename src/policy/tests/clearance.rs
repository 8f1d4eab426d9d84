//! What clears a head, and what each single fact does to it.

use proptest::prelude::*;

use super::facts_table::*;
use super::reasons;
use crate::github::{Facts, MergedCommit, PrState, ReviewState, Role};
use crate::names::{PolicySha, ProjectName};
use crate::outcome::Reason;
use crate::policy::Policy;
use crate::policy::clearance::{Cleared, Question, decide};
use crate::policy::signal::Signal;
use crate::seal::{GateOutcome, GateResult};

/// Asks about `HEAD`, with the gate as given.
fn judged(
    facts: &Facts,
    policy: &Policy,
    gate: Option<&GateResult>,
) -> Result<Cleared, Vec<Reason>> {
    let (project, head) = (project(), sha(HEAD));
    let question =
        Question { facts, policy, project: &project, head: &head, role: None, gate, others: &[] };
    decide(&question).map_err(|refusals| reasons(&refusals))
}

fn merged() -> PrState {
    PrState::Merged(merged_commit())
}

pub(super) fn merged_commit() -> MergedCommit {
    MergedCommit {
        sha: sha("3e36ed"),
        tree: sha("7ee"),
        project_tree: None,
        into: "main".to_owned(),
        at_ms: None,
    }
}

#[test]
fn an_approved_green_head_is_cleared_as_it_is() {
    let green = gate(GateOutcome::Passed);
    let cleared = judged(&facts().approved(), &policy(&["carol"]), Some(&green)).unwrap();
    assert_eq!(cleared.head(), &sha(HEAD));
    assert_eq!(cleared.base(), &sha(BASE));
    assert_eq!(cleared.policy(), &facts().policy);
    assert_eq!(cleared.approved_by(), [login("carol")]);
    assert_eq!(cleared.signal(), &Signal::Automatic);
    let none_needed = gate(GateOutcome::NoChanges);
    assert!(judged(&facts().approved(), &policy(&["carol"]), Some(&none_needed)).is_ok());
}

#[test]
fn each_fact_alone_holds_it() {
    let rows: [(&str, Facts, Reason); 9] = [
        ("closed", facts().approved().with(|f| f.state = PrState::Closed), Reason::Closed),
        ("merged", facts().approved().with(|f| f.state = merged()), Reason::AlreadyMerged),
        ("from a fork", facts().approved().with(|f| f.fork = true), Reason::Fork),
        (
            "not into production",
            facts().approved().with(|f| f.base_branch = "develop".into()),
            Reason::NotProduction,
        ),
        ("not approved", facts(), Reason::NotApproved),
        (
            "approved before the last push",
            facts().review("carol", ReviewState::Approved, OLD_HEAD),
            Reason::NotApproved,
        ),
        ("a stranger's command", facts().approved().deploy_by("mallory"), Reason::MayNotDeploy),
        (
            "checked under another policy",
            facts().approved().with(|f| f.policy = PolicySha::new("0ddb411").unwrap()),
            Reason::GateMissing,
        ),
        (
            "an old command",
            facts().approved().deploy_by("carol").with(|f| {
                f.command.as_mut().unwrap().head_pushed_ms = Some(2_001);
            }),
            Reason::CommandStale,
        ),
    ];
    for (row, facts, expected) in rows {
        let green = gate(GateOutcome::Passed);
        let judged = judged(&facts, &policy(&["carol"]), Some(&green));
        assert_eq!(judged.unwrap_err(), [expected], "{row}");
    }
}

#[test]
fn a_gate_counts_for_what_it_was_made_for() {
    let of = |change: fn(&mut GateResult)| {
        let mut result = gate(GateOutcome::Passed);
        change(&mut result);
        Some(result)
    };
    let rows = [
        ("none", None, Reason::GateMissing),
        ("failed", of(|g| g.outcome = GateOutcome::Failed), Reason::GateFailed),
        ("an older head's", of(|g| g.head = sha(OLD_HEAD)), Reason::GateMissing),
        ("another policy's", of(|g| g.policy = PolicySha::new("1").unwrap()), Reason::GateMissing),
        (
            "another project's",
            of(|g| g.project = ProjectName::new("other").unwrap()),
            Reason::GateMissing,
        ),
    ];
    for (row, result, expected) in rows {
        let judged = judged(&facts().approved(), &policy(&["carol"]), result.as_ref());
        assert_eq!(judged.unwrap_err(), [expected], "{row}");
    }
    let moved_base = of(|g| g.base = sha("0ddba5e"));
    let judged = judged(&facts().approved(), &policy(&["carol"]), moved_base.as_ref());
    assert!(judged.is_ok(), "a base that moved spoils nothing: the deploy tests what it merges");
}

#[test]
fn a_head_that_moved_is_not_the_one_that_was_asked_for() {
    let facts =
        facts().with(|f| f.head = sha("2ead")).review("carol", ReviewState::Approved, "2ead");
    let green = GateResult { head: sha("2ead"), ..gate(GateOutcome::Passed) };
    let judged = judged(&facts, &policy(&["carol"]), Some(&green));
    assert_eq!(judged.unwrap_err(), [Reason::HeadMoved]);
}

#[test]
fn all_reasons_are_said_each_once() {
    let facts = facts().with(|f| {
        f.state = PrState::Closed;
        f.head = sha("2ead");
        f.fork = true;
        f.base_branch = "develop".into();
    });
    let expected = [
        Reason::Closed,
        Reason::HeadMoved,
        Reason::Fork,
        Reason::NotProduction,
        Reason::NotApproved,
        Reason::GateMissing,
    ];
    assert_eq!(judged(&facts, &policy(&["carol"]), None).unwrap_err(), expected);
}

#[test]
fn without_approvers_and_without_a_command_nothing_is_cleared() {
    let green = gate(GateOutcome::Passed);
    let judged = judged(&facts(), &policy(&[]), Some(&green));
    assert_eq!(judged.unwrap_err(), [Reason::NoSignal]);
}

#[test]
fn the_sentences_read_well_together() {
    let facts = facts().with(|f| f.base_branch = "develop".into()).review(
        "carol",
        ReviewState::Approved,
        OLD_HEAD,
    );
    let (project, head, policy) = (project(), sha(HEAD), policy(&["carol", "dave", "alice"]));
    let question = Question {
        facts: &facts,
        policy: &policy,
        project: &project,
        head: &head,
        role: None,
        gate: None,
        others: &[],
    };
    let sentences: Vec<String> =
        decide(&question).unwrap_err().into_iter().map(|refusal| refusal.sentence).collect();
    insta::assert_snapshot!(sentences.join("\n"));
}

#[derive(Debug, Clone)]
struct World {
    facts: Facts,
    approvers: bool,
    command_on: bool,
    gate: Option<GateResult>,
    role: Option<Role>,
}

fn worlds() -> impl Strategy<Value = World> {
    let state = prop::sample::select(vec![PrState::Open, PrState::Open, PrState::Closed, merged()]);
    let heads = prop::sample::select(vec![HEAD, HEAD, OLD_HEAD]);
    let review = prop::option::of((
        prop::sample::select(vec!["alice", "carol", "erin"]),
        prop::sample::select(vec![HEAD, OLD_HEAD]),
    ));
    let command = prop::option::of((
        prop::sample::select(vec!["alice", "carol", "erin", "ghost"]),
        prop::option::of(1_990u64..2_010),
        prop::bool::weighted(0.2),
    ));
    let result = prop::option::of((
        prop::sample::select(vec![
            GateOutcome::Passed,
            GateOutcome::NoChanges,
            GateOutcome::Failed,
        ]),
        prop::sample::select(vec![HEAD, HEAD, OLD_HEAD]),
    ));
    let role = prop::option::of(prop::sample::select(vec![Role::Write, Role::Maintain]));
    let base = prop::sample::select(vec!["main", "main", "develop"]);
    let policy = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (state, heads, review, command, result, role, base, policy).prop_map(
        |(state, head, review, command, result, role, base, (approvers, command_on, fork))| {
            let mut facts = facts();
            (facts.state, facts.head, facts.fork) = (state, sha(head), fork);
            facts.base_branch = base.to_owned();
            if let Some((who, head)) = review {
                facts = facts.review(who, ReviewState::Approved, head);
            }
            if let Some((who, pushed, edited)) = command {
                facts = facts.deploy_by(who);
                let command = facts.command.as_mut().unwrap();
                (command.head_pushed_ms, command.edited) = (pushed, edited);
            }
            let gate =
                result.map(|(outcome, head)| GateResult { head: sha(head), ..gate(outcome) });
            World { facts, approvers, command_on, gate, role }
        },
    )
}

proptest! {
    /// I2: whatever else is true, what is cleared is open, unmoved, ours, into production, green
    /// and asked for by somebody who may.
    #[test]
    fn nothing_is_cleared_that_should_not_be(world in worlds()) {
        let policy = policy(if world.approvers { &["alice", "carol"] } else { &[] })
            .with(|bot| bot.enable_deploy_command = world.command_on);
        let (project, head) = (project(), sha(HEAD));
        let (facts, gate) = (&world.facts, world.gate.as_ref());
        let (project, policy, role) = (&project, &policy, world.role);
        match decide(&Question { facts, policy, project, head: &head, role, gate, others: &[] }) {
            Err(refusals) => prop_assert!(!refusals.is_empty()),
            Ok(cleared) => {
                prop_assert_eq!(&facts.state, &PrState::Open);
                prop_assert_eq!(&facts.head, &head);
                prop_assert!(!facts.fork && facts.base_branch == "main");
                let green = |gate: &GateResult| gate.outcome != GateOutcome::Failed;
                prop_assert!(gate.is_some_and(|gate| gate.head == head && green(gate)));
                if world.approvers {
                    prop_assert_eq!(cleared.approved_by(), &[login("carol")]);
                } else {
                    prop_assert!(world.role >= Some(Role::Maintain));
                }
                if let Signal::Command { by } = cleared.signal() {
                    let command = facts.command.as_ref().unwrap();
                    prop_assert!(world.command_on && command.author.as_ref() == Some(by));
                    prop_assert!(!command.edited && command.head_pushed_ms.unwrap() <= 2_000);
                } else {
                    prop_assert!(world.approvers && facts.command.is_none());
                }
            }
        }
    }
}
