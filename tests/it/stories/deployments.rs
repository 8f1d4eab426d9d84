//! GitHub's own history of deploys: one entry for each that began to apply, and none left open.

use std::time::Duration;

use sluice::lease::Standing;
use sluice::outcome::{DeployOutcome, Stage};
use sluice::pipeline::{Signals, perform};
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{DeploymentState, Identity, Protection, WorldError};
use sluice_sim::{Pr, RepositoryName, World};

use super::kept;
use crate::town::{DEPLOY, PATIENCE, Setup, TAXED, Town};

/// What GitHub's history has of a town: commit, environment, all states, the last words.
type Entries = Vec<(String, String, Vec<DeploymentState>, String)>;

fn entries(town: &Town) -> Entries {
    let of = |world: &World| {
        let all = world.repository(&town.repository).unwrap().deployments.iter();
        let entry = |one: &sluice_sim::world::Deployment| {
            let states = one.statuses.iter().map(|status| status.state).collect();
            let said = one.statuses.last().map(|status| status.description.clone());
            (one.commit.to_string(), one.environment.clone(), states, said.unwrap_or_default())
        };
        all.map(entry).collect()
    };
    town.github.world(of)
}

/// Says something of the newest entry, as we do.
pub(super) fn says(
    world: &mut World,
    repository: &RepositoryName,
    state: DeploymentState,
) -> Result<u64, WorldError> {
    let newest = world.repository(repository)?.deployments.last().map(|one| one.id);
    let said = serde_json::json!({ "state": state });
    let said = serde_json::from_value(said).map_err(|_| WorldError::NotFound)?;
    world.tell_deployment(&Identity::App, (repository, newest.unwrap_or_default()), said)
}

fn states(town: &Town) -> Vec<Vec<DeploymentState>> {
    entries(town).into_iter().map(|(.., states, _)| states).collect()
}

use DeploymentState::{Error, Failure, InProgress, Success};

#[tokio::test]
async fn a_deploy_is_one_entry_that_says_how_it_ended() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    assert_eq!(entries(&town), []);
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    let merged = town.see(&pr).merged_as.unwrap().to_string();
    let said = format!("Deployed, and merged as {}", &merged[..7]);
    let head = town.head(&pr).to_string();
    assert_eq!(entries(&town), [(head, "prod".to_owned(), vec![InProgress, Success], said)]);
    town.finish().await;
}

#[tokio::test]
async fn a_project_that_shares_its_repository_has_an_environment_of_its_own() {
    let town = Town::of(Setup::monorepo()).await;
    let spec = sluice_sim::PrSpec::new("add-tax").file("finance/models/revenue.sql", TAXED);
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    let environments: Vec<_> = entries(&town).into_iter().map(|entry| entry.1).collect();
    assert_eq!(environments, ["prod (finance)"]);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_is_refused_before_its_apply_has_none() {
    let town = Town::start().await;
    let required_checks = vec!["build".to_owned()];
    town.protects_main(Protection { required_checks, ..Protection::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.deploys(&pr), [DeployOutcome::Refused]);
    assert_eq!(entries(&town), []);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_fails_says_so_when_it_is_tried_no_more() {
    let town = kept::town(1).await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 -- fails in prod\n").await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.stages(&pr, Stage::Apply), 2, "tried again");
    assert_eq!(states(&town), [vec![InProgress, Error]]);
    town.finish_with(1).await;
}

#[tokio::test]
async fn what_is_deployed_and_not_merged_is_in_progress_until_it_is() {
    let town = kept::town(500).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    kept::merges_are_refused(&town).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    assert_eq!(states(&town), [vec![InProgress]]);
    town.spoils(|faults| faults.merges.truncate(1)).await;
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Success]]);
    town.finish().await;
}

#[tokio::test]
async fn what_is_never_merged_is_deployed_all_the_same() {
    let town = kept::town(0).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    kept::merges_are_refused(&town).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    let (.., states, said) = entries(&town).remove(0);
    assert_eq!(states, [InProgress, Success]);
    assert!(said.starts_with("Deployed, not merged: "), "{said}");
    // Then it is merged by hand, and the history hears of it.
    kept::is_merged_by_hand(&town, &pr).await;
    town.until_quiet().await;
    let (.., states, said) = entries(&town).remove(0);
    assert_eq!(states, [InProgress, Success, Success]);
    assert!(said.starts_with("Deployed, and merged as "), "{said}");
    town.finish_with(1).await;
}

