//! Whose approval the owners' is, and what is said without it.

use super::facts_table::*;
use super::reasons;
use crate::github::{Facts, Members, Ownership, ReviewState};
use crate::outcome::Reason;
use crate::policy::clearance::{Question, decide as clear};
use crate::policy::owners::{Owners, decide, not_approved};
use crate::project::{OldHead, OwnersApproval, Project};
use crate::seal::GateOutcome;
use ReviewState::{Approved, ChangesRequested, Dismissed};

fn minding() -> Project {
    Project { code_owners: OwnersApproval::Required, ..project() }
}

fn judged(facts: &Facts) -> Owners {
    decide(facts, &policy(&["carol"]), &minding())
}

fn given(names: &[&str]) -> Owners {
    Owners::Given { by: names.iter().map(|name| login(name)).collect() }
}

/// The sentence that people read.
fn said(facts: &Facts) -> String {
    let refusal = not_approved(&judged(facts), &facts.base_branch).unwrap();
    assert_eq!(reasons(std::slice::from_ref(&refusal)), [Reason::OwnersMissing]);
    refusal.sentence
}

fn daves() -> Facts {
    facts().owned(&[("models/a.sql", &["@dave", "@erin"])])
}

#[test]
fn nobody_is_asked_where_the_project_does_not_mind() {
    assert_eq!(decide(&daves(), &policy(&["carol"]), &project()), Owners::NotAsked);
}

#[test]
fn nobody_is_needed_where_nothing_is_owned() {
    assert_eq!(judged(&facts().owned(&[])), given(&[]));
}

#[test]
fn one_owner_of_each_group_suffices() {
    let two = |facts: Facts| facts.owned(&[("a", &["@dave", "@erin"]), ("b c", &["@Frank"])]);
    assert_eq!(judged(&daves().review("DAVE", Approved, HEAD)), given(&["dave"]));
    let one = two(facts().review("erin", Approved, HEAD));
    assert!(matches!(judged(&one), Owners::Missing(missing) if missing.len() == 1));
    let both = two(facts().review("frank", Approved, HEAD).review("erin", Approved, HEAD));
    assert_eq!(judged(&both), given(&["frank", "erin"]));
}

#[test]
fn these_do_not_count_and_say_why() {
    let rows: [(&str, Facts, &str); 7] = [
        ("an approver who is no owner", daves().approved(), ""),
        ("an older head", daves().review("dave", Approved, OLD_HEAD), "approved an older head"),
        (
            "a later no",
            daves().review("dave", Approved, HEAD).review("dave", ChangesRequested, HEAD),
            "dave asked for changes",
        ),
        ("a dismissed one", daves().review("dave", Dismissed, HEAD), "dave's review was dismissed"),
        (
            "who may not push",
            daves().review("dave", Approved, HEAD).with(|f| f.reviews[0].may_push = false),
            "dave approved, and may not push",
        ),
        (
            "the author",
            daves().review("dave", Approved, HEAD).with(|f| f.author = Some(login("dave"))),
            "dave is the author",
        ),
        ("a deleted account", daves().review("ghost", Approved, HEAD), ""),
    ];
    for (row, facts, why) in rows {
        let said = said(&facts);
        assert!(said.contains("one of `@dave` and `@erin` has to approve"), "{row}: {said}");
        assert!(said.contains(why), "{row}: {said}");
    }
}

#[test]
fn an_older_head_counts_where_the_project_accepts_it() {
    let project = Project { approval_on_old_head: OldHead::Accept, ..minding() };
    let facts = daves().review("dave", Approved, OLD_HEAD);
    assert_eq!(decide(&facts, &policy(&["carol"]), &project), given(&["dave"]));
}

#[test]
fn an_approvers_command_is_an_owners_approval_and_a_maintainers_is_not() {
    let carols = facts().owned(&[("a", &["@carol"])]).deploy_by("carol");
    assert_eq!(judged(&carols), given(&["carol"]));
    let without_approvers = decide(&carols, &policy(&[]), &minding());
    assert!(matches!(without_approvers, Owners::Missing(_)), "{without_approvers:?}");
    assert!(matches!(judged(&daves().deploy_by("dave")), Owners::Missing(_)), "no approver");
}

