//! Prod is kept for whoever applied to it, until main has the change or prod turns out to lack it.

use std::time::Duration;

use sluice::lease::Standing;
use sluice::observe::{LeaseEnd, What};
use sluice::outcome::{DeployOutcome, Stage};
use sluice_sim::faults::MergeFault;
use sluice_sim::world::{CheckConclusion, CheckRunChange, NewCheckRun, Protection};
use sluice_sim::{Pr, World};

use crate::town::{Answers, DEPLOY, PROD_PLAN, Setup, TAXED, Town};

pub(super) const RENAMED: &str = "SELECT 1 AS id\n";
pub(super) const RESERVED: &str = r#"sluice_applied_not_merged{project="warehouse"}"#;

/// A town in which a deploy that cannot be merged is tried again so often.
pub(super) async fn town(retries: usize) -> Town {
    Town::of(Setup { merge_patience: Duration::ZERO, retries, ..Setup::default() }).await
}

/// GitHub refuses every merge.
pub(super) async fn merges_are_refused(town: &Town) {
    town.spoils(|faults| faults.merges.extend([MergeFault::NotMergeable; 1000])).await;
}

/// GitHub refuses one more merge, so that one more try begins.
async fn merges_are_accepted_after_one(town: &Town) {
    town.spoils(|faults| faults.merges.truncate(1)).await;
}

pub(super) async fn prod_is_reserved(town: &Town) {
    let held = town.held().await;
    let prod = held.iter().find(|lease| lease.key.to_string().ends_with("/prod"));
    assert!(prod.is_some(), "prod is nobody's: {held:#?}");
    assert_eq!(town.metric(RESERVED).as_deref(), Some("1"));
}

/// Deployed once, merged in the end, never told to be refused.
async fn is_deployed_after_all(town: Town, pr: &Pr) {
    town.until_deployed(pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1, "one apply");
    assert_eq!(town.deploys(pr), [DeployOutcome::Deployed]);
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    town.finish().await;
}

#[tokio::test]
async fn a_merge_goes_on_when_the_approval_is_taken_back() {
    let town = town(500).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    merges_are_refused(&town).await;
    let review = town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    town.bob.dismisses(&pr, review).await.unwrap();
    prod_is_reserved(&town).await;
    merges_are_accepted_after_one(&town).await;
    is_deployed_after_all(town, &pr).await;
}

/// GitHub's hour is nearly used up: 2 % are left, which are for merges alone.
async fn little_is_left_of_the_hour(town: &Town) {
    let use_up = |world: &mut World| {
        world.rate_limit().used = 4_900;
        Ok(())
    };
    town.github.change(use_up).await.unwrap();
}

#[tokio::test]
async fn a_merge_that_is_tried_again_goes_before_everything_else() {
    let town = town(500).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    merges_are_refused(&town).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    little_is_left_of_the_hour(&town).await;
    merges_are_accepted_after_one(&town).await;
    // What comes after it has to wait for the next hour.
    town.until_deployed(&pr).await;
}

#[tokio::test]
async fn what_prod_runs_is_merged_and_told_with_the_last_of_an_hour() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    little_is_left_of_the_hour(&town).await;
    town.warehouse.release();
    town.until_deployed(&pr).await;
}

/// A check of another app on the pull request's head.
async fn build_ends(town: &Town, pr: &Pr, conclusion: CheckConclusion) {
    let (repository, commit) = (town.repository.clone(), town.see(pr).head.to_string());
    let change = CheckRunChange { conclusion: Some(conclusion), ..CheckRunChange::default() };
    let run = NewCheckRun { name: "build".to_owned(), commit, change };
    let report = move |world: &mut World| world.report_check("builder", &repository, run);
    town.github.change(report).await.unwrap();
}

