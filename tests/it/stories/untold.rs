//! Merged pull requests whose deploy never said how it ended.

use std::time::Duration;

use sluice::job::{Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::PrNumber;
use sluice::observe::What;
use sluice::outcome::{DeployOutcome, Disposition, Stage};
use sluice::pipeline::sweep::{Sweeper, Swept};
use sluice::pipeline::{Signals, perform};
use sluice::queue::{Queue, Route};
use sluice_sim::faults::{Answer, Matching, MergeFault};
use sluice_sim::{Pr, World};
use tokio::task::JoinHandle;

use super::once::is_being_merged;
use crate::town::{DEPLOY, PATIENCE, Setup, TAXED, Town};

/// A town in which a check is left at once when nobody works on it.
async fn town() -> Town {
    Town::of(Setup { left_open_after: Duration::ZERO, ..Setup::default() }).await
}

/// Requests that change our checks get no answer from now on.
fn says_nothing_more(world: &mut World) {
    let matching = Matching::GraphQl("updateCheckRun".to_owned());
    world.faults.answer(matching, 1000, Answer::Slow(PATIENCE));
}

/// A pull request whose deploy was killed when it had merged it and given prod back, and had not
/// said so. Nobody takes its message up again, and the cleanup of the merge has come and gone.
async fn merged_and_not_told(town: &Town) -> Pr {
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.before_merge = Some(Box::new(says_nothing_more))).await;
    let job = begins_to_deploy(town, &pr).await;
    is_killed_after_its_merge(town, &pr, job).await;
    assert!(town.says(&pr, DEPLOY).contains("Applying"), "{}", town.says(&pr, DEPLOY));
    pr
}

async fn begins_to_deploy(town: &Town, pr: &Pr) -> JoinHandle<Disposition> {
    town.carol.quietly().approves(pr).await.unwrap();
    let (deps, deploy) = (town.deps.clone(), town.deploy_of(pr, &town.head(pr)));
    tokio::spawn(async move { Box::pin(perform(&deps, &deploy, 0, Signals::default())).await })
}

async fn is_killed_after_its_merge(town: &Town, pr: &Pr, job: JoinHandle<Disposition>) {
    town.until_stage(pr, Stage::Cleanup).await;
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    town.spoils(|faults| faults.responses.clear()).await;
    town.until_quiet().await;
    assert!(town.see(pr).is_merged());
    assert!(town.held().await.is_empty(), "prod is free: {:#?}", town.held().await);
}

fn look_at(town: &Town, pr: &Pr) -> Envelope {
    let look = GateCheck {
        project: town.deps.projects[0].name.clone(),
        pr: PrNumber(pr.number),
        scope: Scope::Approval,
        head: None,
        refresh: Refresh::No,
        command: None,
    };
    // Each is another event: one that came again would bring nothing new.
    Envelope::new(Job::GateCheck(look), &format!("again-{}", rand::random::<u64>()), 0)
}

#[tokio::test]
async fn a_deploy_that_died_after_its_merge_is_found_by_a_sweep() {
    let town = town().await;
    let pr = merged_and_not_told(&town).await;
    is_found_by_a_sweep(town, &pr).await;
}

#[tokio::test]
async fn what_was_said_of_a_merge_to_come_is_no_end_once_it_has_come() {
    let town = town().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.spoils(|faults| faults.merges.extend([MergeFault::NotMergeable; 1000])).await;
    let job = begins_to_deploy(&town, &pr).await;
    town.until_says(&pr, DEPLOY, "Deployed, not merged").await;
    town.spoils(|faults| {
        faults.merges.clear();
        faults.before_merge = Some(Box::new(says_nothing_more));
    })
    .await;
    is_killed_after_its_merge(&town, &pr, job).await;
    assert!(town.says(&pr, DEPLOY).contains("Deployed, not merged"));
    is_found_by_a_sweep(town, &pr).await;
}

#[tokio::test]
async fn a_success_that_had_to_be_shown_before_the_merge_is_no_end_either() {
    let town = town().await;
    let pr = merged_and_not_told(&town).await;
    is_being_merged(&town, &pr).await;
    is_found_by_a_sweep(town, &pr).await;
}