#[test]
fn each_member_of_a_team_is_an_owner_as_far_as_members_are_known() {
    let teams = |of: Members| {
        let facts = facts().owned(&[("a", &["@acme/data"])]).team("data", of);
        facts.review("erin", Approved, HEAD)
    };
    assert_eq!(judged(&teams(members(&["dave", "Erin"]))), given(&["erin"]));
    for (of, why) in [
        (members(&["dave"]), "`@acme/data` has to approve."),
        (members(&["alice"]), "nobody is left who could approve (owners: `@acme/data`) (alice is"),
        (members(&[]), "nobody is left who could approve (owners: `@acme/data`)."),
        (Members::NotRead, "`@acme/data` has to approve."),
        (
            Members::Unreadable("for a reason".into()),
            "nobody is left who could approve (owners: `@acme/data`) (the members of `@acme/data` \
             cannot be read: for a reason)",
        ),
    ] {
        let said = said(&teams(of));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn who_cannot_be_asked_is_told_as_such() {
    let rows: [(&[&str], &str); 4] = [
        (&["@alice"], "nobody is left who could approve (owners: `@alice`) (alice is the author)"),
        (&["@alice", "@dave"], "one of `@alice` and `@dave` has to approve (alice is the author)"),
        (&["me@example.com"], "(an e-mail address in CODEOWNERS cannot be matched"),
        (&["me@example.com", "@dave"], "one of `me@example.com` and `@dave` has to approve (an e-"),
    ];
    for (owners, why) in rows {
        let sentence = said(&facts().owned(&[("a", owners)]));
        assert!(sentence.contains(why), "{sentence}");
        let hopeless = sentence.contains("CODEOWNERS on `main` has to name somebody else.");
        assert_eq!(hopeless, !owners.contains(&"@dave"), "{sentence}");
    }
}

#[test]
fn what_nobody_can_tell_is_not_approved() {
    let unknown = Ownership::Unknown("GitHub does not list all changed files".to_owned());
    for ownership in [unknown, Ownership::NotAsked] {
        let facts = facts().approved().with(|facts| facts.ownership = ownership);
        assert!(judged(&facts).are_missing());
        assert!(said(&facts).contains("it cannot be told who they are: "), "{}", said(&facts));
    }
}

#[test]
fn nothing_is_cleared_without_the_owners() {
    let verdict = |facts: &Facts| {
        clear(&Question {
            facts,
            policy: &policy(&["carol"]),
            project: &minding(),
            head: &sha(HEAD),
            role: None,
            gate: Some(&gate(GateOutcome::Passed)),
            others: &[],
        })
    };
    let refused = verdict(&daves().approved()).unwrap_err();
    assert_eq!(reasons(&refused), [Reason::OwnersMissing]);
    let none = verdict(&daves()).unwrap_err();
    assert_eq!(reasons(&none), [Reason::NotApproved, Reason::OwnersMissing]);
    let only_theirs = verdict(&daves().review("dave", Approved, HEAD)).unwrap_err();
    assert_eq!(reasons(&only_theirs), [Reason::NotApproved], "in addition, not instead");
    assert!(verdict(&daves().approved().review("dave", Approved, HEAD)).is_ok());
}

#[test]
fn a_sentence_stays_short_whatever_is_changed() {
    let files: Vec<String> = (0..500).map(|n| format!("models/{n}.sql")).collect();
    let owners: Vec<String> = (0..60).map(|n| format!("@dave{n}")).collect();
    let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
    let files = files.join(" ");
    let groups: Vec<(&str, &[&str])> = (0..40).map(|_| (files.as_str(), &owners[..])).collect();
    let said = said(&facts().owned(&groups));
    assert!(said.contains("`models/2.sql` and 497 more"), "{said}");
    assert!(said.contains("`@dave9` and 50 more"), "{said}");
    assert!(said.contains("37 more groups of files"), "{said}");
    assert!(said.len() < 2_000, "{}", said.len());
}
