//! What people are shown: who waits, what runs, what has ended, who works.

use std::time::{Duration, SystemTime};

use deadpool_redis::redis;
use sluice::clock::{Clock as _, SystemClock, unix_ms};
use sluice::github::CheckStatus;
use sluice::job::JobKind;
use sluice::ledger::Ledger as _;
use sluice::names::{Environment, JobId, PrNumber, Sha};
use sluice::observe::{CheckSaid, Event, JobRef, Observer as _, What};
use sluice::outcome::{Conclusion, DeployOutcome, Stage, StageOutcome};
use sluice::queue::Route;
use sluice::render::checks::CheckKind;
use sluice_rig::Redis;
use sluice_store::{BEAT, Journal, RunningJob, Scribe, Store, Worker};

use super::{project, server, soon};
use crate::redis::{Corner, settings};

fn head(pr: u64) -> Sha {
    Sha::new(pr.to_string().repeat(40)).unwrap()
}

fn deploy(pr: u64) -> JobRef {
    let id = JobId::of_deploy(&project(), PrNumber(pr), &head(pr));
    let cause = "actions:1:1".to_owned();
    JobRef { id, kind: JobKind::Deploy, project: project(), pr: PrNumber(pr), cause }
}

fn worker(host: &str) -> Option<Worker> {
    Some(Worker { host: host.to_owned(), since_ms: 1, gate_slots: 4, deploy_slots: 2 })
}

fn route() -> Route {
    Route::Deploy(project())
}

/// Tells something of a job at a time.
fn tell(scribe: &Scribe, at: SystemTime, job: &JobRef, what: What) {
    scribe.observe(&Event { at, job: Some(job.clone()), what });
}

fn settled(disposition: &'static str) -> What {
    What::Settled { disposition, why: None }
}

/// Looks again until the journal shows it.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    soon(async {
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
    .await
}

async fn waiting(journal: &Journal) -> Vec<u64> {
    let waiting = journal.waiting(&route(), 100).await.unwrap();
    waiting.into_iter().map(|job| job.pr.0).collect()
}

async fn until_waiting(journal: &Journal, prs: &[u64]) {
    until(async || (waiting(journal).await == prs).then_some(())).await;
}

/// One deploy from its publishing to its end, as a producer and a worker tell it.
pub(super) async fn tells_a_deploy(store: &Store) {
    let journal = store.journal();
    let (producer, worker) = (store.scribe(None, BEAT), store.scribe(worker("worker-1"), BEAT));
    let published = SystemClock.now();
    let later = |seconds| published + Duration::from_secs(seconds);
    let job = deploy(7);
    tell(&producer, published, &job, What::Published);
    tell(&producer, later(1), &deploy(8), What::Published);
    until_waiting(&journal, &[7, 8]).await;
    let first = journal.waiting(&route(), 1).await.unwrap().remove(0);
    assert_eq!((first.since_ms, first.head), (unix_ms(published), Some(head(7))));
    assert_eq!(store.ledger().oldest(&route()).await, Some(unix_ms(published)));

    tell(&worker, later(30), &job, What::Started { queued: Duration::from_secs(30) });
    tell(&worker, later(31), &job, What::StageStarted(Stage::Apply));
    until_waiting(&journal, &[8]).await;
    let applies = |job: &RunningJob| job.stage.as_deref() == Some("apply");
    let running = until(async || {
        let running = journal.running().await.unwrap();
        running.iter().any(applies).then_some(running)
    });
    let running = running.await;
    assert_eq!(running.len(), 1);
    assert_eq!((running[0].host.as_str(), running[0].pr.0), ("worker-1", 7));
    assert_eq!(running[0].since_ms, unix_ms(later(30)));
    assert_eq!(running[0].stage_since_ms, unix_ms(later(31)));
    assert_eq!(journal.workers().await.unwrap().len(), 1);

    let took = Duration::from_secs(9);
    let ended = What::StageEnded { stage: Stage::Apply, outcome: StageOutcome::Ok, took };
    tell(&worker, later(40), &job, ended);
    tell(&worker, later(41), &job, What::Deployed { lead: Duration::from_secs(41) });
    tell(&worker, later(41), &job, What::DeployEnded(DeployOutcome::Deployed));
    tell(&worker, later(42), &job, settled("done"));
    let recent = until(async || {
        let recent = journal.recent(&project()).await.unwrap();
        (!recent.is_empty()).then_some(recent)
    });
    let recent = recent.await;
    assert_eq!((recent[0].pr.0, recent[0].outcome.as_str()), (7, "deployed"));
    assert_eq!((recent[0].lead_ms, recent[0].stages[0].took_ms), (Some(41_000), 9_000));
    until(async || journal.running().await.unwrap().is_empty().then_some(())).await;
    worker.close().await;
    assert!(journal.workers().await.unwrap().is_empty(), "it said good-bye");
    let trail = journal.trail(&job.cause).await.unwrap();
    let followed = &trail[job.id.as_str()];
    assert!(followed.has_ended() && followed.outcome.as_deref() == Some("deployed"), "{trail:?}");
    assert_eq!((followed.stages[0].stage.as_str(), trail.len()), ("apply", 1), "{trail:?}");
}

