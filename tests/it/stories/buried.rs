//! Deploys that nobody takes up again: what they leave is done by others, as often as is bearable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use sluice::job::{Cleanup, Envelope, Job};
use sluice::ledger::{Ledger, MemoryLedger};
use sluice::names::{PrNumber, ProjectName};
use sluice::observe::What;
use sluice::outcome::{DeployOutcome, Disposition, Stage};
use sluice::pipeline::{Signals, perform};
use sluice::queue::{Queue, Route};
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::{Pr, World};

use super::kept::{RENAMED, is_merged_by_hand};
use crate::town::{DEPLOY, PATIENCE, Setup, TAXED, Town};

/// What a deploy is asked for with whose check was left open.
const ASKED: &str = "left open by somebody who is gone";

/// A ledger that says of so many messages to come that they ended two workers.
#[derive(Default)]
struct Deadly {
    next: AtomicU32,
    memory: MemoryLedger,
}

#[async_trait]
impl Ledger for Deadly {
    async fn undertake_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        self.memory.undertake_cleanup(project, pr).await;
    }
    async fn withdraw_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        self.memory.withdraw_cleanup(project, pr).await;
    }
    async fn is_cleanup_undertaken(&self, project: &ProjectName, pr: PrNumber) -> bool {
        self.memory.is_cleanup_undertaken(project, pr).await
    }
    async fn begin(&self, _: &str, _: &str) -> u32 {
        let one_less = |left: u32| left.checked_sub(1);
        let left = self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if left.is_ok() { 2 } else { 0 }
    }
    async fn end(&self, _: &str, _: &str) {}
    async fn oldest(&self, _: &Route) -> Option<u64> {
        None
    }
}

async fn town() -> (Town, Arc<Deadly>) {
    let ledger = Arc::new(Deadly::default());
    let setup = Setup { ledger: ledger.clone(), ..Setup::default() };
    (Town::of(setup).await, ledger)
}

/// A pull request whose deploy was killed when it had merged it and given prod back, and had not
/// said so. The cleanup of the merge has come and gone.
async fn merged_and_not_told(town: &Town) -> Pr {
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    let says_nothing_more = |world: &mut World| {
        let matching = Matching::GraphQl("updateCheckRun".to_owned());
        world.faults.answer(matching, 1000, Answer::Slow(PATIENCE));
    };
    town.spoils(move |faults| faults.before_merge = Some(Box::new(says_nothing_more))).await;
    let (deps, deploy) = (town.deps.clone(), town.deploy_of(&pr, &town.head(&pr)));
    let job = async move { Box::pin(perform(&deps, &deploy, 0, Signals::default())).await };
    let job = tokio::spawn(job);
    town.until_stage(&pr, Stage::Cleanup).await;
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    town.spoils(|faults| faults.responses.clear()).await;
    town.until_quiet().await;
    assert!(town.see(&pr).is_merged());
    assert!(town.held().await.is_empty(), "prod is free: {:#?}", town.held().await);
    assert!(town.says(&pr, DEPLOY).contains("Applying"), "{}", town.says(&pr, DEPLOY));
    pr
}

/// The cleanup that follows when its deploy is buried.
fn cleanup_after(town: &Town, pr: &Pr) -> Envelope {
    let (project, buried) = (town.deps.projects[0].name.clone(), Some(town.head(pr)));
    Envelope::new(Job::Cleanup(Cleanup { project, pr: PrNumber(pr.number), buried }), "again", 0)
}

#[tokio::test]
async fn a_deploy_that_is_buried_after_its_merge_is_finished_by_another() {
    let (town, ledger) = town().await;
    let pr = merged_and_not_told(&town).await;
    ledger.next.store(1, Ordering::SeqCst);
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    assert_eq!(town.queue.dead().len(), 1);
    town.until_deployed(&pr).await;
    assert_eq!(town.notes(&pr).matches(ASKED).count(), 1, "{}", town.all());
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    assert_eq!(town.prod_applies(), 1);
    assert!(!town.warehouse.has("warehouse_1"), "removed");
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_deploy_that_cannot_be_finished_is_asked_for_three_times() {
    let (mut town, _) = town().await;
    let pr = merged_and_not_told(&town).await;
    town.shutdown.drain.cancel();
    town.is_left_by_its_worker().await;
    for _ in 0..4 {
        let cleanup = cleanup_after(&town, &pr);
        let ended = Box::pin(perform(&town.deps, &cleanup, 0, Signals::default())).await;
        assert_eq!(ended, Disposition::Done);
    }
    let route = Route::Deploy(town.deps.projects[0].name.clone());
    assert_eq!(town.queue.waiting(&route).await.unwrap().jobs, 3);
    let says = town.says(&pr, DEPLOY);
    assert!(says.contains("Nobody saw how it ended") && says.contains("dead retry"), "{says}");
    // Somebody has mended what killed the workers.
    town.is_followed_by_another_worker().await;
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_is_buried_before_it_began_is_asked_for_by_nobody() {
    let (town, ledger) = town().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    ledger.next.store(1, Ordering::SeqCst);
    town.is_asked_to_deploy(&pr, &town.head(&pr)).await;
    assert_eq!(town.prod_applies(), 0);
    assert!(town.warehouse.has("warehouse_1"), "it is open");
    town.finish_with(1).await;
}

#[tokio::test]
async fn no_deploy_is_buried_before_its_cleanup_is_stored() {
    let (town, ledger) = town().await;
    let pr = merged_and_not_told(&town).await;
    ledger.next.store(2, Ordering::SeqCst);
    town.losing.refuses_the_next();
    town.queue.publish(&town.deploy_of(&pr, &town.head(&pr))).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.queue.dead()[0].attempt, 1, "it came back meanwhile");
    town.finish_with(1).await;
}

#[tokio::test]
async fn a_merge_by_hand_asks_for_no_deploy_that_waits() {
    let (town, _) = town().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let next = town.gated_pr("rename", "orders", RENAMED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    town.carol.approves(&next).await.unwrap();
    town.until_says(&next, DEPLOY, "Waiting for prod").await;
    is_merged_by_hand(&town, &next).await;
    let done = |what: &What| matches!(what, What::StageEnded { stage: Stage::Cleanup, .. });
    town.until_told(&next, done).await;
    town.warehouse.release();
    town.until_quiet().await;
    assert_eq!(town.notes(&next).matches(ASKED).count(), 0, "{}", town.all());
    assert_eq!(town.deploys(&next), [DeployOutcome::Refused]);
    town.finish().await;
}