#[tokio::test]
async fn a_merge_goes_on_when_a_required_check_turns_red() {
    let town = town(500).await;
    let required_checks = vec!["build".to_owned()];
    town.protects_main(Protection { required_checks, ..Protection::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    build_ends(&town, &pr, CheckConclusion::Success).await;
    merges_are_refused(&town).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    build_ends(&town, &pr, CheckConclusion::Failure).await;
    town.spoils(|faults| faults.merges.clear()).await;
    let refused = |seen: &sluice_sim::PrSnapshot| {
        let summary = seen.check(DEPLOY)?.summary.as_ref()?;
        summary.contains("build").then_some(())
    };
    town.until(&pr, "GitHub names the check", refused).await;
    prod_is_reserved(&town).await;
    build_ends(&town, &pr, CheckConclusion::Success).await;
    is_deployed_after_all(town, &pr).await;
}

/// Somebody else's change gets prod, and is the last to be there.
pub(super) async fn the_next_deploys(town: Town, next: &Pr, dead: usize) {
    town.until_deployed(next).await;
    town.until_quiet().await;
    assert_eq!(town.in_prod("orders").unwrap(), RENAMED);
    assert_eq!(town.metric(RESERVED).as_deref(), Some("0"));
    assert!(town.held().await.is_empty(), "{:#?}", town.held().await);
    town.finish_with(dead).await;
}

#[tokio::test]
async fn merged_by_hand_between_two_tries_frees_prod() {
    let town = town(500).await;
    let a = town.gated_pr("add-tax", "revenue", TAXED).await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    merges_are_refused(&town).await;
    town.carol.approves(&a).await.unwrap();
    town.until_says(&a, DEPLOY, "Deployed, not merged").await;
    is_merged_by_hand(&town, &a).await;
    town.until_check(&a, DEPLOY, CheckConclusion::Success).await;
    town.carol.approves(&b).await.unwrap();
    the_next_deploys(town, &b, 0).await;
}

#[tokio::test]
async fn merged_by_hand_after_the_last_try_frees_prod() {
    let town = town(1).await;
    let a = town.gated_pr("add-tax", "revenue", TAXED).await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    merges_are_refused(&town).await;
    town.carol.approves(&a).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.held().await[0].standing, Standing::Reserved);
    is_merged_by_hand(&town, &a).await;
    town.until_quiet().await;
    town.carol.approves(&b).await.unwrap();
    the_next_deploys(town, &b, 1).await;
}

/// Bob presses the button, which works for him.
pub(super) async fn is_merged_by_hand(town: &Town, pr: &Pr) {
    let by_hand = pr.clone();
    let merge = move |world: &mut World| {
        world.faults.merges.clear();
        let bob = sluice_sim::world::Identity::user("bob");
        world.merge(&bob, &by_hand, &sluice_sim::world::MergeRequest::default())
    };
    town.github.change(merge).await.unwrap();
}

#[tokio::test]
async fn an_apply_that_fails_after_it_promoted_is_finished_by_its_next_try() {
    let town = town(1).await;
    let sql = "SELECT 2 -- fails after promote\n";
    let a = town.gated_pr("add-tax", "revenue", sql).await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    town.carol.approves(&a).await.unwrap();
    town.until_deployed(&a).await;
    town.until_quiet().await;
    assert_eq!(town.stages(&a, Stage::Apply), 1, "the second try had nothing to apply");
    assert!(town.notes(&a).contains("prod is kept"), "{}", town.notes(&a));
    assert_eq!(town.in_prod("revenue").unwrap(), sql);
    assert_eq!(town.on_main("revenue").unwrap(), sql);
    drop(b);
    town.finish().await;
}

#[tokio::test]
async fn an_apply_that_fails_before_it_promotes_frees_prod() {
    let town = town(1).await;
    let a = town.gated_pr("add-tax", "revenue", "SELECT 2 -- fails in prod\n").await;
    let b = town.gated_pr("rename", "orders", RENAMED).await;
    town.carol.approves(&a).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.deploys(&a), [DeployOutcome::Failed]);
    assert_eq!(town.stages(&a, Stage::Apply), 2, "tried again");
    town.carol.approves(&b).await.unwrap();
    the_next_deploys(town, &b, 1).await;
}

#[tokio::test]
async fn nothing_is_applied_before_the_store_knows_that_prod_is_kept() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.leases.answers_renewals(Answers::No);
    town.carol.approves(&pr).await.unwrap();
    town.until_told(&pr, |what| {
        matches!(what, What::LeaseEnded { key, end: LeaseEnd::Lost, .. } if key.ends_with("/prod"))
    })
    .await;
    assert_eq!(town.prod_applies(), 0, "it was applied while prod was anybody's");
    town.leases.answers_renewals(Answers::Yes);
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_preview_of_two_moments_needs_no_second_approval() {
    let town = town(500).await;
    let a = town.gated_pr("add-tax", "revenue", TAXED).await;
    merges_are_refused(&town).await;
    town.carol.approves(&a).await.unwrap();
    town.until_says(&a, DEPLOY, "Deployed, not merged").await;
    // Prod has the tax and main lacks it: the preview says that it is taken back.
    let b = town.pr("rename", "orders", RENAMED).await;
    town.until_check(&b, PROD_PLAN, CheckConclusion::Success).await;
    let preview = town.says(&b, PROD_PLAN);
    assert!(preview.contains("revenue") && preview.contains("orders"), "{preview}");
    town.carol.approves(&b).await.unwrap();
    merges_are_accepted_after_one(&town).await;
    town.until_deployed(&a).await;
    town.until_deployed(&b).await;
    town.until_quiet().await;
    assert_eq!(town.in_prod("revenue").unwrap(), TAXED, "it was not taken back");
    assert_eq!(town.in_prod("orders").unwrap(), RENAMED);
    assert_eq!(town.refusals(&b), [], "its plan does nothing that was not previewed");
    town.finish().await;
}
