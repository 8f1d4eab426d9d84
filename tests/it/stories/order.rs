//! Many who want prod: one after the other, each on what the one before left.

use sluice::outcome::{DeployOutcome, Reason, Stage};
use sluice_sim::PrSpec;
use sluice_sim::world::CheckConclusion;

use crate::town::{DEPLOY, TAXED, Town, policy};

const RENAMED: &str = "SELECT 1 AS id\n";

#[tokio::test]
async fn two_approved_changes_deploy_one_after_the_other() {
    let town = Town::start().await;
    let a = town.gated_pr("add-tax", "revenue", TAXED).await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&a).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.carol.approves(&b).await.unwrap();
    town.until_says(&b, DEPLOY, "Waiting for prod").await;
    assert_eq!(town.stages(&b, Stage::Plan), 0, "not planned before it has prod");
    town.warehouse.release();
    town.until_deployed(&a).await;
    town.until_deployed(&b).await;
    town.until_quiet().await;

    assert_eq!(town.stages(&a, Stage::Test), 1, "tested by its gate");
    assert_eq!(town.stages(&b, Stage::Test), 2, "and again as merged");
    for (model, sql) in [("revenue", TAXED), ("orders", RENAMED)] {
        assert_eq!(town.in_prod(model).unwrap(), sql);
        assert_eq!(town.on_main(model).unwrap(), sql);
    }
    assert_eq!(town.prod_applies(), 2);
    town.finish().await;
}

#[tokio::test]
async fn a_change_that_breaks_on_what_was_merged_before_it_is_held() {
    let town = Town::start().await;
    let spec = PrSpec::new("new").file("models/tax.sql", "SELECT 0.2 AS tax\n");
    let a = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    let b = town.pr("own-tax", "revenue", "SELECT 2 AS revenue\n-- breaks with tax\n").await;
    town.until_gated(&a).await;
    town.until_gated(&b).await;
    town.carol.approves(&a).await.unwrap();
    town.until_deployed(&a).await;
    town.carol.approves(&b).await.unwrap();
    town.until_check(&b, DEPLOY, CheckConclusion::Failure).await;
    town.until_quiet().await;
    let said = town.says(&b, DEPLOY);
    assert!(said.contains("test_revenue") && said.contains("Merge the base branch"), "{said}");
    assert_eq!(town.refusals(&b).last(), Some(&Reason::TestsFailed));
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_plan_that_changed_since_its_preview_asks_for_a_new_approval() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.is_changed_by_hand("prod", "orders", "SELECT 7 AS order_id\n");
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, DEPLOY, CheckConclusion::ActionRequired).await;
    town.until_quiet().await;
    let said = town.says(&pr, DEPLOY);
    assert!(said.contains("`orders`") && said.contains("approve again"), "{said}");
    assert_eq!(town.stages(&pr, Stage::ProdPlan), 2, "there is a new preview");
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::ActionRequired));
    assert_eq!(town.prod_applies(), 0, "nobody approved the new one");

    town.mallory.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0, "mallory may not");
    town.passes_a_second().await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert_eq!(town.in_prod("orders").unwrap(), "SELECT 1 AS order_id\n", "as main has it");
    town.finish().await;
}

#[tokio::test]
async fn a_plan_that_another_one_overtook_is_made_once_more() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    let same = town.in_prod("orders").unwrap();
    town.warehouse.is_changed_by_hand("prod", "orders", &same);
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert!(town.notes(&pr).contains("planning once more"), "{}", town.notes(&pr));
    assert_eq!(town.stages(&pr, Stage::Plan), 2);
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_plan_that_is_overtaken_again_is_given_up() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 -- conflicts\n").await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert_eq!(town.refusals(&pr).last(), Some(&Reason::Conflict));
    assert_eq!(town.stages(&pr, Stage::Apply), 2, "tried twice");
    assert_eq!(town.prod_applies(), 0);
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn without_a_merge_method_a_change_is_deployed_once_and_stays_open() {
    let mut policy = policy();
    policy.bot.merge_method = None;
    let town = Town::with(policy).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, DEPLOY, CheckConclusion::Success).await;
    town.until_quiet().await;
    assert!(town.says(&pr, DEPLOY).contains("Not merged"), "{}", town.says(&pr, DEPLOY));
    assert!(!town.see(&pr).is_merged());

    town.carol.approves(&pr).await.unwrap();
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_quiet().await;
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed], "once");
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn what_is_merged_by_hand_while_it_waits_is_not_called_deployed() {
    let town = Town::start().await;
    let a = town.gated_pr("add-tax", "revenue", "SELECT 2 -- conflicts\n").await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&a).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.carol.approves(&b).await.unwrap();
    town.until_says(&b, DEPLOY, "Waiting for prod").await;
    town.bob.merges_by_hand(&b).await.unwrap();
    town.warehouse.release();
    town.until_quiet().await;
    assert_eq!(town.conclusion(&b, DEPLOY), Some(CheckConclusion::Skipped));
    assert!(town.says(&b, DEPLOY).contains("the next deploy takes along what is missing"));
    assert_eq!(town.in_prod("orders").unwrap(), "SELECT 1 AS order_id\n", "prod was left alone");
    assert!(!town.warehouse.has("warehouse_2"), "its environment is gone all the same");
    town.finish().await;
}
