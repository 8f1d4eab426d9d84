//! What goes wrong around us: lost webhooks, an engine that hangs, a lease that is gone.

use std::sync::Arc;
use std::time::Duration;

use sluice::observe::What;
use sluice::outcome::{Disposition, Reason, Stage};
use sluice::pipeline::{Deps, Signals, perform};
use sluice::redact::REDACTED;
use sluice_sim::faults::{Answer, Matching, WebhookFault};
use sluice_sim::world::{CheckConclusion, CheckStatus};
use sluice_sim::{Pr, PrSnapshot, PrSpec};
use sluice_worker::run::Slots;

use crate::town::{
    APPROVAL, Call, DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, SECRET, Setup, TAXED, TESTS, Town,
};

/// Gated once, deployed once, merged once.
async fn is_done_once(town: &Town, pr: &Pr) {
    town.until_deployed(pr).await;
    town.until_quiet().await;
    assert_eq!(town.stages(pr, Stage::Apply), 1, "one apply");
    assert_eq!(town.stages(pr, Stage::PrEnvironment), 1, "one environment");
    assert_eq!(town.prod_applies(), 1);
    let seen = town.see(pr);
    let ours = seen.comments.iter().filter(|one| one.body.contains("<!-- sluice:comment"));
    assert_eq!(ours.count(), 1, "one sticky comment");
    for check in [LINTER, TESTS, APPROVAL, PR_ENVIRONMENT, PROD_PLAN, DEPLOY] {
        assert_eq!(town.runs(pr, check), 1, "one check run: {check}");
    }
}

#[tokio::test]
async fn webhooks_that_come_twice_have_one_effect() {
    let town = Town::start().await;
    town.spoils(|faults| faults.webhooks.extend([WebhookFault::Duplicate; 40])).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    is_done_once(&town, &pr).await;
    town.finish().await;
}

#[tokio::test]
async fn webhooks_that_are_replayed_have_no_effect() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    is_done_once(&town, &pr).await;
    let all: Vec<String> = town
        .github
        .world(|world| world.deliveries().all().iter().map(|one| one.guid.clone()).collect());
    for guid in all {
        town.github.redeliver(&guid).unwrap();
    }
    town.until_quiet().await;
    is_done_once(&town, &pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_lost_webhook_is_made_up_for_by_the_next() {
    let town = Town::start().await;
    let spec = PrSpec::new("add-tax").file("models/revenue.sql", TAXED);
    let pr = town.alice.quietly().opens_pr(&town.repository, spec).await.unwrap();
    town.until_quiet().await;
    assert!(town.see(&pr).checks.is_empty(), "nobody told us");
    town.carol.approves(&pr).await.unwrap();
    is_done_once(&town, &pr).await;
    town.finish().await;
}

#[tokio::test]
async fn checks_are_announced_before_a_worker_is_free() {
    let slots = Slots { approval: 8, gate: 1, deploy: 1 };
    let town = Town::of(Setup { slots, ..Setup::default() }).await;
    town.warehouse.hold_apply("warehouse_1");
    let a = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    let b = town.pr("rename", "orders", "SELECT 1 AS id\n").await;
    let told = |seen: &PrSnapshot| seen.comments.first()?.body.contains("Checking").then_some(());
    town.until(&b, "the comment", told).await;
    let seen = town.see(&b);
    for check in [LINTER, TESTS, PR_ENVIRONMENT, PROD_PLAN, DEPLOY] {
        assert_eq!(seen.check(check).unwrap().status, CheckStatus::Queued, "{check}");
    }
    assert_eq!(town.stages(&b, Stage::Load), 0, "its gate has not begun");
    town.warehouse.release();
    for pr in [a, b] {
        town.until_gated(&pr).await;
    }
    town.finish().await;
}

#[tokio::test]
async fn an_engine_that_panics_is_told_and_ends_as_a_dead_letter() {
    let town = Town::of(Setup { retries: 1, ..Setup::default() }).await;
    let pr = town.gated_pr("odd", "revenue", "SELECT 2 -- panics in test\n").await;
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, TESTS).contains("test panicked"), "{}", town.says(&pr, TESTS));
    assert_eq!(town.stages(&pr, Stage::Test), 2, "tried again");
    assert!(town.see(&pr).checks.iter().all(|check| check.status == CheckStatus::Completed));
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_job_that_fails_for_good_takes_no_secret_to_the_dead_letters() {
    let town = Town::of(Setup { retries: 0, ..Setup::default() }).await;
    town.gated_pr("odd", "revenue", &format!("SELECT '{SECRET}' -- breaks in load\n")).await;
    let letters = town.queue.dead();
    let reason = &letters[0].reason;
    assert!(reason.contains(REDACTED) && !reason.contains(SECRET), "{reason}");
    town.finish_with(1).await;
}

