//! A change that is held, and what people are told about it.

use sluice::outcome::Reason;
use sluice_sim::PrSpec;
use sluice_sim::world::{CheckConclusion, Protection};

use crate::town::{APPROVAL, DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, TAXED, TESTS, Town};

#[tokio::test]
async fn a_change_that_nobody_approved_is_held() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    assert_eq!(town.conclusion(&pr, APPROVAL), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, APPROVAL).contains("Need a Required Approval"));
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert_eq!(town.warehouse.applied(), ["warehouse_1"], "prod was left alone");
    assert!(town.comment(&pr).contains("carol"), "{}", town.comment(&pr));
    town.finish().await;
}

/// Opens an approved pull request that has this mark in a model, and waits for its gate.
async fn approved(town: &Town, mark: &str) -> sluice_sim::Pr {
    let pr = town.pr("faulty", "revenue", &format!("SELECT 2 AS revenue {mark}\n")).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_gated(&pr).await;
    pr
}

/// A fault of the change: no deploy, although it is approved.
async fn is_held_by_its_gate(town: Town, pr: sluice_sim::Pr) {
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert!(town.refusals(&pr).contains(&Reason::GateFailed), "{:?}", town.refusals(&pr));
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn lint_errors_skip_the_environment_but_not_the_tests() {
    let town = Town::start().await;
    let pr = approved(&town, "-- fails lint").await;
    assert_eq!(town.conclusion(&pr, LINTER), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, LINTER).contains("revenue: no owner"), "{}", town.says(&pr, LINTER));
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Success));
    for check in [PR_ENVIRONMENT, PROD_PLAN] {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Skipped), "{check}");
    }
    is_held_by_its_gate(town, pr).await;
}

#[tokio::test]
async fn failing_unit_tests_are_named() {
    let town = Town::start().await;
    let pr = approved(&town, "-- fails test").await;
    assert_eq!(town.conclusion(&pr, LINTER), Some(CheckConclusion::Success));
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Failure));
    let said = town.says(&pr, TESTS);
    assert!(said.starts_with("Tests Failed"), "{said}");
    assert!(said.contains("test_revenue") && said.contains("expected 1, got 2"), "{said}");
    for check in [PR_ENVIRONMENT, PROD_PLAN] {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Skipped), "{check}");
    }
    is_held_by_its_gate(town, pr).await;
}

#[tokio::test]
async fn a_project_that_does_not_load_says_so() {
    let town = Town::start().await;
    let pr = approved(&town, "-- does not parse").await;
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, TESTS).contains("revenue does not parse"));
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Skipped));
    let open = town.see(&pr).checks.into_iter().find(|check| check.conclusion.is_none());
    assert!(open.is_none(), "a check is left open: {open:#?}");
    is_held_by_its_gate(town, pr).await;
}

#[tokio::test]
async fn uncategorized_models_need_somebody_to_act() {
    let town = Town::start().await;
    let pr = approved(&town, "-- uncategorized").await;
    assert_eq!(town.conclusion(&pr, PR_ENVIRONMENT), Some(CheckConclusion::ActionRequired));
    let said = town.says(&pr, PR_ENVIRONMENT);
    assert!(said.contains("revenue") && said.contains("sqlmesh plan"), "{said}");
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Skipped));
    is_held_by_its_gate(town, pr).await;
}

#[tokio::test]
async fn a_plan_error_is_shown_in_sqlmeshs_words() {
    let town = Town::start().await;
    let pr = approved(&town, "-- fails plan").await;
    assert_eq!(town.conclusion(&pr, PR_ENVIRONMENT), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, PR_ENVIRONMENT).contains("revenue cannot be planned"));
    is_held_by_its_gate(town, pr).await;
}

#[tokio::test]
async fn a_model_that_cannot_be_built_is_the_changes_fault() {
    let town = Town::start().await;
    let pr = town.gated_pr("faulty", "revenue", "SELECT 2 -- fails apply\n").await;
    assert_eq!(town.conclusion(&pr, PR_ENVIRONMENT), Some(CheckConclusion::Failure));
    assert!(town.says(&pr, PR_ENVIRONMENT).contains("division by zero"));
    assert_eq!(town.warehouse.calls("apply"), 1, "once: it would fail again");
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert_eq!(town.prod_applies(), 0);
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn a_check_of_another_app_blocks() {
    let town = Town::start().await;
    let required_checks = vec!["build".to_owned()];
    town.protects_main(Protection { required_checks, ..Protection::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, DEPLOY, CheckConclusion::Failure).await;
    town.until_quiet().await;
    assert!(town.says(&pr, DEPLOY).contains("`build`"), "{}", town.says(&pr, DEPLOY));
    assert!(town.comment(&pr).contains("`build`"), "{}", town.comment(&pr));
    assert!(town.refusals(&pr).contains(&Reason::Blocked));
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    town.finish().await;
}

#[tokio::test]
async fn our_own_checks_do_not_block() {
    let town = Town::start().await;
    let required_checks = [TESTS, APPROVAL, PROD_PLAN, DEPLOY].map(str::to_owned).into();
    town.protects_main(Protection { required_checks, ..Protection::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_conflict_with_main_is_told_with_what_to_do() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let other = [("models/revenue.sql", Some("SELECT 3 AS revenue\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &other).await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    town.until_check(&pr, DEPLOY, CheckConclusion::Failure).await;
    town.until_quiet().await;
    let said = town.says(&pr, DEPLOY);
    assert!(said.contains("conflicts") && said.contains("push"), "{said}");
    assert!(town.refusals(&pr).contains(&Reason::Dirty));
    assert_eq!(town.prod_applies(), 0);
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn a_head_that_conflicts_is_not_checked_but_told_so() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let other = [("models/revenue.sql", Some("SELECT 3 AS revenue\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &other).await.unwrap();
    let more = [("models/revenue.sql", Some("SELECT 4 AS revenue\n"))];
    town.alice.pushes(&pr, &more).await.unwrap();
    town.until_quiet().await;
    for check in [TESTS, PR_ENVIRONMENT, PROD_PLAN, DEPLOY] {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Failure), "{check}");
        assert!(town.says(&pr, check).contains("`models/revenue.sql`"), "{check}");
    }
    town.finish().await;
}

#[tokio::test]
async fn a_draft_is_not_deployed_until_it_is_ready() {
    let town = Town::start().await;
    let spec = PrSpec::new("add-tax").file("models/revenue.sql", TAXED).draft();
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&pr).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert!(town.refusals(&pr).contains(&Reason::Draft), "{:?}", town.refusals(&pr));
    assert!(town.says(&pr, DEPLOY).contains("draft"), "{}", town.says(&pr, DEPLOY));
    assert_eq!(town.prod_applies(), 0);

    town.alice.marks_ready(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}
