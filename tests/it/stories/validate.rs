//! Between the plan and the apply everything is read again: what changed meanwhile counts.

use std::time::Duration;

use sluice::outcome::{Reason, Stage};
use sluice_sim::Pr;

use crate::town::{Setup, TAXED, Town};

/// An approved pull request whose plan is made, while GitHub does not say yet whether it merges.
async fn planned() -> (Town, Pr) {
    let mergeability_patience = Duration::from_secs(20);
    let town = Town::of(Setup { mergeability_patience, ..Setup::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.mergeability_stuck = true).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_stage(&pr, Stage::Validate).await;
    (town, pr)
}

/// GitHub says that it merges; it is not deployed all the same.
async fn is_refused(town: Town, pr: &Pr, reason: Reason) {
    town.spoils(|faults| faults.mergeability_stuck = false).await;
    town.until_quiet().await;
    assert!(town.refusals(pr).contains(&reason), "{:?}", town.refusals(pr));
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    assert!(!town.see(pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn an_approval_that_is_taken_back_after_the_plan_stops_the_deploy() {
    let (town, pr) = planned().await;
    town.carol.quietly().requests_changes(&pr).await.unwrap();
    is_refused(town, &pr, Reason::NotApproved).await;
}

#[tokio::test]
async fn a_head_that_moves_after_the_plan_stops_the_deploy() {
    let (town, pr) = planned().await;
    let files = [("models/revenue.sql", Some("SELECT 9 AS revenue\n"))];
    town.alice.quietly().pushes(&pr, &files).await.unwrap();
    is_refused(town, &pr, Reason::HeadMoved).await;
}

#[tokio::test]
async fn a_policy_that_changes_after_the_plan_is_obeyed() {
    let (town, pr) = planned().await;
    let new = sluice::policy::Policy { approvers: vec![], ..crate::town::policy() };
    let text = crate::town::written(&new);
    let files = [("config.yaml", Some(text.as_str()))];
    town.bob.quietly().pushes_to_branch(&town.repository, "main", &files).await.unwrap();
    is_refused(town, &pr, Reason::GateMissing).await;
}
