//! A pull request is put into the merge queue once, at the planned head, or not at all.

use sluice::github::{GitHub, Merge, MergeMethod, MergeOutcome, MergeQueue, MergedCommit, Via};
use sluice_sim::Pr;
use sluice_sim::faults::Answer;
use sluice_sim::world::{
    CheckConclusion, CheckRunChange, Identity, NewCheckRun, Protection, QueueEntry,
};

use super::town::{Town, as_sha};

/// A town whose main has a queue, with a required check that a story concludes.
async fn town() -> Town {
    let town = Town::found().await;
    let name = town.repository.clone();
    let set = move |world: &mut sluice_sim::World| {
        let required_checks = vec!["ci".to_owned()];
        world.protect(&name, "main", Some(Protection { required_checks, ..Default::default() }))?;
        world.require_queue(&name, "main")
    };
    town.standin.change(set).await.unwrap();
    town
}

async fn ci_passes(town: &Town, commit: String) {
    let name = town.repository.clone();
    let conclusion = Some(CheckConclusion::Success);
    let change = CheckRunChange { conclusion, ..CheckRunChange::default() };
    let new = NewCheckRun { name: "ci".to_owned(), commit, change };
    let say = move |world: &mut sluice_sim::World| {
        world.report_check("github-actions", &name, new).map(drop)
    };
    town.standin.change(say).await.unwrap();
}

async fn checked_pr(town: &Town) -> (Pr, Merge) {
    let pr = town.pr("orders").await;
    let facts = town.facts(&pr).await;
    assert_eq!(facts.queue, MergeQueue::Out);
    ci_passes(town, facts.head.as_str().to_owned()).await;
    let (method, via) = (MergeMethod::Squash, Via::Queue);
    (pr.clone(), Merge { ask: town.ask(&pr), pr_id: facts.id, head: facts.head, method, via })
}

fn entry(town: &Town, pr: &Pr) -> QueueEntry {
    town.standin.world(|world| world.pull(pr).unwrap().1.queued.clone().expect("it is queued"))
}

async fn outcome(town: &Town, merge: &Merge, via: Via) -> MergeOutcome {
    town.github.merge(&Merge { via, ..merge.clone() }).await.unwrap()
}

#[tokio::test]
async fn it_is_put_there_once_and_read_back_when_it_is_merged() {
    let town = town().await;
    let (pr, merge) = checked_pr(&town).await;
    for via in [Via::Queue, Via::Queue, Via::InQueue] {
        assert_eq!(outcome(&town, &merge, via).await, MergeOutcome::Waits);
    }
    assert_eq!(town.asked("enqueuePullRequest"), 1);
    let entry = entry(&town, &pr);
    let MergeQueue::In { group: Some(group) } = town.facts(&pr).await.queue else {
        panic!("it has a group")
    };
    assert_eq!((group.head, group.onto), (as_sha(&entry.group), as_sha(&entry.onto)));
    ci_passes(&town, entry.group.as_str().to_owned()).await;
    let MergeOutcome::Merged(MergedCommit { sha, .. }) = outcome(&town, &merge, Via::InQueue).await
    else {
        panic!("it is merged")
    };
    assert_eq!(sha, as_sha(&entry.group));
}

#[tokio::test]
async fn an_answer_that_was_lost_puts_it_there_once() {
    let town = town().await;
    let (_, merge) = checked_pr(&town).await;
    town.spoil("enqueuePullRequest", 1, Answer::StatusAfterEffect(502)).await;
    assert_eq!(outcome(&town, &merge, Via::Queue).await, MergeOutcome::Waits);
    assert_eq!(town.asked("enqueuePullRequest"), 1);
}

#[tokio::test]
async fn a_push_just_before_it_is_put_there_keeps_it_out() {
    let town = town().await;
    let (pr, merge) = checked_pr(&town).await;
    let (pushed, name) = (pr.clone(), town.repository.clone());
    let hook = move |world: &mut sluice_sim::World| {
        let file = ("warehouse/models/late.sql".to_owned(), Some(b"SELECT 7".to_vec()));
        let head = world.push_to_pull(&Identity::user("alice"), &pushed, &vec![file]).unwrap();
        // Nothing else is in its way.
        let conclusion = Some(CheckConclusion::Success);
        let change = CheckRunChange { conclusion, ..CheckRunChange::default() };
        let new = NewCheckRun { name: "ci".to_owned(), commit: head.to_string(), change };
        world.report_check("github-actions", &name, new).unwrap();
    };
    let arm = move |world: &mut sluice_sim::World| {
        world.faults.before_merge = Some(Box::new(hook));
        Ok(())
    };
    town.standin.change(arm).await.unwrap();
    assert_eq!(outcome(&town, &merge, Via::Queue).await, MergeOutcome::HeadMoved);
    assert!(town.standin.world(|world| world.pull(&pr).unwrap().1.queued.is_none()));
}

#[tokio::test]
async fn one_that_was_put_out_is_told_and_not_put_there_again() {
    let town = town().await;
    let (pr, merge) = checked_pr(&town).await;
    outcome(&town, &merge, Via::Queue).await;
    town.bob.takes_out_of_queue(&pr).await.unwrap();
    let MergeOutcome::Refused(why) = outcome(&town, &merge, Via::InQueue).await else {
        panic!("it is out")
    };
    assert!(why.contains("put it out"), "{why}");
    assert_eq!(town.asked("enqueuePullRequest"), 1);
}

#[tokio::test]
async fn another_head_and_what_may_not_be_merged_are_not_put_there() {
    let town = town().await;
    let unchecked = town.pr("others").await;
    let facts = town.facts(&unchecked).await;
    let (method, via) = (MergeMethod::Squash, Via::Queue);
    let (ask, head) = (town.ask(&unchecked), facts.head);
    let merge = Merge { ask, pr_id: facts.id, head, method, via };
    let refused = outcome(&town, &merge, Via::Queue).await;
    assert!(matches!(&refused, MergeOutcome::Refused(why) if why.contains("ci")), "{refused:?}");
    let direct = outcome(&town, &merge, Via::Merge).await;
    assert!(matches!(&direct, MergeOutcome::Refused(why) if why.contains("queue")), "{direct:?}");

    let (pr, merge) = checked_pr(&town).await;
    town.alice.pushes(&pr, &[("warehouse/models/orders.sql", Some("SELECT 9"))]).await.unwrap();
    assert_eq!(outcome(&town, &merge, Via::Queue).await, MergeOutcome::HeadMoved);
}
