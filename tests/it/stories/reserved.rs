//! What prod is reserved for: one head of a pull request, as it was cleared, and no longer than
//! anything of it is left.

use sluice::lease::Standing;
use sluice::names::{PrNumber, Sha};
use sluice::observe::What;
use sluice::outcome::{DeployOutcome, Disposition, Reason};
use sluice::pipeline::sweep::{Sweeper, Swept};
use sluice::pipeline::{Signals, perform};
use sluice_sim::faults::{Answer, Matching, WebhookFault};
use sluice_sim::world::{CheckConclusion, CheckRunChange, DeploymentState, Identity};
use sluice_sim::{Pr, World};

use super::kept::{
    RENAMED, RESERVED, is_merged_by_hand, merges_are_refused, prod_is_reserved, the_next_deploys,
    town,
};
use crate::town::{DEPLOY, PATIENCE, TAXED, Town};

const ELSEWHERE: [(&str, Option<&str>); 1] = [("README.md", Some("Nobody has seen this.\n"))];

/// What a deploy that never ended is asked for with.
const ASKED: &str = "has not said how it ended";

/// Applied and not merged: its job has failed for good, and prod is reserved for its head.
async fn left_unmerged(town: &Town) -> (Pr, Sha) {
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    merges_are_refused(town).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    town.spoils(|faults| faults.merges.clear()).await;
    prod_is_reserved(town).await;
    let head = town.head(&pr);
    assert_eq!(town.held().await[0].kept_for.as_ref(), Some(&head));
    (pr, head)
}

/// Nothing was merged, and prod is still reserved for that head.
async fn is_left_as_it_was(town: &Town, pr: &Pr, head: &Sha) {
    assert!(!town.see(pr).is_merged(), "nobody cleared that");
    prod_is_reserved(town).await;
    assert_eq!(town.held().await[0].kept_for.as_ref(), Some(head));
}

#[tokio::test]
async fn a_newer_head_is_not_merged_for_what_another_was_cleared() {
    let town = town(1).await;
    let (pr, head) = left_unmerged(&town).await;
    town.alice.pushes(&pr, &ELSEWHERE).await.unwrap();
    town.until_gated(&pr).await;
    // It changes nothing that prod runs: its plan is as empty as that of the head before.
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    assert_eq!(town.refusals(&pr).last(), Some(&Reason::NotApproved));
    is_left_as_it_was(&town, &pr, &head).await;

    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1, "prod ran it already");
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert!(town.held().await.is_empty());
    town.finish_with(1).await;
}

#[tokio::test]
async fn what_leads_elsewhere_now_is_not_merged_there() {
    let town = town(1).await;
    let (pr, head) = left_unmerged(&town).await;
    town.bob.pushes_to_branch(&town.repository, "staging", &ELSEWHERE).await.unwrap();
    town.alice.retargets(&pr, "staging").await.unwrap();
    town.until_quiet().await;
    town.is_asked_to_deploy(&pr, &head).await;
    let refusals = town.refusals(&pr);
    assert!(refusals.contains(&Reason::NotProduction), "{refusals:?}");
    is_left_as_it_was(&town, &pr, &head).await;

    town.alice.retargets(&pr, "main").await.unwrap();
    town.until_quiet().await;
    town.is_asked_to_deploy(&pr, &head).await;
    town.until_deployed(&pr).await;
    assert!(town.held().await.is_empty());
    town.finish_with(1).await;
}

#[tokio::test]
async fn prod_is_freed_though_a_deploy_that_is_gone_had_undertaken_the_cleanup() {
    let town = town(1).await;
    let (pr, _) = left_unmerged(&town).await;
    let project = &town.deps.projects[0].name;
    town.deps.ledger.undertake_cleanup(project, PrNumber(pr.number)).await;
    is_merged_by_hand(&town, &pr).await;
    town.until_quiet().await;
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert!(town.held().await.is_empty(), "{:#?}", town.held().await);
    town.finish_with(1).await;
}

