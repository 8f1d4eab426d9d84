//! Who counts, and for what.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::facts_table::*;
use crate::github::{Facts, ReviewState};
use crate::policy::approval::{Approval, decide};
use crate::project::{Approvals, OldHead, Project};
use ReviewState::{Approved, ChangesRequested, Commented, Dismissed, Pending};

fn by_carol_or_dave(facts: &Facts) -> Approval {
    decide(facts, &policy(&["carol", "dave"]), &project())
}

fn given(names: &[&str]) -> Approval {
    Approval::Given { by: names.iter().map(|name| login(name)).collect() }
}

fn asking(approvals: Approvals) -> Project {
    Project { approvals, ..project() }
}

#[test]
fn nobody_has_to_approve_where_nobody_is_named() {
    assert_eq!(decide(&facts(), &policy(&[]), &project()), Approval::NotRequired);
}

#[test]
fn these_count() {
    let rows: [(&str, Facts); 7] = [
        ("the head was approved", facts().approved()),
        ("in another case", facts().review("CaRoL", Approved, HEAD)),
        ("a comment later changes nothing", facts().approved().review("carol", Commented, HEAD)),
        ("nor does a draft of a review", facts().approved().review("carol", Pending, HEAD)),
        (
            "changed their mind",
            facts().review("carol", ChangesRequested, HEAD).review("carol", Approved, HEAD),
        ),
        (
            "approved again after a dismissal",
            facts().review("carol", Dismissed, HEAD).review("carol", Approved, HEAD),
        ),
        (
            "someone else's objection is theirs",
            facts().review("erin", ChangesRequested, HEAD).approved(),
        ),
    ];
    for (row, facts) in rows {
        assert_eq!(by_carol_or_dave(&facts), given(&["carol"]), "{row}");
    }
}

#[test]
fn these_do_not_count_and_say_why() {
    let rows: [(&str, Facts, &[&str]); 9] = [
        ("nobody said anything", facts(), &[]),
        ("not an approver", facts().review("erin", Approved, HEAD), &[]),
        ("a deleted account", facts().review("ghost", Approved, HEAD), &[]),
        ("only a comment", facts().review("carol", Commented, HEAD), &[]),
        (
            "an older head",
            facts().review("carol", Approved, OLD_HEAD),
            &["carol approved an older head (01dc0de)"],
        ),
        (
            "a head that is gone",
            facts().approved().with(|facts| facts.reviews[0].commit = None),
            &["carol approved a head that is gone"],
        ),
        (
            "superseded by an objection",
            facts().approved().review("Carol", ChangesRequested, HEAD),
            &["carol asked for changes"],
        ),
        (
            "dismissed",
            facts().approved().review("carol", Dismissed, HEAD),
            &["carol's review was dismissed"],
        ),
        (
            "the current head first, an older one last",
            facts().approved().review("carol", Approved, OLD_HEAD),
            &["carol approved an older head (01dc0de)"],
        ),
    ];
    for (row, facts, expected) in rows {
        let Approval::Missing { by, needed, could, notes } = by_carol_or_dave(&facts) else {
            panic!("{row}: it counted");
        };
        assert_eq!((by, needed), (vec![], 1), "{row}");
        assert_eq!(could, [login("carol"), login("dave")], "{row}");
        assert_eq!(notes, expected, "{row}");
    }
}

#[test]
fn an_author_does_not_approve() {
    for opened_by in ["carol", "CAROL"] {
        let facts = facts().with(|facts| facts.author = Some(login(opened_by))).approved();
        let Approval::Missing { could, notes, .. } = by_carol_or_dave(&facts) else {
            panic!("{opened_by} approved their own change");
        };
        assert_eq!(could, [login("dave")]);
        assert_eq!(notes, ["carol is the author"]);
        let by_command = by_carol_or_dave(&facts.deploy_by("carol"));
        assert!(matches!(by_command, Approval::Missing { .. }), "by a command neither");
    }
}

#[test]
fn an_older_head_counts_where_the_project_accepts_it() {
    let project = Project { approval_on_old_head: OldHead::Accept, ..project() };
    let facts = facts().review("carol", Approved, OLD_HEAD);
    assert_eq!(decide(&facts, &policy(&["carol"]), &project), given(&["carol"]));
}

