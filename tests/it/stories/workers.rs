//! What becomes of jobs when workers stop, lose their deliveries or die, and when deploys are
//! paused.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sluice::ledger::{Lately, Ledger};
use sluice::names::{PrNumber, ProjectName, Sha};
use sluice::observe::What;
use sluice::outcome::Stage;
use sluice::pause::Pause;
use sluice::queue::{Queue, Route};
use sluice_worker::run::Graces;
use tokio::sync::watch;

use crate::town::{PATIENCE, Setup, TAXED, Town};

/// Alice's pull request, gated and then approved, on its way to prod.
async fn on_its_way(town: &Town) -> sluice_sim::Pr {
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    pr
}

fn deploys(town: &Town) -> Route {
    Route::Deploy(town.deps.projects[0].name.clone())
}

/// Waits until so many jobs are ready on a route.
async fn until_waiting(town: &Town, route: &Route, jobs: u64) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while town.queue.waiting(route).await.unwrap().jobs != jobs {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it waits");
}

#[tokio::test]
async fn a_gate_check_whose_delivery_is_lost_goes_on_and_its_copy_finds_the_result() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    assert_eq!(town.losing.loses(&Route::Gate), 1);
    town.until_told(&pr, |what| matches!(what, What::Settled { disposition: "later", .. })).await;
    town.warehouse.release();
    town.until_gated(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.warehouse.calls("killed"), 0);
    assert_eq!(town.stages(&pr, Stage::Test), 1, "the copy has nothing left to do");
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_whose_delivery_is_lost_goes_on_under_its_lease() {
    let town = Town::start().await;
    town.warehouse.hold_apply("prod");
    let pr = on_its_way(&town).await;
    town.warehouse.until_applying("prod").await;
    assert_eq!(town.losing.loses(&deploys(&town)), 1);
    town.warehouse.release();
    town.until_deployed(&pr).await;
    assert_eq!(town.warehouse.calls("killed"), 0);
    assert_eq!(town.prod_applies(), 1, "its copy finds it done");
    town.finish().await;
}

#[tokio::test]
async fn a_worker_that_stops_ends_a_deploy_at_a_border_and_another_one_takes_it_up() {
    let short = Graces { gate: Duration::ZERO, deploy: Duration::ZERO, border: PATIENCE };
    let mut town = Town::of(Setup { graces: short, ..Setup::default() }).await;
    town.warehouse.hold_apply("prod");
    let pr = on_its_way(&town).await;
    town.warehouse.until_applying("prod").await;
    town.shutdown.drain.cancel();
    town.warehouse.release();
    town.is_followed_by_another_worker().await;
    town.until_deployed(&pr).await;
    assert_eq!(town.prod_applies(), 1, "the first one stopped before it changed anything");
    assert_eq!(town.warehouse.calls("killed"), 0, "it stopped by itself");
    town.finish().await;
}

