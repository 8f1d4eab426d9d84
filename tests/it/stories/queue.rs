//! A base branch that takes pull requests through GitHub's merge queue only.

use sluice::job::{Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::{PrNumber, Sha};
use sluice::observe::What;
use sluice::outcome::DeployOutcome;
use sluice_sim::world::{
    CheckConclusion, CheckRunChange, NewCheckRun, Protection, PullState, QueueEntry,
};
use sluice_sim::{Oid, Pr, PrSpec};

use crate::town::{APPROVAL, DEPLOY, PATIENCE, PROD_PLAN, Setup, TAXED, Town};

const CI: &str = "ci";
const QUEUED: &str = "Deployed, in the merge queue";

/// A town whose main has a queue, and requires these checks.
async fn town(required: &[&str]) -> Town {
    let setup = Setup { merge_patience: PATIENCE, ..Setup::default() };
    let town = Town::of(setup).await;
    let required_checks = required.iter().map(|name| (*name).to_owned()).collect();
    town.protects_main(Protection { required_checks, ..Protection::default() }).await;
    let repository = town.repository.clone();
    let require = move |world: &mut sluice_sim::World| world.require_queue(&repository, "main");
    town.github.change(require).await.unwrap();
    town
}

/// Somebody else's required check says that of a commit.
async fn ci_says(town: &Town, commit: &Oid, conclusion: CheckConclusion) {
    let (repository, commit) = (town.repository.clone(), commit.as_str().to_owned());
    let change = CheckRunChange { conclusion: Some(conclusion), ..CheckRunChange::default() };
    let new = NewCheckRun { name: CI.to_owned(), commit, change };
    let say = move |world: &mut sluice_sim::World| {
        world.report_check("github-actions", &repository, new).map(drop)
    };
    town.github.change(say).await.unwrap();
}

/// A pull request whose head passes `ci`.
async fn checked_pr(town: &Town) -> Pr {
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    ci_says(town, &town.see(&pr).head, CheckConclusion::Success).await;
    pr
}

/// Where it stands in the queue, once it has a group other than `before`.
async fn until_in_queue(town: &Town, pr: &Pr, before: Option<&QueueEntry>) -> QueueEntry {
    let entry = |world: &sluice_sim::World| {
        let entry = world.pull(pr).unwrap().1.queued.clone()?;
        (before.is_none_or(|before| before.group != entry.group)).then_some(entry)
    };
    town.github.until(PATIENCE, entry).await.unwrap()
}

/// How a check of ours is concluded on a commit.
fn on(town: &Town, commit: &Oid, check: &str) -> Vec<Option<CheckConclusion>> {
    town.github.world(|world| {
        let runs = world.repository(&town.repository).unwrap().runs_of(commit);
        runs.filter(|run| run.name == check).map(|run| run.conclusion).collect()
    })
}

/// Waits until a check of ours is concluded on a commit.
async fn until_judged(town: &Town, commit: &Oid, check: &str) -> CheckConclusion {
    let concluded = |world: &sluice_sim::World| {
        let runs = world.repository(&town.repository).unwrap().latest_runs(commit);
        runs.into_iter().find(|run| run.name == check)?.conclusion
    };
    town.github.until(PATIENCE, concluded).await.unwrap()
}

#[tokio::test]
async fn what_was_deployed_goes_through_the_queue() {
    let town = town(&[APPROVAL, PROD_PLAN, DEPLOY]).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    let merged = town.see(&pr).merged_as.unwrap();
    for check in [APPROVAL, PROD_PLAN, DEPLOY] {
        assert_eq!(on(&town, &merged, check), [Some(CheckConclusion::Success)], "{check}");
    }
    assert_eq!(town.title_on(&merged, APPROVAL).unwrap(), "Deployed, may be merged");
    assert_eq!(town.prod_applies(), 1);
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    town.finish().await;
}

#[tokio::test]
async fn what_was_put_into_the_queue_by_hand_is_not_merged() {
    let town = town(&[PROD_PLAN]).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let group = town.bob.queues(&pr).await.unwrap();
    assert_eq!(until_judged(&town, &group, PROD_PLAN).await, CheckConclusion::Failure);
    town.until_quiet().await;
    assert_eq!(town.title_on(&group, PROD_PLAN).unwrap(), "Not deployed, must not be merged");
    assert_eq!((town.see(&pr).state, town.prod_applies()), (PullState::Open, 0));
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Success), "its own stands");

    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn what_is_put_out_of_the_queue_is_put_there_again() {
    let town = town(&[PROD_PLAN, CI]).await;
    let pr = checked_pr(&town).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, DEPLOY, QUEUED).await;
    let first = until_in_queue(&town, &pr, None).await;
    ci_says(&town, &first.group, CheckConclusion::Failure).await;
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    let says = town.says(&pr, DEPLOY);
    assert!(says.contains("put it out"), "{says}");
    let second = until_in_queue(&town, &pr, Some(&first)).await;
    ci_says(&town, &second.group, CheckConclusion::Success).await;
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1);
    assert_eq!(town.see(&pr).merged_as.unwrap(), second.group);
    town.finish().await;
}

