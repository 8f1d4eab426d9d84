//! What a pull request leaves behind when it is closed, and that it comes back.

use sluice_sim::world::CheckConclusion;

use crate::town::{PR_ENVIRONMENT, TAXED, Town};

#[tokio::test]
async fn the_environment_of_a_closed_pull_request_is_removed_and_comes_back_with_it() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    assert!(town.warehouse.has("warehouse_1"));
    town.alice.closes(&pr).await.unwrap();
    town.until_quiet().await;
    assert!(!town.warehouse.has("warehouse_1"), "removed");

    town.alice.reopens(&pr).await.unwrap();
    town.until_quiet().await;
    assert!(town.warehouse.has("warehouse_1"), "it is back");
    assert_eq!(town.conclusion(&pr, PR_ENVIRONMENT), Some(CheckConclusion::Success));
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn an_approval_of_a_closed_pull_request_deploys_nothing() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    town.alice.closes(&pr).await.unwrap();
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0);
    town.finish().await;
}

#[tokio::test]
async fn what_is_merged_by_hand_leaves_nothing_behind() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.bob.merges_by_hand(&pr).await.unwrap();
    town.until_quiet().await;
    assert!(!town.warehouse.has("warehouse_1"), "removed");
    assert_eq!(town.prod_applies(), 0);
    town.finish().await;
}
