//! `/deploy`: who may, of which head, and what becomes of everybody else's.

use sluice::observe::What;
use sluice::outcome::Reason;
use sluice::policy::Policy;
use sluice_sim::world::{CheckConclusion, ReactionContent, Role};
use sluice_sim::{Pr, PrSnapshot};

use crate::town::{APPROVAL, TAXED, Town, policy};

fn without_approvers() -> Policy {
    Policy { approvers: Vec::new(), ..policy() }
}

/// Prod and main are as they were, and nobody was told otherwise.
async fn is_refused(town: Town, pr: &Pr, reason: Reason) {
    town.until_quiet().await;
    assert!(town.refusals(pr).contains(&reason), "{}", town.all());
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    assert!(!town.see(pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn a_strangers_command_is_refused() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let comment = town.commands(&town.mallory, &pr, "/deploy").await;
    town.until_quiet().await;
    let seen = town.see(&pr);
    let command = seen.comments.iter().find(|one| one.id == comment).unwrap();
    assert_eq!(command.reactions[0].1, ReactionContent::Eyes, "it was seen");
    let said = town.comment(&pr);
    assert!(said.contains("mallory may not deploy") && said.contains("carol"), "{said}");
    is_refused(town, &pr, Reason::MayNotDeploy).await;
}

#[tokio::test]
async fn a_stranger_does_not_talk_over_a_deploy() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    let before = town.comment(&pr);
    assert!(before.contains("**Applying**"), "{before}");
    town.commands(&town.mallory, &pr, "/deploy").await;
    let refused = |what: &What| matches!(what, What::Refused(_));
    town.until_told(&pr, refused).await;
    let eyes =
        |seen: &PrSnapshot| seen.comments.iter().any(|c| !c.reactions.is_empty()).then_some(());
    town.until(&pr, "the command to be seen", eyes).await;
    assert_eq!(town.comment(&pr), before);
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn an_approvers_command_counts_as_the_approval() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.commands(&town.carol, &pr, " /deploy \n").await;
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, APPROVAL), Some(CheckConclusion::Success));
    assert_eq!(town.in_prod("revenue").unwrap(), TAXED);
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    town.finish().await;
}

#[tokio::test]
async fn an_approvers_command_does_not_approve_the_own_change() {
    let town = Town::start().await;
    let spec = sluice_sim::PrSpec::new("add-tax").file("models/revenue.sql", TAXED);
    let pr = town.carol.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&pr).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    is_refused(town, &pr, Reason::NotApproved).await;
}

#[tokio::test]
async fn a_command_before_the_gate_is_done_waits_for_it() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_a_command_waits(&pr).await;
    assert_eq!(town.prod_applies(), 0);
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_command_that_was_edited_while_it_waits_is_none() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    let comment = town.commands(&town.carol, &pr, "/deploy").await;
    town.until_a_command_waits(&pr).await;
    town.carol.edits_comment(&pr, comment, "/deploy\n").await.unwrap();
    town.warehouse.release();
    is_refused(town, &pr, Reason::CommandStale).await;
}

#[tokio::test]
async fn a_comment_that_becomes_a_command_later_is_none() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let comment = town.carol.comments(&pr, "nice").await.unwrap();
    town.carol.edits_comment(&pr, comment, "/deploy").await.unwrap();
    town.commands(&town.carol, &pr, "please /deploy").await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_command_that_is_older_than_the_push_is_stale() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.webhooks.push_back(sluice_sim::faults::WebhookFault::Drop)).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    let guid = town.github.world(|world| world.deliveries().all().last().unwrap().guid.clone());
    let files = [("models/revenue.sql", Some("SELECT 9 AS revenue\n"))];
    town.alice.pushes(&pr, &files).await.unwrap();
    town.until_gated(&pr).await;
    town.github.redeliver(&guid).unwrap();
    is_refused(town, &pr, Reason::CommandStale).await;
}

#[tokio::test]
async fn a_push_after_a_command_needs_a_new_one() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_a_command_waits(&pr).await;
    let files = [("models/revenue.sql", Some("SELECT 9 AS revenue\n"))];
    town.alice.pushes(&pr, &files).await.unwrap();
    town.warehouse.release();
    town.until_gated(&pr).await;
    is_refused(town, &pr, Reason::NotApproved).await;
}

#[tokio::test]
async fn a_command_carries_the_namespace() {
    let mut policy = policy();
    policy.bot.command_namespace = Some("#sqlmesh".to_owned());
    let town = Town::with(policy).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0, "that is another bot's");
    town.commands(&town.carol, &pr, "#sqlmesh/deploy").await;
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_command_that_is_off_is_refused() {
    let mut policy = policy();
    policy.bot.enable_deploy_command = false;
    let town = Town::with(policy).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    is_refused(town, &pr, Reason::CommandDisabled).await;
}

#[tokio::test]
async fn without_approvers_the_role_decides() {
    let town = Town::with(without_approvers()).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.commands(&town.mallory, &pr, "/deploy").await;
    town.until_quiet().await;
    assert!(town.refusals(&pr).contains(&Reason::MayNotDeploy));
    assert_eq!(town.prod_applies(), 0, "write is not enough");
    assert!(town.comment(&pr).contains("maintain"), "{}", town.comment(&pr));

    town.bob.joins(&town.repository, Role::Maintain).await.unwrap();
    town.commands(&town.bob, &pr, "/deploy").await;
    town.until_deployed(&pr).await;
    assert!(town.see(&pr).check(APPROVAL).is_none(), "there is nobody to approve");
    town.finish().await;
}
