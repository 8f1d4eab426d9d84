//! The main job, told as stories: one for each end that a gate check or a deploy can have.

use sluice::outcome::Stage;
use sluice_sim::world::CheckConclusion;

use crate::town::{APPROVAL, DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, TESTS, Town};

#[tokio::test]
async fn an_approved_change_is_deployed_merged_and_cleaned_up() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 1.2 AS revenue\n").await;
    assert!(town.warehouse.has("warehouse_1"), "the PR environment stands");
    town.until_check(&pr, DEPLOY, CheckConclusion::Skipped).await;

    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;

    assert_eq!(town.warehouse.model("prod", "revenue").unwrap(), "SELECT 1.2 AS revenue\n");
    assert!(!town.warehouse.has("warehouse_1"), "the PR environment is gone");
    for check in [LINTER, TESTS, APPROVAL, PR_ENVIRONMENT, PROD_PLAN] {
        assert_eq!(town.see(&pr).conclusion(check), Some(CheckConclusion::Success), "{check}");
    }
    assert!(town.says(&pr, DEPLOY).starts_with("Deployed to Prod"));
    town.finish().await;
}

#[tokio::test]
async fn an_approval_that_arrives_later_runs_no_python() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 1.2 AS revenue\n").await;
    town.until_quiet().await;
    let before = town.warehouse.calls("test");
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert_eq!(town.warehouse.calls("test"), before, "tested once, by the gate");
    assert_eq!(town.stages(&pr, Stage::PrEnvironment), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_change_that_nobody_approved_is_held() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 1.2 AS revenue\n").await;
    town.until_quiet().await;
    assert_eq!(town.see(&pr).conclusion(APPROVAL), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, APPROVAL).contains("Need a Required Approval"));
    assert_eq!(town.see(&pr).conclusion(DEPLOY), Some(CheckConclusion::Skipped));
    assert_eq!(town.warehouse.applied(), ["warehouse_1"], "prod was left alone");
    assert!(town.comment(&pr).contains("carol"), "{}", town.comment(&pr));
    town.finish().await;
}
