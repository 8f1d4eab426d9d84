//! A change that somebody with the right to do so approved: all the way to prod and main.

use sluice::outcome::{DeployOutcome, Stage};
use sluice_sim::world::CheckConclusion;

use crate::town::{APPROVAL, DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, TAXED, TESTS, Town};

#[tokio::test]
async fn an_approved_change_is_deployed_merged_and_cleaned_up() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    assert!(town.warehouse.has("warehouse_1"), "the PR environment stands");
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));

    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;

    assert_eq!(town.in_prod("revenue").unwrap(), TAXED);
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    assert!(!town.warehouse.has("warehouse_1"), "the PR environment is gone");
    assert_eq!(town.warehouse.calls("open"), 2, "the gate's session and the deploy's, no third");
    for check in [LINTER, TESTS, APPROVAL, PR_ENVIRONMENT, PROD_PLAN] {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Success), "{check}");
    }
    assert!(town.says(&pr, DEPLOY).starts_with("Deployed to Prod"));
    assert!(town.says(&pr, APPROVAL).contains("carol"));
    assert!(town.comment(&pr).contains("Deployed"), "{}", town.comment(&pr));
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    town.finish().await;
}

#[tokio::test]
async fn an_approval_that_arrives_later_runs_no_python() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let before = ["lint", "test"].map(|what| town.warehouse.calls(what));
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    let after = ["lint", "test"].map(|what| town.warehouse.calls(what));
    assert_eq!(after, before, "tested once, by the gate");
    assert_eq!(town.stages(&pr, Stage::PrEnvironment), 1);
    town.finish().await;
}

#[tokio::test]
async fn an_approval_that_comes_before_the_gate_is_done_deploys_when_it_is() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, APPROVAL, CheckConclusion::Success).await;
    assert_eq!(town.conclusion(&pr, DEPLOY), None, "it waits for the gate");
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_lost_approval_is_found_by_the_next_event() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0);
    town.bob.reviews(&pr, sluice_sim::world::ReviewState::Commented).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_change_that_touches_no_model_is_merged_without_an_apply() {
    let town = Town::start().await;
    let spec = sluice_sim::PrSpec::new("read-me").file("README.md", "Read me.\n");
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&pr).await;
    assert_eq!(town.conclusion(&pr, PR_ENVIRONMENT), Some(CheckConclusion::Skipped));
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Skipped));
    assert!(!town.warehouse.has("warehouse_1"));

    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert_eq!(town.prod_applies(), 0);
    town.finish().await;
}