fn says(kind: CheckKind, status: CheckStatus) -> What {
    let said = CheckSaid { kind, status, title: "a title".to_owned() };
    What::Checks { head: head(7), checks: vec![said] }
}

/// What is kept of a head's checks, for those who wait for their end.
pub(super) async fn tells_what_checks_say(store: &Store) {
    let (journal, worker) = (store.journal(), store.scribe(worker("worker-1"), BEAT));
    let done = CheckStatus::Completed(Conclusion::Success);
    let environment = Environment::new("warehouse_7").unwrap();
    let tells = |job: &JobRef, whats: Vec<What>| {
        for what in whats {
            tell(&worker, SystemClock.now(), job, what);
        }
    };
    let shown = async |status: &str| {
        until(async || {
            let shown = journal.shown(&project(), PrNumber(7), &head(7)).await.unwrap();
            let so = shown.checks.get("pr_environment_synced")?.status == status;
            so.then_some(shown)
        })
        .await
    };
    let first = deploy(7);
    let none = What::Checks { head: head(7), checks: Vec::new() };
    let started = || What::Started { queued: Duration::ZERO };
    let open = says(CheckKind::PrEnvironment, CheckStatus::InProgress);
    tells(&first, vec![started(), none, open]);
    assert_eq!(shown("in_progress").await.built_by, None);
    let judged = What::Judged { head: head(7), environment };
    tells(&first, vec![says(CheckKind::PrEnvironment, done), judged, settled("done")]);
    let first_shown = shown("success").await;
    assert_eq!(first_shown.checks["pr_environment_synced"].title, "a title");

    // A job that comes across it has not built it.
    let mut later = deploy(8);
    later.cause = "actions:2:1".to_owned();
    (later.pr, later.id) = (PrNumber(7), JobId::new("a-later-look").unwrap());
    tells(&later, vec![started(), says(CheckKind::PrEnvironment, done)]);
    tells(&later, vec![says(CheckKind::PrEnvironment, done), settled("done")]);
    worker.close().await;
    let seen = shown("success").await;
    assert_eq!(seen.environment.as_deref(), Some("warehouse_7"));
    assert_eq!((seen.newest, seen.built_by.as_deref()), (Some(head(7)), Some("actions:1:1")));
}

#[tokio::test]
async fn it_is_told_what_checks_say_and_who_built_the_environment_first() {
    let corner = Corner::new();
    tells_what_checks_say(&corner.store().await).await;
}

#[tokio::test]
async fn only_what_somebody_waits_for_leaves_a_trail() {
    let corner = Corner::new();
    let store = corner.store().await;
    let scribe = store.scribe(worker("worker-1"), BEAT);
    let mut job = deploy(7);
    job.cause = "f7c8a1e0-0000-11ee-8f00-00000000000a".to_owned();
    tell(&scribe, SystemClock.now(), &job, What::Started { queued: Duration::ZERO });
    tell(&scribe, SystemClock.now(), &job, settled("done"));
    // A message that nobody has begun, because its workers died of it.
    let poison = deploy(8);
    let why = Some("poison".repeat(100));
    let dead = What::Settled { disposition: "dead", why };
    tell(&scribe, SystemClock.now(), &poison, dead);
    scribe.close().await;
    assert!(store.journal().trail(&job.cause).await.unwrap().is_empty());
    let trail = store.journal().trail(&poison.cause).await.unwrap();
    let why = trail[poison.id.as_str()].why.clone().unwrap();
    assert_eq!((why.len(), trail.len()), (500, 1), "bounded: {trail:?}");
    let kept = corner.keys().into_iter().filter(|key| key.contains(":trail:"));
    for key in kept {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut corner.connection()).unwrap();
        assert!(left > 0, "{key} is forgotten by itself");
    }
}

#[tokio::test]
async fn a_deploy_is_shown_from_its_publishing_to_its_end() {
    let corner = Corner::new();
    tells_a_deploy(&corner.store().await).await;
}

