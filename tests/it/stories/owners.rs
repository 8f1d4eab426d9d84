//! Code owners: whose approval is needed beside the required approvers', and who cannot give it.

use sluice::outcome::Reason;
use sluice::policy::Policy;
use sluice::project::{OwnersApproval, Project};
use sluice_sim::world::{CheckConclusion, ReviewState, Team};
use sluice_sim::{Pr, PrSpec};

use crate::town::{APPROVAL, DEPLOY, Setup, TAXED, Town, policy};

/// A town that minds owners, and whose main has this CODEOWNERS file.
async fn town(owners: &str) -> Town {
    of(Setup::default(), owners).await
}

async fn of(setup: Setup, owners: &str) -> Town {
    let project = Project { code_owners: OwnersApproval::Required, ..setup.project.clone() };
    let town = Town::of(Setup { project, ..setup }).await;
    names_owners(&town, owners).await;
    town
}

/// Main has this file from now on.
async fn names_owners(town: &Town, owners: &str) {
    let files = [(".github/CODEOWNERS", Some(owners))];
    town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
}

/// Bob is in the team.
async fn bob_joins_the_team(town: &Town) {
    let members = vec!["bob".to_owned()];
    let (organization, slug) = ("acme".to_owned(), "data".to_owned());
    let team = Team { organization, slug, parent: None, members };
    let set = |world: &mut sluice_sim::World| {
        world.set_team(team);
        Ok(())
    };
    town.github.change(set).await.unwrap();
}

/// It is held back for the owners' sake; the check says so.
async fn is_held(town: &Town, pr: &Pr, says: &str) {
    town.until_quiet().await;
    assert_eq!(town.conclusion(pr, APPROVAL), Some(CheckConclusion::Failure));
    let said = town.says(pr, APPROVAL);
    assert!(said.contains(says), "{said}");
    assert!(town.refusals(pr).contains(&Reason::OwnersMissing), "{:?}", town.refusals(pr));
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    assert!(!town.see(pr).is_merged());
}

#[tokio::test]
async fn an_owners_approval_is_needed_beside_the_approvers() {
    let town = town("*.sql @bob\n").await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    is_held(&town, &pr, "`models/revenue.sql`: `@bob`").await;
    let said = town.says(&pr, APPROVAL);
    assert!(said.starts_with("Need an Approval of a Code Owner"), "{said}");
    assert!(said.contains("By `.github/CODEOWNERS` of `main`."), "{said}");
    assert!(town.says(&pr, DEPLOY).contains("`@bob` has to approve"), "{}", town.says(&pr, DEPLOY));

    town.bob.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    let said = town.says(&pr, APPROVAL);
    assert!(said.contains("Code owners who approved:\n\n- `bob`"), "{said}");
    town.finish().await;
}

#[tokio::test]
async fn an_owners_approval_alone_is_not_enough() {
    let town = town("*.sql @bob\n").await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.bob.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert!(town.refusals(&pr).contains(&Reason::NotApproved), "{:?}", town.refusals(&pr));
    assert_eq!(town.prod_applies(), 0);
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn who_is_owner_and_approver_approves_once() {
    let town = town("* @carol\n").await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_member_of_a_team_is_an_owner() {
    let town = town("*.sql @acme/data\n").await;
    bob_joins_the_team(&town).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    is_held(&town, &pr, "`models/revenue.sql`: `@acme/data`").await;
    town.mallory.approves(&pr).await.unwrap();
    is_held(&town, &pr, "`models/revenue.sql`: `@acme/data`").await;
    town.bob.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_team_that_may_not_be_read_approves_nothing() {
    let town = town("*.sql @acme/data\n").await;
    bob_joins_the_team(&town).await;
    let forbid = |world: &mut sluice_sim::World| {
        world.let_app_read_members(false);
        Ok(())
    };
    town.github.change(forbid).await.unwrap();
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.bob.approves(&pr).await.unwrap();
    is_held(&town, &pr, "cannot be read: the GitHub App lacks the permission members: read").await;
    town.finish().await;
}

#[tokio::test]
async fn a_change_that_names_its_own_owner_gains_nothing() {
    let town = town("* @bob\n").await;
    let spec = PrSpec::new("take-over")
        .file(".github/CODEOWNERS", "* @mallory\n")
        .file("models/revenue.sql", TAXED);
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&pr).await;
    town.carol.approves(&pr).await.unwrap();
    town.mallory.approves(&pr).await.unwrap();
    is_held(&town, &pr, "`.github/CODEOWNERS` and `models/revenue.sql`: `@bob`").await;
    town.finish().await;
}

#[tokio::test]
async fn an_author_who_is_the_only_owner_cannot_be_asked() {
    let town = town("*.sql @alice\n").await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    is_held(&town, &pr, "nobody is left who could approve").await;
    names_owners(&town, "*.sql @alice @bob\n").await;
    town.bob.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn an_owner_who_takes_it_back_while_the_plan_is_made_stops_the_apply() {
    let town = town("*.sql @bob\n").await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let review = town.bob.quietly().approves(&pr).await.unwrap();
    town.warehouse.hold_plans();
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_planning().await;
    town.carol.quietly().dismisses(&pr, review).await.unwrap();
    town.warehouse.let_all_plans_go();
    town.until_quiet().await;
    assert_eq!(town.refusals(&pr).last(), Some(&Reason::OwnersMissing));
    assert!(town.says(&pr, DEPLOY).contains("bob's review was dismissed"));
    assert_eq!(town.prod_applies(), 0, "prod was left alone");
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn an_owners_approval_is_for_the_head_that_was_seen() {
    let town = town("*.sql @bob\n").await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 AS revenue\n").await;
    town.bob.quietly().approves(&pr).await.unwrap();
    town.alice.pushes(&pr, &[("models/revenue.sql", Some(TAXED))]).await.unwrap();
    town.until_gated(&pr).await;
    town.carol.approves(&pr).await.unwrap();
    is_held(&town, &pr, "bob approved an older head").await;
    town.finish().await;
}

#[tokio::test]
async fn a_file_that_moves_away_still_needs_its_owner() {
    let town = town("/models/revenue.sql @bob\n").await;
    let spec = PrSpec::new("rename")
        .without("models/revenue.sql")
        .file("models/income.sql", "SELECT 1 AS revenue\n");
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    town.until_gated(&pr).await;
    town.carol.approves(&pr).await.unwrap();
    is_held(&town, &pr, "`models/revenue.sql`: `@bob`").await;
    town.finish().await;
}

#[tokio::test]
async fn where_only_a_command_deploys_the_owners_are_asked_all_the_same() {
    let policy = Policy { approvers: vec![], ..policy() };
    let town = of(Setup { policy, ..Setup::default() }, "*.sql @bob\n").await;
    town.carol.joins(&town.repository, sluice_sim::world::Role::Maintain).await.unwrap();
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    is_held(&town, &pr, "`models/revenue.sql`: `@bob`").await;
    town.bob.approves(&pr).await.unwrap();
    town.until_check(&pr, APPROVAL, CheckConclusion::Success).await;
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_project_that_does_not_mind_asks_nobody() {
    let town = Town::start().await;
    names_owners(&town, "*.sql @bob\n").await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.bob.reviews(&pr, ReviewState::Commented).await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert!(!town.says(&pr, APPROVAL).contains("owner"), "{}", town.says(&pr, APPROVAL));
    town.finish().await;
}