async fn is_found_by_a_sweep(town: Town, pr: &Pr) {
    town.passes_a_second().await;
    let mut sweeper = Sweeper::of_all(&town.deps).remove(0);
    let swept = sweeper.sweep(&town.deps).await.unwrap();
    assert_eq!(swept, Swept { pulls: 0, looks: 1, cleanups: 0 });
    town.until_told(pr, |what| matches!(what, What::DeployEnded(_))).await;
    town.until_quiet().await;
    assert!(town.says(pr, DEPLOY).contains("Merged as"), "{}", town.says(pr, DEPLOY));
    assert_eq!(town.deploys(pr), [DeployOutcome::Deployed]);
    assert_eq!(town.prod_applies(), 1);
    assert!(!town.warehouse.has("warehouse_1"), "removed");
    assert!(!town.says(pr, DEPLOY).contains("sluice:again"), "{}", town.says(pr, DEPLOY));
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 0);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_is_lost_each_time_is_given_up_in_front_of_people() {
    let mut town = town().await;
    let pr = merged_and_not_told(&town).await;
    town.passes_a_second().await;
    town.shutdown.drain.cancel();
    town.is_left_by_its_worker().await;
    let route = Route::Deploy(town.deps.projects[0].name.clone());
    let since = |world: &World| {
        let runs = world.repository(&town.repository).unwrap().runs.values();
        let deploys = runs.filter(|run| run.name == DEPLOY).map(|run| run.started_at);
        deploys.max().unwrap()
    };
    let mut asked_at = town.github.world(since);
    for asked in [1, 1, 1, 0] {
        for _ in 0..2 {
            // The second time it waits already.
            let look = look_at(&town, &pr);
            let ended = Box::pin(perform(&town.deps, &look, 0, Signals::default())).await;
            assert_eq!(ended, Disposition::Done);
            assert_eq!(town.queue.waiting(&route).await.unwrap().jobs, asked);
        }
        if asked > 0 {
            let says = town.says(&pr, DEPLOY);
            assert!(says.contains("Waiting for prod"), "{says}");
            let before = std::mem::replace(&mut asked_at, town.github.world(since));
            assert!(before < asked_at, "it is asked for since then");
            let mut taken = town.queue.consume(&route, 1).await.unwrap();
            taken.next().await.unwrap().settle(Disposition::Done).await.unwrap();
            town.passes_a_second().await;
        }
    }
    let says = town.says(&pr, DEPLOY);
    assert!(says.contains("Nobody saw how it ended") && says.contains("dead list"), "{says}");
    // Somebody has mended what it died of, and retries it.
    town.is_followed_by_another_worker().await;
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn who_has_just_merged_may_still_say_how_it_ended() {
    let town = Town::of(Setup::default()).await;
    let pr = merged_and_not_told(&town).await;
    let (repository, head) = (town.repository.clone(), town.see(&pr).head);
    let long_ago = Some(std::time::SystemTime::UNIX_EPOCH);
    let begins_long_ago = move |world: &mut World| {
        let change =
            sluice_sim::world::CheckRunChange { started_at: long_ago, ..Default::default() };
        let runs = world.repository(&repository)?.latest_runs(&head);
        let id = runs.into_iter().find(|run| run.name == DEPLOY).map(|run| run.id).unwrap();
        let us = sluice_sim::world::Identity::App;
        world.quietly(|world| world.update_check_run(&us, &repository, id, change))
    };
    town.github.change(begins_long_ago).await.unwrap();
    let mut sweeper = Sweeper::of_all(&town.deps).remove(0);
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 0);
    let ended = Box::pin(perform(&town.deps, &look_at(&town, &pr), 0, Signals::default())).await;
    assert_eq!(ended, Disposition::Done);
    assert!(town.says(&pr, DEPLOY).contains("Applying"), "{}", town.says(&pr, DEPLOY));
    assert!(town.deploys(&pr).is_empty());
    town.finish().await;
}
