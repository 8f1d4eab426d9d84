//! A merge happens once, at the planned head, or not at all.

use sluice::github::{GitHub, Merge, MergeMethod, MergeOutcome, MergedCommit, PrState, Via};
use sluice_sim::Pr;
use sluice_sim::faults::{Answer, MergeFault};
use sluice_sim::world::{Identity, Protection, PullState};

use super::town::{Town, as_sha};

async fn merge_of(town: &Town, pr: &Pr, method: MergeMethod) -> Merge {
    let facts = town.facts(pr).await;
    Merge { ask: town.ask(pr), pr_id: facts.id, head: facts.head, method, via: Via::Merge }
}

async fn merge(town: &Town, pr: &Pr) -> MergeOutcome {
    let merge = merge_of(town, pr, MergeMethod::Squash).await;
    town.github.merge(&merge).await.unwrap()
}

/// What the world has merged.
fn merged(town: &Town, pr: &Pr) -> sluice::names::Sha {
    as_sha(&town.standin.pr(pr).unwrap().merged_as.expect("it is merged"))
}

async fn refuse(town: &Town, refusals: &'static [MergeFault]) {
    let refuse = move |world: &mut sluice_sim::World| {
        world.faults.merges.extend(refusals);
        Ok(())
    };
    town.standin.change(refuse).await.unwrap();
}

#[tokio::test]
async fn a_merge_is_one_request_and_its_trees_are_read_back() {
    for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase] {
        let town = Town::found().await;
        let pr = town.pr("orders").await;
        let merge = merge_of(&town, &pr, method).await;
        let (outcome, requests) = town.counted(town.github.merge(&merge)).await;
        assert_eq!(requests, 1);
        let MergeOutcome::Merged(commit) = outcome.unwrap() else { panic!("{method:?}") };
        assert_eq!(commit.sha, merged(&town, &pr));
        let facts = town.facts(&pr).await;
        assert_eq!((&facts.state, facts.base), (&PrState::Merged(commit.clone()), commit.sha));
        assert_eq!(commit.project_tree, facts.base_project_tree);
        assert_ne!(Some(commit.tree), commit.project_tree);
    }
}

#[tokio::test]
async fn a_merge_whose_answer_was_lost_is_not_repeated() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    town.spoil("mergePullRequest", 1, Answer::StatusAfterEffect(502)).await;
    let MergeOutcome::Merged(MergedCommit { sha, .. }) = merge(&town, &pr).await else {
        panic!("it was merged")
    };
    assert_eq!((sha, town.asked("mergePullRequest")), (merged(&town, &pr), 1));
}

#[tokio::test]
async fn a_merge_that_did_not_happen_is_made() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    town.spoil("mergePullRequest", 1, Answer::Status(502)).await;
    assert!(matches!(merge(&town, &pr).await, MergeOutcome::Merged(_)));
    assert_eq!(town.standin.pr(&pr).unwrap().state, PullState::Merged);
}

#[tokio::test]
async fn a_base_that_moved_is_tried_again_and_a_plain_no_is_not() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    refuse(&town, &[MergeFault::NotMergeable]).await;
    let refused = merge(&town, &pr).await;
    assert_eq!(refused, MergeOutcome::Refused("Pull Request is not mergeable".to_owned()));
    assert_eq!(town.asked("mergePullRequest"), 1);
    refuse(&town, &[MergeFault::BaseModified]).await;
    assert!(matches!(merge(&town, &pr).await, MergeOutcome::Merged(_)));
    assert_eq!(town.asked("mergePullRequest"), 3);
}

#[tokio::test]
async fn a_push_during_the_merge_is_not_merged() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let pushed = pr.clone();
    let hook = move |world: &mut sluice_sim::World| {
        let file = ("warehouse/models/late.sql".to_owned(), Some(b"SELECT 7".to_vec()));
        world.push_to_pull(&Identity::user("alice"), &pushed, &vec![file]).unwrap();
    };
    let arm = move |world: &mut sluice_sim::World| {
        world.faults.before_merge = Some(Box::new(hook));
        Ok(())
    };
    town.standin.change(arm).await.unwrap();
    assert_eq!(merge(&town, &pr).await, MergeOutcome::HeadMoved);
    assert_eq!(town.standin.pr(&pr).unwrap().state, PullState::Open);
}

#[tokio::test]
async fn a_rule_that_refuses_is_quoted() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let rule = Protection { required_approvals: 1, ..Protection::default() };
    let name = town.repository.clone();
    town.standin.change(move |world| world.protect(&name, "main", Some(rule))).await.unwrap();
    match merge(&town, &pr).await {
        MergeOutcome::Refused(why) => assert!(why.contains("approving review"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_somebody_else_merged_is_merged() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let by_then = merge_of(&town, &pr, MergeMethod::Merge).await;
    let commit = as_sha(&town.bob.merges_by_hand(&pr).await.unwrap());
    match town.github.merge(&by_then).await.unwrap() {
        MergeOutcome::Merged(merged) => assert_eq!(merged.sha, commit),
        other => panic!("{other:?}"),
    }
}