#[test]
fn more_than_one_can_be_asked_for() {
    let (both, all) = (asking(Approvals::AtLeast(2)), asking(Approvals::All));
    let policy = policy(&["carol", "dave", "Carol"]);
    for project in [&both, &all] {
        let one = decide(&facts().approved(), &policy, project);
        assert!(matches!(one, Approval::Missing { needed: 2, .. }), "{one:?}");
        let two = decide(&facts().approved().review("dave", Approved, HEAD), &policy, project);
        assert_eq!(two, given(&["carol", "dave"]));
    }
}

#[test]
fn all_means_all_but_the_author() {
    let facts = facts().with(|facts| facts.author = Some(login("dave"))).approved();
    assert_eq!(
        decide(&facts, &policy(&["carol", "dave"]), &asking(Approvals::All)),
        given(&["carol"])
    );
}

#[test]
fn asking_for_nobody_still_asks_for_one() {
    for approvals in [Approvals::AtLeast(0), Approvals::All] {
        let facts = facts().with(|facts| facts.author = Some(login("carol")));
        let approval = decide(&facts, &policy(&["carol"]), &asking(approvals));
        let Approval::Missing { needed: 1, could, notes, .. } = approval else {
            panic!("an only approver approved alone: {approval:?}");
        };
        assert_eq!(could, []);
        assert!(notes.last().unwrap().contains("add another"), "{notes:?}");
    }
}

#[test]
fn an_approvers_command_approves() {
    assert_eq!(by_carol_or_dave(&facts().deploy_by("Dave")), given(&["dave"]));
    let answered = facts().review("dave", ChangesRequested, OLD_HEAD).deploy_by("dave");
    assert_eq!(by_carol_or_dave(&answered), given(&["dave"]), "a no to an older head is answered");
}

#[test]
fn these_commands_do_not_approve() {
    let rows: [(&str, Facts); 6] = [
        ("a stranger's", facts().deploy_by("mallory")),
        (
            "an older one",
            facts().deploy_by("carol").with(|f| {
                f.command.as_mut().unwrap().head_pushed_ms = Some(2_001);
            }),
        ),
        (
            "an edited one",
            facts().deploy_by("carol").with(|f| f.command.as_mut().unwrap().edited = true),
        ),
        (
            "another one",
            facts().deploy_by("carol").with(|f| {
                f.command.as_mut().unwrap().body = "/gate".into();
            }),
        ),
        ("beside a no", facts().review("carol", ChangesRequested, HEAD).deploy_by("carol")),
        ("beside a dismissal", facts().review("carol", Dismissed, HEAD).deploy_by("carol")),
    ];
    for (row, facts) in rows {
        assert!(matches!(by_carol_or_dave(&facts), Approval::Missing { .. }), "{row}");
    }
}

/// Anybody's reviews of either head, in any order.
fn reviews() -> impl Strategy<Value = Vec<(&'static str, ReviewState, &'static str)>> {
    let who = prop::sample::select(vec!["alice", "carol", "CAROL", "dave", "erin", "ghost"]);
    let state =
        prop::sample::select(vec![Approved, ChangesRequested, Commented, Dismissed, Pending]);
    prop::collection::vec((who, state, prop::sample::select(vec![HEAD, OLD_HEAD])), 0..12)
}

proptest! {
    /// I2: whatever was said in whatever order, those who count are exactly the required approvers
    /// other than the author whose last opinion is a yes to the current head.
    #[test]
    fn only_a_standing_yes_of_an_approver_to_this_head_counts(reviews in reviews()) {
        let mut last: BTreeMap<String, (ReviewState, &str)> = BTreeMap::new();
        for (who, state, head) in &reviews {
            if !matches!(state, Commented | Pending) {
                last.insert(who.to_lowercase(), (*state, head));
            }
        }
        let approvers = ["alice", "carol", "dave"];
        let expected: Vec<_> = approvers
            .into_iter()
            .filter(|who| *who != "alice" && last.get(*who) == Some(&(Approved, HEAD)))
            .map(login)
            .collect();
        let facts = reviews.iter().fold(facts(), |facts, (who, state, head)| {
            facts.review(who, *state, head)
        });
        match decide(&facts, &policy(&approvers), &project()) {
            Approval::Given { by } => prop_assert_eq!(by, expected),
            Approval::Missing { by, .. } => {
                prop_assert!(by.is_empty() && expected.is_empty(), "{by:?} {expected:?}");
            }
            Approval::NotRequired => prop_assert!(false, "three are named"),
        }
    }
}
