//! Applied, and then the merge: what GitHub can do to it, and that prod stays reserved meanwhile.

use std::time::Duration;

use sluice::clock::unix_ms;
use sluice::job::{Deploy, Envelope, Job};
use sluice::lease::{LeaseKey, LeaseRequest, Owner, Release, Standing};
use sluice::names::{Environment, JobId, PrNumber, Sha};
use sluice::outcome::{DeployOutcome, Reason, Stage};
use sluice_sim::Pr;
use sluice_sim::faults::{Answer, Matching, MergeFault};
use sluice_sim::world::{CheckConclusion, Identity, Push};

use crate::town::{DEPLOY, Setup, TAXED, Town};

const RENAMED: &str = "SELECT 1 AS id\n";
const RESERVED: &str = r#"sluice_applied_not_merged{project="warehouse"}"#;

/// Deployed once and merged once, whatever happened in between.
async fn is_done_once(town: Town, pr: &Pr) {
    town.until_deployed(pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1, "one apply");
    assert_eq!(town.deploys(pr).last(), Some(&DeployOutcome::Deployed));
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    assert!(!town.warehouse.has("warehouse_1"), "cleaned up");
    town.finish().await;
}

#[tokio::test]
async fn a_merge_that_is_refused_for_a_moment_is_tried_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.merges.extend([MergeFault::NotMergeable])).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    assert_eq!(town.metric(RESERVED).as_deref(), Some("1"));
    is_done_once(town, &pr).await;
}

#[tokio::test]
async fn a_merge_whose_answer_is_lost_is_not_made_twice() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let merge = Matching::GraphQl("mergePullRequest".to_owned());
    town.spoils(|faults| faults.answer(merge, 1, Answer::StatusAfterEffect(500))).await;
    town.carol.approves(&pr).await.unwrap();
    is_done_once(town, &pr).await;
}

#[tokio::test]
async fn a_base_that_moves_during_the_merge_is_no_refusal() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.merges.extend([MergeFault::BaseModified])).await;
    town.carol.approves(&pr).await.unwrap();
    is_done_once(town, &pr).await;
}

#[tokio::test]
async fn a_merge_that_is_refused_for_good_keeps_prod_for_its_pull_request() {
    let setup = Setup { merge_patience: Duration::ZERO, retries: 1, ..Setup::default() };
    let town = Town::of(setup).await;
    let a = town.gated_pr("add-tax", "revenue", TAXED).await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    town.spoils(|faults| faults.merges.extend([MergeFault::NotMergeable; 2])).await;
    town.carol.approves(&a).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.conclusion(&a, DEPLOY), Some(CheckConclusion::Failure));
    assert!(town.says(&a, DEPLOY).starts_with("Deployed, not merged"));
    assert!(town.comment(&a).contains("Deployed, not merged"), "{}", town.comment(&a));
    assert_eq!(town.deploys(&a), [DeployOutcome::AppliedNotMerged]);
    assert_eq!(town.metric(RESERVED).as_deref(), Some("1"));
    assert_eq!(town.held().await[0].standing, Standing::Reserved);
    assert!(town.warehouse.has("warehouse_1"), "it is still open");

    town.carol.approves(&b).await.unwrap();
    town.until_stage(&b, Stage::Lease).await;
    town.carol.approves(&a).await.unwrap();
    town.until_deployed(&a).await;
    town.until_deployed(&b).await;
    assert_eq!(town.warehouse.applied().last().unwrap(), "prod");
    assert_eq!(town.prod_applies(), 2, "each once: the second try had nothing to apply");
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert!(town.held().await.is_empty());
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_push_during_the_deploy_is_not_merged_unseen() {
    let town = Town::start().await;
    let a = town.gated_pr("add-tax", "revenue", "SELECT 2 AS revenue\n").await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    let pushed = a.clone();
    let hook = move |world: &mut sluice_sim::World| {
        let files = vec![("models/revenue.sql".to_owned(), Some(TAXED.as_bytes().to_vec()))];
        world.push_to_pull(&Identity::user("alice"), &pushed, &files).unwrap();
    };
    town.spoils(|faults| faults.before_merge = Some(Box::new(hook))).await;
    let old = town.see(&a).head;
    town.carol.approves(&a).await.unwrap();
    town.until_told(&a, |what| {
        matches!(what, sluice::observe::What::DeployEnded(DeployOutcome::AppliedNotMerged))
    })
    .await;
    town.until_gated(&a).await;
    assert!(!town.see(&a).is_merged(), "nobody saw the new head");
    assert_eq!(town.title_on(&old, DEPLOY).unwrap(), "Deployed, not merged");
    assert_eq!(town.in_prod("revenue").unwrap(), "SELECT 2 AS revenue\n");
    assert_eq!(town.metric(RESERVED).as_deref(), Some("1"));
    assert_eq!(town.refusals(&a).last(), Some(&Reason::NotApproved), "the new head is held");

    town.carol.approves(&b).await.unwrap();
    town.until_stage(&b, Stage::Lease).await;
    assert_eq!(town.prod_applies(), 1, "nobody else deploys in between");
    town.carol.approves(&a).await.unwrap();
    town.until_deployed(&a).await;
    town.until_deployed(&b).await;
    town.until_quiet().await;
    assert_eq!(town.in_prod("revenue").unwrap(), TAXED);
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    town.finish().await;
}