/// A deploy whose worker dies in the middle of its apply, when the history says that it began.
async fn dies_in_its_apply(town: &mut Town, pr: &Pr) {
    town.shutdown.drain.cancel();
    town.is_left_by_its_worker().await;
    town.warehouse.hold_apply("prod");
    town.carol.quietly().approves(pr).await.unwrap();
    let (deps, deploy) = (town.deps.clone(), town.deploy_of(pr, &town.head(pr)));
    let run = async move { Box::pin(perform(&deps, &deploy, 0, Signals::default())).await };
    let job = tokio::spawn(run);
    let begun = |world: &World| {
        let all = &world.repository(&town.repository).unwrap().deployments;
        all.last().filter(|one| one.state() == InProgress).map(|_| ())
    };
    town.github.until(PATIENCE, begun).await.unwrap();
    town.warehouse.until_applying("prod").await;
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    town.warehouse.release();
    assert_eq!(states(town), [vec![InProgress]]);
}

#[tokio::test]
async fn whoever_takes_up_a_deploy_takes_up_its_entry() {
    let mut town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    dies_in_its_apply(&mut town, &pr).await;
    town.is_followed_by_another_worker().await;
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Success]]);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_is_taken_up_and_refused_ends_in_the_history() {
    let mut town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    dies_in_its_apply(&mut town, &pr).await;
    let head = town.head(&pr);
    town.alice.quietly().closes(&pr).await.unwrap();
    town.is_followed_by_another_worker().await;
    town.is_asked_to_deploy(&pr, &head).await;
    town.until_told(&pr, |what| matches!(what, sluice::observe::What::DeployEnded(_))).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Failure]]);
    town.finish_with(0).await;
}

#[tokio::test]
async fn a_deploy_that_a_newer_head_replaces_ends_in_the_history() {
    let mut town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    dies_in_its_apply(&mut town, &pr).await;
    let head = town.head(&pr);
    let more = [("models/orders.sql", Some("SELECT 3 AS order_id\n"))];
    town.alice.pushes(&pr, &more).await.unwrap();
    town.is_followed_by_another_worker().await;
    town.is_asked_to_deploy(&pr, &head).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Error]]);
    town.finish_with(0).await;
}

#[tokio::test]
async fn a_deploy_that_is_cancelled_goes_on_under_its_entry() {
    let mut town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.shutdown.cut.cancel();
    town.is_followed_by_another_worker().await;
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Success]]);
    town.finish().await;
}

#[tokio::test]
async fn a_history_that_does_not_answer_keeps_no_merge_waiting() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| {
        let create = Matching::Rest { method: "POST".to_owned(), path: "/deployments".to_owned() };
        faults.answer(create, 1, Answer::SlowAfterEffect(2 * PATIENCE));
    })
    .await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [[Success]], "it is found, and concluded");
    town.finish().await;
}

#[tokio::test]
async fn who_may_not_write_deployments_deploys_all_the_same() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| {
        for method in ["GET", "POST"].map(str::to_owned) {
            let matching = Matching::Rest { method, path: "/deployments".to_owned() };
            faults.answer(matching, 1000, Answer::Status(403));
        }
    })
    .await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert!(town.notes(&pr).contains("GitHub's deployments do not show"), "{}", town.notes(&pr));
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    town.finish().await;
}

#[tokio::test]
async fn an_end_that_could_not_be_told_is_told_by_the_next_try() {
    let town = Town::of(Setup { merge_patience: Duration::ZERO, ..Setup::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    let begun = |world: &World| {
        let all = &world.repository(&town.repository).unwrap().deployments;
        all.last().filter(|one| one.state() == InProgress).map(|_| ())
    };
    town.github.until(PATIENCE, begun).await.unwrap();
    town.spoils(|faults| {
        let matching = Matching::Rest { method: "POST".to_owned(), path: "/statuses".to_owned() };
        faults.answer(matching, 3, Answer::Status(502));
    })
    .await;
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Success]]);
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_is_told_by_its_check_is_told_by_its_entry_when_it_comes_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    let repository = town.repository.clone();
    town.github.change(move |world| says(world, &repository, InProgress)).await.unwrap();
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    assert_eq!(states(&town), [vec![InProgress, Success, InProgress, Success]]);
    assert!(town.notes(&pr).contains("told already"), "{}", town.notes(&pr));
    town.finish().await;
}

async fn until_nobody_has_prod(town: &Town) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let is_held = |lease: &sluice::lease::LeaseInfo| lease.standing == Standing::Held;
    let free = async {
        while town.held().await.iter().any(is_held) {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("its lease runs out");
}

#[tokio::test]
async fn a_deploy_that_was_lost_ends_in_the_history_when_nobody_takes_it_up() {
    let setup = Setup { left_open_after: Duration::ZERO, ..Setup::default() };
    let mut town = Town::of(setup).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    dies_in_its_apply(&mut town, &pr).await;
    // Its lease runs out, and no job comes: a sweep has it asked for again.
    until_nobody_has_prod(&town).await;
    town.passes_a_second().await;
    town.is_followed_by_another_worker().await;
    let mut sweeper = sluice::pipeline::sweep::Sweeper::of_all(&town.deps).remove(0);
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 1);
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(states(&town), [vec![InProgress, Error], vec![InProgress, Success]]);
    town.finish().await;
}