#[tokio::test]
async fn an_engine_that_hangs_is_killed_when_its_time_is_up() {
    let setup = Setup { retries: 0, gate_timeout: Duration::from_secs(3), ..Setup::default() };
    let town = Town::of(setup).await;
    let pr = town.gated_pr("odd", "revenue", "SELECT 2 -- hangs in test\n").await;
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, TESTS).contains("limit of 3 s"), "{}", town.says(&pr, TESTS));
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_deploy_that_loses_its_lease_stops_and_is_taken_up_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.leases.are_lost().await;
    town.until_told(&pr, |what| {
        let lost = sluice::observe::LeaseEnd::Lost;
        matches!(what, sluice::observe::What::LeaseEnded { key, end, .. }
            if *end == lost && key.ends_with("/prod"))
    })
    .await;
    assert_eq!(town.warehouse.calls("killed"), 1, "its session was killed at once");
    assert_eq!(town.prod_applies(), 0, "the apply was stopped");
    assert!(!town.see(&pr).is_merged());
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1);
    let lost = town.metric(r#"sluice_lease_lost_total{project="warehouse"}"#).unwrap();
    assert_ne!(lost, "0");
    town.finish().await;
}

#[tokio::test]
async fn an_apply_that_outlives_its_lease_is_halted_at_the_next_stage() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 -- deaf\n").await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.leases.are_lost().await;
    town.leases.until_noticed().await;
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1);
    assert_eq!(town.warehouse.calls("apply"), 3, "the PR's, one that was halted, one that was not");
    town.finish().await;
}

#[tokio::test]
async fn a_store_that_is_away_costs_a_deploy_no_try() {
    let town = Town::of(Setup { retries: 0, ..Setup::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.leases.is_away_for(Some(Call::Inspect));
    town.carol.approves(&pr).await.unwrap();
    let later =
        |what: &What| matches!(what, What::Settled { disposition, .. } if *disposition == "later");
    town.until_told(&pr, later).await;
    town.leases.is_away_for(None);
    is_done_once(&town, &pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_job_of_a_project_that_is_unknown_here_may_be_known_elsewhere() {
    let town = Town::of(Setup { retries: 1, ..Setup::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let before = Deps { projects: Arc::new([]), ..town.deps.clone() };
    let deploy = town.deploy_of(&pr, &town.head(&pr));
    let attempt = async |attempt| perform(&before, &deploy, attempt, Signals::default()).await;
    assert_eq!(attempt(0).await, Disposition::Retry);
    assert!(matches!(attempt(1).await, Disposition::Dead(why) if why.contains("not configured")));
    town.finish().await;
}

#[tokio::test]
async fn mergeability_that_github_never_tells_is_no_yes() {
    let mergeability_patience = Duration::from_millis(300);
    let town = Town::of(Setup { mergeability_patience, ..Setup::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.mergeability_stuck = true).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert_eq!(town.refusals(&pr).last(), Some(&Reason::MergeabilityUnknown));
    assert_eq!(town.prod_applies(), 0);

    town.spoils(|faults| faults.mergeability_stuck = false).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn trouble_at_github_is_waited_out() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.answer(Matching::Any, 3, Answer::Status(502))).await;
    town.carol.approves(&pr).await.unwrap();
    is_done_once(&town, &pr).await;
    town.finish().await;
}