#[tokio::test]
async fn what_comes_back_waits_at_its_old_place() {
    let corner = Corner::new();
    let store = corner.store().await;
    let (journal, scribe) = (store.journal(), store.scribe(worker("worker-1"), BEAT));
    let published = SystemClock.now();
    for pr in [1, 2] {
        tell(&scribe, published + Duration::from_secs(pr), &deploy(pr), What::Published);
    }
    let queued = Duration::from_secs(10);
    for disposition in ["later", "retry", "requeue"] {
        let at = published + Duration::from_secs(11);
        tell(&scribe, at, &deploy(1), What::Started { queued });
        until_waiting(&journal, &[2]).await;
        tell(&scribe, at, &deploy(1), settled(disposition));
        until_waiting(&journal, &[1, 2]).await;
    }
    tell(&scribe, published + Duration::from_secs(11), &deploy(1), What::Started { queued });
    tell(&scribe, published + Duration::from_secs(12), &deploy(1), settled("dead"));
    until_waiting(&journal, &[2]).await;
    assert!(journal.recent(&project()).await.unwrap().is_empty(), "it was no deploy that ended");
}

#[tokio::test]
async fn word_that_comes_too_late_leaves_no_ghost() {
    let corner = Corner::new();
    let store = corner.store().await;
    let (journal, scribe) = (store.journal(), store.scribe(worker("worker-1"), BEAT));
    let published = SystemClock.now();
    let later = |seconds| published + Duration::from_secs(seconds);
    tell(&scribe, later(3), &deploy(1), What::Started { queued: Duration::from_secs(3) });
    tell(&scribe, later(4), &deploy(1), settled("done"));
    // The producer's word was under way for longer than the job took.
    tell(&scribe, published, &deploy(1), What::Published);
    tell(&scribe, published, &deploy(2), What::Published);
    until_waiting(&journal, &[2]).await;
    // The same deploy asked for again, later, does wait.
    tell(&scribe, later(60), &deploy(1), What::Published);
    until_waiting(&journal, &[2, 1]).await;
}

#[tokio::test]
async fn a_worker_that_dies_takes_what_it_ran_out_of_the_picture() {
    let corner = Corner::new();
    let journal = corner.store().await.journal();
    // A runtime of its own, which ends without a word.
    let process = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = corner.settings.clone();
    let born = process.spawn(async move {
        let store = Store::connect(&settings).unwrap();
        let scribe = store.scribe(worker("worker-1"), Duration::from_millis(200));
        let queued = Duration::ZERO;
        tell(&scribe, SystemClock.now(), &deploy(1), What::Started { queued });
        scribe
    });
    let scribe = born.await.unwrap();
    until(async || (journal.running().await.unwrap().len() == 1).then_some(())).await;
    assert_eq!(journal.workers().await.unwrap().len(), 1);
    process.shutdown_background();
    until(async || journal.workers().await.unwrap().is_empty().then_some(())).await;
    assert!(journal.running().await.unwrap().is_empty());
    let gone = async || corner.keys().iter().all(|key| !key.contains("worker-1")).then_some(());
    until(gone).await;
    drop(scribe);
}

#[tokio::test]
async fn who_tells_never_waits_for_a_redis_that_hangs() {
    let mut server = server(Redis::new());
    let store = Store::connect(&settings(&server.url(), "sluice")).unwrap();
    let scribe = store.scribe(worker("worker-1"), BEAT);
    until(async || (store.journal().workers().await.ok()?.len() == 1).then_some(())).await;
    server.process().unwrap().stop().unwrap();
    let began = SystemClock.instant();
    for pr in 1..=10_000 {
        let job = deploy(pr % 9 + 1);
        tell(&scribe, SystemClock.now(), &job, What::Published);
    }
    let took = SystemClock.instant() - began;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(scribe.dropped() > 1000, "{} were dropped", scribe.dropped());
    server.process().unwrap().go_on().unwrap();
    let journal = store.journal();
    until(async || (journal.waiting(&route(), 100).await.ok()?.len() == 9).then_some(())).await;
}

#[tokio::test]
async fn the_journal_is_bounded() {
    let corner = Corner::new();
    let store = corner.store().await;
    let (journal, scribe) = (store.journal(), store.scribe(worker("worker-1"), BEAT));
    let now = SystemClock.now();
    for pr in 1..=9 {
        for round in 0..25 {
            let at = now + Duration::from_secs(pr * 100 + round);
            tell(&scribe, at, &deploy(pr), What::Started { queued: Duration::ZERO });
            tell(&scribe, at, &deploy(pr), What::DeployEnded(DeployOutcome::Refused));
            tell(&scribe, at, &deploy(pr), settled("done"));
        }
    }
    scribe.close().await;
    let recent = journal.recent(&project()).await.unwrap();
    assert_eq!((recent.len(), recent[0].pr.0), (200, 9), "the newest first, and no more");
    let forever: Vec<String> = corner
        .keys()
        .into_iter()
        .filter(|key| {
            let left = deadpool_redis::redis::cmd("TTL").arg(key).query(&mut corner.connection());
            left == Ok(-1_i64)
        })
        .collect();
    assert_eq!(forever, [format!("{}:boot", corner.settings.key_prefix)]);
}
