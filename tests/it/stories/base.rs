//! A base branch that moves under a deploy, and a plan that changes under an approval.

use std::time::Duration;

use sluice::outcome::{Reason, Stage};
use sluice_sim::PrSpec;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::CheckConclusion;

use crate::town::{DEPLOY, TAXED, Town};

const RENAMED: &str = "SELECT 1 AS id\n";

/// Bob pushes to main what belongs to the project and is no model.
async fn main_moves(town: &Town, text: &str) {
    let files = [("tests/notes.yaml", Some(text))];
    town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
}

#[tokio::test]
async fn a_base_that_moves_during_the_plan_is_planned_on_once_more() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_plans();
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_planning().await;
    main_moves(&town, "one").await;
    town.warehouse.let_plan_go();
    town.warehouse.until_planning().await;
    town.warehouse.let_plan_go();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.stages(&pr, Stage::Plan), 2);
    assert_eq!(town.stages(&pr, Stage::Test), 2, "the second plan's tree was tested too");
    assert_eq!(town.prod_applies(), 1);
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    assert!(town.says(&pr, DEPLOY).starts_with("Deployed to Prod"), "the merged tree was planned");
    town.finish().await;
}

#[tokio::test]
async fn a_base_that_keeps_moving_is_given_up() {
    let town = Town::start().await;
    let a = town.gated_pr("add-tax", "revenue", TAXED).await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    town.warehouse.hold_plans();
    town.carol.approves(&a).await.unwrap();
    for text in ["one", "two", "three"] {
        town.warehouse.until_planning().await;
        main_moves(&town, text).await;
        town.warehouse.let_plan_go();
    }
    town.until_quiet().await;
    assert_eq!(town.stages(&a, Stage::Plan), 3);
    assert_eq!(town.refusals(&a).last(), Some(&Reason::BaseMoved));
    assert_eq!(town.prod_applies(), 0);
    assert!(!town.see(&a).is_merged());

    town.carol.approves(&b).await.unwrap();
    town.warehouse.until_planning().await;
    town.warehouse.let_plan_go();
    town.until_deployed(&b).await;
    town.finish().await;
}

#[tokio::test]
async fn an_approval_is_not_taken_for_one_of_a_plan_that_was_previewed_after_it() {
    let town = Town::start().await;
    let spec = PrSpec::new("add-tax").file("models/revenue.sql", "SELECT 2 -- conflicts\n");
    let a = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    let b = town.pr("rename", "orders", RENAMED).await;
    town.until_gated(&a).await;
    town.until_gated(&b).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&a).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.carol.approves(&b).await.unwrap();
    town.until_says(&b, DEPLOY, "Waiting for prod").await;

    // Deploying `b` would remove it now, and its second preview says so.
    town.warehouse.is_changed_by_hand("prod", "by_hand", "SELECT 1 AS one\n");
    town.alice.reruns_checks(&b).await.unwrap();
    let seen = |seen: &sluice_sim::PrSnapshot| {
        let plan = seen.check(crate::town::PROD_PLAN)?;
        let summary = plan.summary.as_ref()?;
        (plan.conclusion.is_some() && summary.contains("by_hand")).then_some(())
    };
    town.until(&b, "a second preview", seen).await;
    town.warehouse.release();
    town.until_quiet().await;
    assert_eq!(town.stages(&b, Stage::Apply), 0, "nobody approved what it would do now");
    assert_eq!(town.prod_applies(), 0);
    assert!(!town.see(&b).is_merged());

    town.passes_a_second().await;
    town.carol.approves(&b).await.unwrap();
    town.until_deployed(&b).await;
    assert_eq!(town.in_prod("by_hand"), None);
    town.finish().await;
}

#[tokio::test]
async fn a_refusal_that_could_not_be_shown_is_shown_later() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_plans();
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_planning().await;
    town.warehouse.is_changed_by_hand("prod", "orders", "SELECT 7 AS order_id\n");
    let limited = Answer::RateLimited { status: 429, retry_after: Some(Duration::from_secs(1)) };
    town.spoils(move |faults| {
        faults.answer(Matching::GraphQl("updateCheckRun".to_owned()), 2, limited);
    })
    .await;
    town.warehouse.let_all_plans_go();
    town.until_check(&pr, DEPLOY, CheckConclusion::ActionRequired).await;
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::ActionRequired));
    assert_eq!(town.prod_applies(), 0, "nobody approved the new plan");
    town.finish().await;
}