#[tokio::test]
async fn a_worker_that_stops_lets_a_deploy_finish_within_its_grace() {
    let mut town = Town::start().await;
    town.warehouse.hold_apply("prod");
    let pr = on_its_way(&town).await;
    town.warehouse.until_applying("prod").await;
    town.shutdown.drain.cancel();
    town.warehouse.release();
    town.until_deployed(&pr).await;
    town.is_followed_by_another_worker().await;
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_told_twice_gives_its_jobs_back_at_once() {
    let mut town = Town::start().await;
    town.warehouse.hold_apply("prod");
    let pr = on_its_way(&town).await;
    town.warehouse.until_applying("prod").await;
    town.shutdown.cut.cancel();
    town.is_followed_by_another_worker().await;
    assert_eq!(town.warehouse.calls("killed"), 1);
    town.warehouse.release();
    town.until_deployed(&pr).await;
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_paused_projects_deploys_wait_and_go_on_when_it_is_resumed() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let pause = Pause {
        project: None,
        reason: "the warehouse is being moved".to_owned(),
        by: "ann@ops".to_owned(),
        since_ms: 1,
    };
    town.deps.pauses.pause(pause).await.unwrap();
    // The worker has heard of it when it has left its subscription.
    let route = deploys(&town);
    let mut other = town.queue.consume(&route, 1).await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    let delivery = tokio::time::timeout(PATIENCE, other.next()).await;
    drop(delivery.expect("the worker does not take it"));
    drop(other);
    until_waiting(&town, &route, 1).await;
    assert_eq!(town.prod_applies(), 0);
    town.deps.pauses.resume(None).await.unwrap();
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[derive(Default)]
enum Again {
    #[default]
    TheSame,
    /// Those that seemed to have ended say that they live.
    TheyLive,
    /// Nobody knows any more.
    Nothing,
}

/// A ledger that says strange things.
#[derive(Default)]
struct Strange {
    /// How many workers every message has ended.
    deaths: u32,
    /// What it says when it is asked again.
    again: Again,
    /// How many runs have ended.
    ended: watch::Sender<u32>,
    /// How often it was asked.
    asked: AtomicU32,
    /// Of which message and by which run, each time.
    runs: watch::Sender<Vec<[String; 2]>>,
    /// Whether it panics when a cleanup asks it.
    panics: bool,
}

#[async_trait]
impl Ledger for Strange {
    async fn undertake_cleanup(&self, _: &ProjectName, _: PrNumber) {}
    async fn withdraw_cleanup(&self, _: &ProjectName, _: PrNumber) {}
    async fn is_cleanup_undertaken(&self, _: &ProjectName, _: PrNumber) -> bool {
        assert!(!self.panics, "a panic of the story");
        false
    }
    async fn begin(&self, message: &str, run: &str) -> Option<u32> {
        self.runs.send_modify(|runs| runs.push([message, run].map(str::to_owned)));
        let is_first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        match self.again {
            Again::Nothing if !is_first => None,
            Again::TheyLive if !is_first => Some(0),
            _ => Some(self.deaths),
        }
    }
    async fn end(&self, _: &str, _: &str) {
        self.ended.send_modify(|ended| *ended += 1);
    }
    async fn oldest(&self, _: &Route) -> Option<u64> {
        None
    }
    async fn hear(
        &self,
        _: (&ProjectName, PrNumber),
        _: &str,
        _: Option<&Sha>,
    ) -> Option<(u64, Lately)> {
        None
    }
    async fn lately(&self, _: &ProjectName, _: PrNumber) -> Option<Lately> {
        None
    }
    async fn see(&self, _: &ProjectName, _: PrNumber, _: &Sha) {}
    async fn looked(&self, _: &ProjectName, _: PrNumber, _: u64) {}
}

#[tokio::test]
async fn a_job_that_ended_two_workers_ends_no_third_one() {
    let ledger = Arc::new(Strange { deaths: 2, ..Strange::default() });
    let town = Town::of(Setup { ledger, ..Setup::default() }).await;
    town.pr("add-tax", "revenue", TAXED).await;
    town.until_quiet().await;
    let dead = town.queue.dead();
    assert!(!dead.is_empty());
    let reasons = dead.iter().map(|letter| letter.reason.as_str());
    reasons.for_each(|why| assert_eq!(why, "poison: it ended 2 worker processes"));
    town.finish_with(dead.len()).await;
}

#[tokio::test]
async fn a_job_whose_workers_were_only_slow_to_say_that_they_live_is_done() {
    let ledger = Arc::new(Strange { deaths: 2, again: Again::TheyLive, ..Strange::default() });
    let setup = Setup { ledger: ledger.clone(), dead_after: PATIENCE, ..Setup::default() };
    let town = Town::of(setup).await;
    town.gated_pr("add-tax", "revenue", TAXED).await;
    town.finish().await;
    let runs = ledger.runs.borrow().clone();
    let of_it: HashSet<_> = runs.iter().filter(|[message, _]| *message == runs[0][0]).collect();
    assert_eq!(of_it.len(), 2, "who has waited gives it back, and does not run it: {runs:?}");
}

#[tokio::test]
async fn while_nobody_knows_a_job_that_may_be_poison_is_neither_run_nor_buried() {
    let ledger = Strange { deaths: 2, again: Again::Nothing, ..Strange::default() };
    is_left_to_others(Setup::default(), Arc::new(ledger), 2).await;
}

#[tokio::test]
async fn a_worker_that_has_to_go_leaves_it_to_others_whether_a_job_is_poison() {
    let ledger = Strange { deaths: 2, ..Strange::default() };
    let setup = Setup { dead_after: PATIENCE, ..Setup::default() };
    is_left_to_others(setup, Arc::new(ledger), 1).await;
}

/// A job that may be poison is given back when its worker has to go, after so many rounds.
async fn is_left_to_others(setup: Setup, ledger: Arc<Strange>, rounds: u32) {
    let mut town = Town::of(Setup { ledger: ledger.clone(), ..setup }).await;
    town.pr("add-tax", "revenue", TAXED).await;
    // Who only waits with it runs it no more: it is not to be taken for a death as well.
    let mut ended = ledger.ended.subscribe();
    let waits = tokio::time::timeout(PATIENCE, ended.wait_for(|ended| *ended > rounds));
    waits.await.expect("it waits").unwrap();
    town.shutdown.drain.cancel();
    town.is_left_by_its_worker().await;
    assert!(town.queue.dead().is_empty());
    assert_eq!(town.queue.waiting(&Route::Approval).await.unwrap().jobs, 1, "it was given back");
}

#[tokio::test]
async fn who_loses_a_job_that_may_be_poison_waits_for_word_of_it_no_more() {
    let ledger = Arc::new(Strange { deaths: 2, ..Strange::default() });
    let setup = Setup { ledger: ledger.clone(), dead_after: PATIENCE, ..Setup::default() };
    let mut town = Town::of(setup).await;
    town.pr("add-tax", "revenue", TAXED).await;
    let runs = ledger.runs.subscribe();
    let until = |seen: fn(&Vec<[String; 2]>) -> bool| {
        let mut runs = runs.clone();
        async move {
            let seen = tokio::time::timeout(PATIENCE, runs.wait_for(seen)).await;
            seen.expect("it is asked").unwrap().clone()
        }
    };
    let first = until(|runs| !runs.is_empty()).await.remove(0);
    assert_eq!(town.losing.loses(&Route::Approval), 1);
    let has_asked_often = |runs: &Vec<[String; 2]>| {
        runs.last().is_some_and(|last| {
            *last != runs[0] && runs.iter().filter(|run| *run == last).count() == 4
        })
    };
    let asked = until(has_asked_often).await;
    let by_the_first = asked.iter().filter(|run| **run == first).count();
    assert!(by_the_first <= 2, "{asked:?}");
    town.shutdown.drain.cancel();
    town.is_left_by_its_worker().await;
    assert!(town.queue.dead().is_empty());
}

#[tokio::test]
async fn a_job_that_panics_is_tried_again_and_buried_and_ends_no_worker() {
    let ledger = Arc::new(Strange { panics: true, ..Strange::default() });
    let town = Town::of(Setup { ledger, retries: 1, ..Setup::default() }).await;
    let closed = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.alice.closes(&closed).await.unwrap();
    town.until_quiet().await;
    let letters = town.queue.dead();
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["the job panicked: a panic of the story"]);
    assert_eq!(letters[0].attempt, 1, "tried again");
    town.gated_pr("rename", "orders", "SELECT 1 AS id\n").await;
    town.finish_with(1).await;
}