#[tokio::test]
async fn a_merge_onto_another_base_than_was_planned_is_told() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let repository = town.repository.clone();
    let hook = move |world: &mut sluice_sim::World| {
        let push = Push {
            branch: "main".to_owned(),
            files: vec![("models/orders.sql".to_owned(), Some(RENAMED.as_bytes().to_vec()))],
            message: "Past the gate".to_owned(),
            onto: None,
        };
        world.push(&Identity::user("bob"), &repository, &push).unwrap();
    };
    town.spoils(|faults| faults.before_merge = Some(Box::new(hook))).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, DEPLOY, CheckConclusion::Failure).await;
    town.until_quiet().await;
    let said = town.says(&pr, DEPLOY);
    assert!(said.contains("does not hold the tree that was deployed"), "{said}");
    assert_eq!(town.deploys(&pr), [DeployOutcome::Failed]);
    town.finish().await;
}

/// A worker holds prod for this pull request, means to keep it, and is never heard of again.
async fn a_worker_dies_with_prod_in_its_hands(town: &Town, pr: &Pr, head: &Sha) {
    let project = town.deps.projects[0].name.clone();
    let owner = Owner {
        nonce: "of a worker that died".to_owned(),
        job: JobId::of_deploy(&project, PrNumber(pr.number), head),
        host: "lost".to_owned(),
        pr: PrNumber(pr.number),
        head: Some(head.clone()),
    };
    let keys = vec![LeaseKey::Environment(project, Environment::prod())];
    let [ttl, lock_delay] = [600, 300].map(Duration::from_millis);
    let request = LeaseRequest { keys, owner, ttl, lock_delay };
    let grant = town.deps.leases.acquire(&request).await.unwrap();
    town.deps.leases.renew(&grant, "merge", Release::Reserve).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_dies_between_the_merge_and_its_end_keeps_prod_from_nobody() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let head = Sha::new(town.see(&pr).head.as_str()).unwrap();
    town.bob.merges_by_hand(&pr).await.unwrap();
    town.until_quiet().await;
    a_worker_dies_with_prod_in_its_hands(&town, &pr, &head).await;

    // Its message comes back at once, long before its lease has run out.
    let signalled_ms = unix_ms(town.deps.clock.now());
    let (project, pr) = (town.deps.projects[0].name.clone(), PrNumber(pr.number));
    let deploy = Job::Deploy(Deploy { project, pr, head, command: None, signalled_ms });
    town.deps.queue.publish(&Envelope::new(deploy, "again", signalled_ms)).await.unwrap();
    town.finish().await;
}