#[tokio::test]
async fn nobody_says_what_became_of_a_merge_by_hand_when_prod_lacks_what_main_got_meanwhile() {
    let town = town(1).await;
    let (pr, _) = left_unmerged(&town).await;
    let other = [("models/orders.sql", Some("SELECT 1 AS id\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &other).await.unwrap();
    is_merged_by_hand(&town, &pr).await;
    let is_refused = |what: &What| matches!(what, What::DeployEnded(DeployOutcome::Refused));
    town.until_told(&pr, is_refused).await;
    town.until_quiet().await;
    assert!(town.held().await.is_empty(), "{:#?}", town.held().await);
    let (says, comment) = (town.says(&pr, DEPLOY), town.comment(&pr));
    assert!(says.starts_with("This pull request is merged"), "{says}");
    assert!(comment.contains("is merged") && !comment.contains("Not deployed"), "{comment}");
    town.finish_with(1).await;
}

/// A deploy whose worker was killed when GitHub had merged and not answered yet. Nobody gets its
/// message again: it has ended workers before.
async fn dies_when_it_has_merged(town: &Town, pr: &Pr) {
    let matching = Matching::GraphQl("mergePullRequest".to_owned());
    town.spoils(|faults| faults.answer(matching, 1, Answer::SlowAfterEffect(PATIENCE))).await;
    let (deps, deploy) = (town.deps.clone(), town.deploy_of(pr, &town.head(pr)));
    let job = async move { Box::pin(perform(&deps, &deploy, 0, Signals::default())).await };
    let job = tokio::spawn(job);
    town.until(pr, "merged", |seen| seen.is_merged().then_some(())).await;
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_merge_frees_the_prod_of_a_deploy_that_nobody_takes_up_again() {
    let town = town(1).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let next = town.gated_pr("rename", "orders", RENAMED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    dies_when_it_has_merged(&town, &pr).await;
    let held = town.held().await;
    assert_eq!(held[0].standing, Standing::Held, "its time is not over: {held:#?}");
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.notes(&pr).matches(ASKED).count(), 1, "{}", town.all());
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    assert!(!town.warehouse.has("warehouse_1"), "removed");
    town.carol.approves(&next).await.unwrap();
    the_next_deploys(town, &next, 0).await;
}

#[tokio::test]
async fn a_merge_frees_the_prod_of_a_deploy_that_is_dead_and_was_told() {
    let town = town(1).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    dies_when_it_has_merged(&town, &pr).await;
    let (repository, head) = (town.repository.clone(), town.see(&pr).head);
    let conclude = move |world: &mut World| {
        let change = CheckRunChange {
            conclusion: Some(CheckConclusion::Failure),
            ..CheckRunChange::default()
        };
        // What the history says is told before the check.
        super::deployments::says(world, &repository, DeploymentState::Failure)?;
        let runs = world.repository(&repository)?.latest_runs(&head);
        let id = runs.into_iter().find(|run| run.name == DEPLOY).map(|run| run.id).unwrap();
        world.quietly(|world| world.update_check_run(&Identity::App, &repository, id, change))
    };
    town.github.change(conclude).await.unwrap();
    town.until_quiet().await;
    assert!(town.held().await.is_empty(), "{:#?}", town.held().await);
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert_eq!(town.notes(&pr).matches(ASKED).count(), 0, "{}", town.all());
    town.finish().await;
}

#[tokio::test]
async fn a_merge_by_hand_takes_nothing_from_a_deploy_that_applies() {
    let town = town(1).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    is_merged_by_hand(&town, &pr).await;
    let comes_back = |what: &What| matches!(what, What::Settled { disposition: "later", .. });
    town.until_told(&pr, comes_back).await;
    let held = town.held().await;
    assert!(held.iter().any(|lease| lease.key.to_string().ends_with("/prod")), "{held:#?}");
    town.warehouse.release();
    town.until_quiet().await;
    assert_eq!(town.notes(&pr).matches(ASKED).count(), 0, "{}", town.all());
    assert_eq!(town.deploys(&pr).len(), 1, "{}", town.all());
    assert_eq!(town.in_prod("revenue").as_deref(), Some(TAXED));
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    town.finish().await;
}

#[tokio::test]
async fn a_merge_elsewhere_leaves_prod_reserved() {
    let town = town(1).await;
    let (pr, head) = left_unmerged(&town).await;
    town.bob.pushes_to_branch(&town.repository, "staging", &ELSEWHERE).await.unwrap();
    town.alice.retargets(&pr, "staging").await.unwrap();
    town.until_quiet().await;
    is_merged_by_hand(&town, &pr).await;
    town.until_quiet().await;
    assert!(town.notes(&pr).contains("not into production"), "{}", town.all());
    prod_is_reserved(&town).await;
    town.is_asked_to_deploy(&pr, &head).await;
    assert_eq!(town.refusals(&pr).last(), Some(&Reason::NotProduction));
    let says = town.says(&pr, DEPLOY);
    assert!(says.contains("stays reserved") && says.contains("sluice unlock"), "{says}");
    prod_is_reserved(&town).await;
    assert_eq!(town.on_main("revenue").unwrap(), "SELECT 1 AS revenue\n");
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_merge_of_ours_that_went_elsewhere_leaves_prod_reserved() {
    let town = town(1).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.bob.pushes_to_branch(&town.repository, "staging", &ELSEWHERE).await.unwrap();
    let retargeted = pr.clone();
    let hook = move |world: &mut World| {
        world.retarget(&Identity::user("alice"), &retargeted, "staging").unwrap();
    };
    town.spoils(|faults| faults.before_merge = Some(Box::new(hook))).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert!(town.see(&pr).is_merged());
    prod_is_reserved(&town).await;
    assert_eq!(town.deploys(&pr), [DeployOutcome::AppliedNotMerged], "{}", town.all());
    let says = town.says(&pr, DEPLOY);
    assert!(says.contains("staging") && says.contains("sluice unlock"), "{says}");
    assert!(town.comment(&pr).contains("merged elsewhere"), "{}", town.comment(&pr));
    assert_eq!(town.on_main("revenue").unwrap(), "SELECT 1 AS revenue\n");
    town.finish_with(0).await;
}

#[tokio::test]
async fn a_merge_that_nobody_can_judge_is_not_forgotten() {
    let town = town(1).await;
    let (pr, _) = left_unmerged(&town).await;
    town.warehouse.breaks_the_configuration();
    is_merged_by_hand(&town, &pr).await;
    town.until_quiet().await;
    prod_is_reserved(&town).await;
    town.finish_with(2).await;
}

#[tokio::test]
async fn a_sweep_frees_the_prod_of_a_deploy_whose_merge_nobody_noticed() {
    let town = town(1).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let next = town.gated_pr("rename", "orders", RENAMED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    town.spoils(|faults| faults.webhooks.extend([WebhookFault::Drop; 1000])).await;
    dies_when_it_has_merged(&town, &pr).await;
    town.until_quiet().await;
    town.spoils(|faults| faults.webhooks.clear()).await;
    let mut sweepers = Sweeper::of_all(&town.deps);
    let swept = sweepers[0].sweep(&town.deps).await.unwrap();
    assert_eq!(swept, Swept { pulls: 1, looks: 0, cleanups: 1 });
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    let swept = sweepers[0].sweep(&town.deps).await.unwrap();
    assert_eq!(swept, Swept { pulls: 1, looks: 0, cleanups: 0 });
    town.carol.approves(&next).await.unwrap();
    the_next_deploys(town, &next, 0).await;
}

#[tokio::test]
async fn a_merge_that_is_cut_short_leaves_the_cleanup_to_others() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    merges_are_refused(&town).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    let (deps, deploy) = (town.deps.clone(), town.deploy_of(&pr, &town.head(&pr)));
    let signals = Signals::default();
    let cancel = signals.cancel.clone();
    let job = tokio::spawn(async move { Box::pin(perform(&deps, &deploy, 0, signals)).await });
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    cancel.cancel();
    assert_eq!(job.await.unwrap(), Disposition::Requeue);
    let project = &town.deps.projects[0].name;
    let undertaken = town.deps.ledger.is_cleanup_undertaken(project, PrNumber(pr.number)).await;
    assert!(!undertaken, "nobody will clean up");
    town.spoils(|faults| faults.merges.clear()).await;
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_pull_request_that_was_merged_with_a_newer_head_frees_prod() {
    let town = town(1).await;
    let (pr, head) = left_unmerged(&town).await;
    town.alice.quietly().pushes(&pr, &ELSEWHERE).await.unwrap();
    town.bob.quietly().merges_by_hand(&pr).await.unwrap();
    town.is_asked_to_deploy(&pr, &head).await;
    assert_eq!(town.deploys(&pr).last(), Some(&DeployOutcome::Refused), "that head was not merged");
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert!(town.held().await.is_empty(), "{:#?}", town.held().await);
    town.finish_with(1).await;
}

/// The bridge of its first try dies on the way to prod; the second try fails in order.
async fn fails_twice(town: &Town) {
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 -- fails in prod\n").await;
    town.warehouse.kills_the_next_bridge();
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.deploys(&pr), [DeployOutcome::Failed]);
}

#[tokio::test]
async fn a_prod_that_no_try_has_touched_is_not_kept() {
    let town = town(1).await;
    fails_twice(&town).await;
    assert!(town.held().await.is_empty(), "{:#?}", town.held().await);
    let next = town.gated_pr("rename", "orders", RENAMED).await;
    town.carol.approves(&next).await.unwrap();
    the_next_deploys(town, &next, 1).await;
}

#[tokio::test]
async fn a_prod_that_runs_something_else_than_main_stays_reserved() {
    let town = town(1).await;
    town.warehouse.is_changed_by_hand("prod", "orders", RENAMED);
    fails_twice(&town).await;
    assert_eq!(town.held().await.len(), 1, "nobody knows that no try did this");
    town.finish_with(1).await;
}
