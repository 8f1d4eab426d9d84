//! What each merge state means for a deploy.

use super::facts_table::*;
use super::reasons;
use crate::github::{Facts, MergeState, ReviewDecision};
use crate::outcome::Reason;
use crate::policy::Policy;
use crate::policy::mergeability::{Mergeability, decide};
use MergeState::{Behind, Blocked, Clean, Dirty, Draft, HasHooks, Unknown, Unstable};

const OURS: &str = "SQLMesh - Prod Environment Synced";

#[derive(Debug, PartialEq)]
enum Answer {
    Yes,
    Again,
    No(Vec<Reason>),
}

fn judged(facts: &Facts, policy: &Policy) -> Answer {
    match decide(facts, policy, &[OURS.to_owned()]) {
        Mergeability::Yes => Answer::Yes,
        Mergeability::AskAgain => Answer::Again,
        Mergeability::No(refusals) => Answer::No(reasons(&refusals)),
    }
}

fn standing(state: MergeState) -> Facts {
    facts().with(|facts| facts.merge_state = state)
}

#[test]
fn each_state_has_its_answer() {
    let strict = policy(&["carol"]);
    let lax = policy(&["carol"]).with(|bot| bot.check_if_blocked_on_deploy_to_prod = false);
    let no = |reason| Answer::No(vec![reason]);
    let rows = [
        (Clean, Answer::Yes, Answer::Yes),
        (HasHooks, Answer::Yes, Answer::Yes),
        (Unstable, Answer::Yes, Answer::Yes),
        (Unknown, Answer::Again, Answer::Again),
        (Dirty, no(Reason::Dirty), no(Reason::Dirty)),
        (Draft, no(Reason::Draft), no(Reason::Draft)),
        (Blocked, no(Reason::Blocked), Answer::Yes),
        (Behind, no(Reason::Blocked), Answer::Yes),
    ];
    for (state, when_strict, when_lax) in rows {
        assert_eq!(judged(&standing(state), &strict), when_strict, "{state:?}");
        assert_eq!(judged(&standing(state), &lax), when_lax, "{state:?}, blocks not minded");
    }
}

#[test]
fn a_draft_is_one_whatever_github_says_of_merging_it() {
    for state in [Clean, Unknown, Blocked] {
        let facts = standing(state).with(|facts| facts.draft = true);
        assert_eq!(judged(&facts, &policy(&[])), Answer::No(vec![Reason::Draft]), "{state:?}");
    }
}

#[test]
fn our_own_checks_do_not_block_us() {
    let rows: [(&[&str], Option<ReviewDecision>, bool); 8] = [
        (&[OURS], None, true),
        (&[OURS], Some(ReviewDecision::Approved), true),
        (&[OURS], Some(ReviewDecision::ReviewRequired), false),
        (&[OURS], Some(ReviewDecision::ChangesRequested), false),
        (&[OURS, "build"], None, false),
        (&["build"], Some(ReviewDecision::Approved), false),
        // Something that GitHub does not name: an unresolved conversation, a missing signature.
        (&[], Some(ReviewDecision::Approved), false),
        (&["SQLMesh - Prod Environment Synced (other)"], None, false),
    ];
    for (pending, decision, passes) in rows {
        let facts = standing(Blocked).with(|facts| {
            facts.required_pending = pending.iter().map(|name| (*name).to_owned()).collect();
            facts.review_decision = decision;
        });
        let expected = if passes { Answer::Yes } else { Answer::No(vec![Reason::Blocked]) };
        assert_eq!(judged(&facts, &policy(&[])), expected, "{pending:?} {decision:?}");
    }
}

#[test]
fn a_block_says_what_blocks_and_names_of_others_stay_names() {
    let facts = standing(Blocked).with(|facts| {
        facts.required_pending = vec![OURS.to_owned(), "`build`\n<b>".to_owned()];
        facts.review_decision = Some(ReviewDecision::ReviewRequired);
    });
    let Mergeability::No(refusals) = decide(&facts, &policy(&[]), &[OURS.to_owned()]) else {
        panic!("it is blocked");
    };
    insta::assert_snapshot!(refusals[0].sentence);
}
