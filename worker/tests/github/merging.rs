//! A merge happens once, at the planned head, or not at all.

use serde_json::{Value, json};
use sluice::github::{GitHub, GitHubError, Merge, MergeMethod, MergeOutcome, MergedCommit, Via};

use crate::canned::{ask, node, object, sha};
use crate::scripted::{Say, Scripted, data, problem, status};

const BASE_MOVED: &str = "Base branch was modified. Review and try the merge again.";
const HEAD_MOVED: &str = "Head branch was modified. Review and try the merge again.";

fn merge() -> Merge {
    Merge {
        ask: ask(),
        pr_id: node("PR_7"),
        head: sha('a'),
        method: MergeMethod::Squash,
        via: Via::Merge,
    }
}

fn standing(state: &str, head: char) -> Value {
    let commit = json!({
        "oid": sha('c').as_str(), "tree": object('d'), "folder": object('e'),
    });
    let commit = if state == "MERGED" { commit } else { Value::Null };
    json!({
        "state": state, "headRefOid": sha(head).as_str(), "mergedInto": "main",
        "mergedAt": "2023-11-14T22:13:20Z",
        "mergeCommit": commit
    })
}

fn done() -> Say {
    data(&json!({ "merge": { "pullRequest": standing("MERGED", 'a') } }))
}

fn no(why: &str) -> Say {
    problem(&json!({ "merge": null }), "UNPROCESSABLE", &["merge"], why)
}

fn read(state: &str, head: char) -> Say {
    data(&json!({ "repository": { "pullRequest": standing(state, head) } }))
}

fn merged() -> MergeOutcome {
    let project_tree = Some(sha('e'));
    MergeOutcome::Merged(MergedCommit {
        sha: sha('c'),
        tree: sha('d'),
        project_tree,
        into: "main".to_owned(),
        at_ms: Some(1_700_000_000_000),
    })
}

/// The outcome of a script, and how many merges were asked for.
async fn outcome(script: Vec<Say>) -> (Result<MergeOutcome, GitHubError>, usize) {
    let town = Scripted::says(script).await;
    let outcome = town.github.merge(&merge()).await;
    let requests = town.finish();
    let asked = requests.iter().filter(|r| r.document().contains("mutation"));
    for request in asked.clone() {
        assert_eq!(request.body["variables"]["merge"]["expectedHeadOid"], sha('a').as_str());
        assert_eq!(request.body["variables"]["merge"]["mergeMethod"], "SQUASH");
    }
    (outcome, asked.count())
}

#[tokio::test]
async fn a_merge_is_one_request_and_tells_its_trees() {
    let (outcome, merges) = outcome(vec![done()]).await;
    assert_eq!((outcome.unwrap(), merges), (merged(), 1));
}

#[tokio::test]
async fn a_lost_answer_is_read_back() {
    for lost in [status(500), Say::Close, Say::Nothing] {
        let (outcome, merges) = outcome(vec![lost, read("MERGED", 'a')]).await;
        assert_eq!((outcome.unwrap(), merges), (merged(), 1));
    }
}

#[tokio::test]
async fn nothing_is_repeated_before_it_was_read() {
    let script = vec![status(502), status(502), read("MERGED", 'a')];
    let (outcome, merges) = outcome(script).await;
    assert_eq!((outcome.unwrap(), merges), (merged(), 1));
}

#[tokio::test]
async fn what_was_not_merged_is_tried_again() {
    let (outcome, merges) = outcome(vec![status(502), read("OPEN", 'a'), done()]).await;
    assert_eq!((outcome.unwrap(), merges), (merged(), 2));
}

#[tokio::test]
async fn even_the_last_try_is_read_back() {
    let script = vec![
        status(502),
        read("OPEN", 'a'),
        status(502),
        read("OPEN", 'a'),
        status(502),
        read("MERGED", 'a'),
    ];
    let (outcome, merges) = outcome(script).await;
    assert_eq!((outcome.unwrap(), merges), (merged(), 3));
}

#[tokio::test]
async fn a_base_that_moved_is_over_in_a_moment() {
    let (outcome, merges) = outcome(vec![no(BASE_MOVED), read("OPEN", 'a'), done()]).await;
    assert_eq!((outcome.unwrap(), merges), (merged(), 2));
}

#[tokio::test]
async fn a_base_that_never_rests_is_a_refusal() {
    let moved = || [no(BASE_MOVED), read("OPEN", 'a')];
    let script = [moved(), moved(), moved()].into_iter().flatten().collect();
    let (outcome, merges) = outcome(script).await;
    assert_eq!((outcome.unwrap(), merges), (MergeOutcome::Refused(BASE_MOVED.to_owned()), 3));
}

#[tokio::test]
async fn a_head_that_moved_is_never_merged() {
    for read_as in ['f', 'a'] {
        let (outcome, merges) = outcome(vec![no(HEAD_MOVED), read("OPEN", read_as)]).await;
        assert_eq!((outcome.unwrap(), merges), (MergeOutcome::HeadMoved, 1));
    }
}

#[tokio::test]
async fn a_head_that_moved_during_a_fault_is_not_merged_either() {
    let (outcome, merges) = outcome(vec![status(502), read("OPEN", 'f')]).await;
    assert_eq!((outcome.unwrap(), merges), (MergeOutcome::HeadMoved, 1));
}

#[tokio::test]
async fn a_refusal_keeps_githubs_words() {
    let why = "At least 1 approving review is required by reviewers with write access.";
    let (outcome, merges) = outcome(vec![no(why), read("OPEN", 'a')]).await;
    assert_eq!((outcome.unwrap(), merges), (MergeOutcome::Refused(why.to_owned()), 1));
}

#[tokio::test]
async fn a_merge_that_was_done_before_is_done() {
    let why = "Pull Request is not mergeable";
    let (outcome, _) = outcome(vec![no(why), read("MERGED", 'a')]).await;
    assert_eq!(outcome.unwrap(), merged());
}

#[tokio::test]
async fn a_merge_of_another_head_is_not_ours() {
    let (outcome, _) =
        outcome(vec![no("Pull Request is not mergeable"), read("MERGED", 'f')]).await;
    assert_eq!(outcome.unwrap(), MergeOutcome::HeadMoved);
}

#[tokio::test]
async fn a_right_that_is_missing_is_no_refusal() {
    let words = "Resource not accessible by integration";
    let answer = problem(&json!({ "merge": null }), "FORBIDDEN", &["merge"], words);
    let (outcome, merges) = outcome(vec![answer]).await;
    assert!(matches!(outcome, Err(GitHubError::Forbidden(_))), "{outcome:?}");
    assert_eq!(merges, 1);
}
