//! Whose approval counts, and of what.

use sluice::names::Login;
use sluice::outcome::Reason;
use sluice::policy::Policy;
use sluice::project::{OldHead, Project};
use sluice_sim::world::{CheckConclusion, ReviewState};
use sluice_sim::{Pr, PrSpec};

use crate::town::{APPROVAL, Setup, TAXED, Town, policy, written};

/// Something happens on the pull request that makes sluice look; then it is still held.
async fn is_held(town: Town, pr: &Pr) {
    town.bob.reviews(pr, ReviewState::Commented).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.conclusion(pr, APPROVAL), Some(CheckConclusion::Failure));
    assert!(town.refusals(pr).contains(&Reason::NotApproved), "{:?}", town.refusals(pr));
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    assert!(!town.see(pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn an_approval_of_somebody_who_is_no_approver_does_not_count() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.mallory.approves(&pr).await.unwrap();
    is_held(town, &pr).await;
}

#[tokio::test]
async fn an_approval_of_an_account_that_is_gone_does_not_count() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    town.carol.leaves_github().await.unwrap();
    is_held(town, &pr).await;
}

#[tokio::test]
async fn a_later_no_takes_the_approval_back() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    town.carol.requests_changes(&pr).await.unwrap();
    is_held(town, &pr).await;
}

#[tokio::test]
async fn a_dismissed_approval_does_not_count() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let review = town.carol.quietly().approves(&pr).await.unwrap();
    town.bob.dismisses(&pr, review).await.unwrap();
    is_held(town, &pr).await;
}

#[tokio::test]
async fn an_approval_taken_back_while_the_plan_is_made_stops_the_apply() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let other = town.gated_pr("rename", "orders", "SELECT 2 AS order_id\n").await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&other).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, crate::town::DEPLOY, "Waiting for prod").await;
    town.carol.quietly().requests_changes(&pr).await.unwrap();
    town.warehouse.release();
    town.until_deployed(&other).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1, "only the other one");
    assert!(town.refusals(&pr).contains(&Reason::NotApproved), "{:?}", town.refusals(&pr));
    town.finish().await;
}

/// Approved, and then pushed to.
async fn approved_then_pushed(town: &Town) -> Pr {
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 AS revenue\n").await;
    town.carol.quietly().approves(&pr).await.unwrap();
    town.alice.pushes(&pr, &[("models/revenue.sql", Some(TAXED))]).await.unwrap();
    town.until_gated(&pr).await;
    pr
}

#[tokio::test]
async fn an_approval_is_for_the_head_that_was_seen() {
    let town = Town::start().await;
    let pr = approved_then_pushed(&town).await;
    assert!(town.says(&pr, APPROVAL).contains("older head"), "{}", town.says(&pr, APPROVAL));
    is_held(town, &pr).await;
}

#[tokio::test]
async fn an_approval_of_an_older_head_counts_where_the_operator_says_so() {
    let setup = Setup::default();
    let project = Project { approval_on_old_head: OldHead::Accept, ..setup.project };
    let town = Town::of(Setup { project, ..Setup::default() }).await;
    let pr = approved_then_pushed(&town).await;
    town.until_deployed(&pr).await;
    assert_eq!(town.in_prod("revenue").unwrap(), TAXED);
    town.finish().await;
}

#[tokio::test]
async fn a_change_that_names_its_own_approver_is_not_obeyed() {
    let town = Town::start().await;
    let own = Policy { approvers: vec![Login::new("mallory")], ..policy() };
    let spec = PrSpec::new("take-over")
        .file("config.yaml", &written(&own))
        .file("models/revenue.sql", TAXED);
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&pr).await;
    town.mallory.approves(&pr).await.unwrap();
    town.commands(&town.mallory, &pr, "/deploy").await;
    town.until_quiet().await;
    let says = town.says(&pr, APPROVAL);
    let told = "changes `config.yaml`. Approvers and bot options are those of `main` until it is";
    assert!(says.contains(told), "{says}");
    is_held(town, &pr).await;
}

#[tokio::test]
async fn a_new_policy_on_main_needs_a_new_gate() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let new = Policy { approvers: vec![Login::new("bob")], ..policy() };
    let files = [("config.yaml", written(&new))];
    let files = files.each_ref().map(|(path, text)| (*path, Some(text.as_str())));
    town.carol.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
    let before = town.warehouse.calls("test");
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0, "carol is no approver any more");
    assert_eq!(town.warehouse.calls("test"), before + 1, "the gate ran again");

    town.bob.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}