#[tokio::test]
async fn a_push_to_what_is_in_the_queue_is_not_merged_unseen() {
    let town = town(&[PROD_PLAN, CI]).await;
    let pr = checked_pr(&town).await;
    town.carol.approves(&pr).await.unwrap();
    let entry = until_in_queue(&town, &pr, None).await;
    town.alice.pushes(&pr, &[("models/revenue.sql", Some("SELECT 9\n"))]).await.unwrap();
    ci_says(&town, &entry.group, CheckConclusion::Success).await;
    let is_over = |what: &What| matches!(what, What::DeployEnded(DeployOutcome::AppliedNotMerged));
    town.until_told(&pr, is_over).await;
    town.until_gated(&pr).await;
    assert_eq!(town.see(&pr).state, PullState::Open);
    ci_says(&town, &town.see(&pr).head, CheckConclusion::Success).await;
    let by_hand = town.bob.queues(&pr).await.unwrap();
    assert_eq!(until_judged(&town, &by_hand, PROD_PLAN).await, CheckConclusion::Failure);
    town.until_quiet().await;
    assert_eq!(town.see(&pr).state, PullState::Open, "prod is kept for the head before");
    assert_eq!(town.in_prod("revenue").unwrap(), TAXED);
    town.finish_with(0).await;
}

#[tokio::test]
async fn a_worker_that_dies_while_the_queue_has_it_is_followed_by_one_that_waits_on() {
    let mut town = town(&[PROD_PLAN, CI]).await;
    let pr = checked_pr(&town).await;
    town.carol.approves(&pr).await.unwrap();
    let entry = until_in_queue(&town, &pr, None).await;
    town.shutdown.cut.cancel();
    town.is_followed_by_another_worker().await;
    assert_eq!(until_judged(&town, &entry.group, PROD_PLAN).await, CheckConclusion::Success);
    ci_says(&town, &entry.group, CheckConclusion::Success).await;
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1);
    assert_eq!(town.see(&pr).merged_as.unwrap(), entry.group, "it was put there once");
    town.finish().await;
}

#[tokio::test]
async fn a_group_that_is_told_of_twice_has_each_check_once() {
    let town = town(&[PROD_PLAN, CI]).await;
    let pr = checked_pr(&town).await;
    town.carol.approves(&pr).await.unwrap();
    let entry = until_in_queue(&town, &pr, None).await;
    until_judged(&town, &entry.group, PROD_PLAN).await;
    let told = |cause: &str, head: &str| {
        let check = GateCheck {
            project: town.deps.projects[0].name.clone(),
            pr: PrNumber(pr.number),
            scope: Scope::Group,
            head: Some(Sha::new(head).unwrap()),
            refresh: Refresh::No,
            command: None,
        };
        Envelope::new(Job::GateCheck(check), cause, sluice::clock::unix_ms(town.deps.clock.now()))
    };
    for cause in ["again", "and again"] {
        town.deps.queue.publish(&told(cause, entry.group.as_str())).await.unwrap();
    }
    // Somebody says that the pull request's own head were its group.
    let head = town.see(&pr).head;
    town.deps.queue.publish(&told("forged", head.as_str())).await.unwrap();
    let is_no_group = |what: &What| matches!(what, What::Note(text) if text.contains("no more"));
    town.until_told(&pr, is_no_group).await;
    ci_says(&town, &entry.group, CheckConclusion::Success).await;
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(on(&town, &entry.group, PROD_PLAN), [Some(CheckConclusion::Success)]);
    town.finish().await;
}

#[tokio::test]
async fn a_group_on_top_of_what_must_not_be_merged_must_not_be_either() {
    let town = town(&[CI]).await;
    let a = checked_pr(&town).await;
    let spec = PrSpec::new("rename").file("models/orders.sql", "SELECT 2 AS order_id\n");
    let b = town.bob.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&b).await;
    ci_says(&town, &town.see(&b).head, CheckConclusion::Success).await;
    // Not required: it says so, and does not hold the queue up.
    let first = town.bob.queues(&a).await.unwrap();
    let second = town.bob.queues(&b).await.unwrap();
    assert_eq!(until_judged(&town, &first, PROD_PLAN).await, CheckConclusion::Failure);
    assert_eq!(until_judged(&town, &second, PROD_PLAN).await, CheckConclusion::Failure);
    let title = town.title_on(&second, PROD_PLAN).unwrap();
    assert_eq!(title, "On top of what must not be merged");
    town.bob.takes_out_of_queue(&a).await.unwrap();
    town.bob.takes_out_of_queue(&b).await.unwrap();
    town.finish().await;
}
