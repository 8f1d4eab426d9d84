//! Whatever ends a job, nothing of it is left.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sluice::engine::{EngineError, Purpose, Session};
use sluice::project::Python;
use tokio_util::sync::CancellationToken;

use crate::shop::{Gate, Shop, plan, runs, stuck_model, stuck_pids, until};

/// A task that applies a plan which never ends, and the processes that it has.
async fn stuck(
    cancel: CancellationToken,
) -> (Arc<Shop>, tokio::task::JoinHandle<EngineError>, [i32; 3]) {
    let shop = Arc::new(Shop::new().await);
    shop.write("models/stuck.py", &stuck_model(shop.folder.path()));
    let mut session = shop.open_until(cancel).await;
    let applying = tokio::spawn(async move {
        session.load().await.unwrap();
        let plan = plan(&mut session, Purpose::Prod).await;
        session.apply(&plan, &Gate::open()).await.unwrap_err()
    });
    let pids = stuck_pids(shop.folder.path()).await;
    assert!(pids.iter().all(|pid| runs(*pid)));
    (shop, applying, pids)
}

#[tokio::test]
async fn a_cancelled_apply_returns_when_its_processes_are_gone() {
    let cancel = CancellationToken::new();
    let (shop, applying, [server, job, far]) = stuck(cancel.clone()).await;
    cancel.cancel();
    let error = applying.await.unwrap();
    assert!(matches!(error, EngineError::Cancelled), "{error}");
    assert!(!runs(job) && !runs(far), "gone before it returned");
    assert!(runs(server));
    std::fs::remove_file(shop.path("models/stuck.py")).unwrap();
    shop.deploy().await; // the warehouse is free, and the server serves on
}

#[tokio::test]
async fn a_dropped_session_leaves_nothing() {
    let (_shop, applying, [_, job, far]) = stuck(CancellationToken::new()).await;
    applying.abort();
    until("the job is gone", || !runs(job) && !runs(far)).await;
}

#[tokio::test]
async fn a_killed_server_is_an_error_and_takes_its_jobs_along() {
    let (shop, applying, [server, job, far]) = stuck(CancellationToken::new()).await;
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    let error = applying.await.unwrap();
    assert!(matches!(error, EngineError::Broken { .. }), "{error}");
    assert!(!runs(job) && !runs(far), "gone before it returned");
    std::fs::remove_file(shop.path("models/stuck.py")).unwrap();
    shop.deploy().await; // by a new server
}

#[tokio::test]
async fn a_killed_job_is_an_error_and_its_orphans_go() {
    let (shop, applying, [server, job, far]) = stuck(CancellationToken::new()).await;
    kill(Pid::from_raw(job), Signal::SIGKILL).unwrap();
    let error = applying.await.unwrap();
    assert!(matches!(error, EngineError::Broken { .. }), "{error}");
    assert!(!runs(far) && runs(server));
    assert!(!error.to_string().contains("printed"), "another job's lines: {error}");
    drop(shop);
}

/// Not a test of its own: what the next two start, and kill or stop.
#[tokio::test]
async fn worker_to_be_killed() {
    let Some(folder) = std::env::var_os("SLUICE_TEST_WORKER") else { return };
    let folder = tempfile::Builder::new().prefix("worker-").tempdir_in(folder).unwrap();
    let shop = Shop::with(folder, |settings| settings.silence = Duration::from_secs(2)).await;
    let pids = shop.folder.path().parent().unwrap();
    shop.write("models/stuck.py", &stuck_model(pids));
    let mut session = shop.loaded().await;
    let plan = plan(&mut session, Purpose::Prod).await;
    let outcome = session.apply(&plan, &Gate::open()).await;
    panic!("it ended: {outcome:?}");
}

fn worker(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::worker_to_be_killed"])
        .env("SLUICE_TEST_WORKER", folder)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn nothing_outlives_a_killed_worker() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = worker(folder.path());
    let pids = stuck_pids(folder.path()).await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    let gone = until("server and job are gone", || pids.iter().all(|pid| !runs(*pid)));
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}

#[tokio::test]
async fn nothing_writes_on_under_a_stopped_worker() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = worker(folder.path());
    let pids = stuck_pids(folder.path()).await;
    let process = Pid::from_raw(i32::try_from(worker.id()).unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    let gone = until("server and job are gone", || pids.iter().all(|pid| !runs(*pid)));
    let gone = tokio::time::timeout(Duration::from_secs(12), gone).await;
    worker.kill().unwrap();
    worker.wait().unwrap();
    gone.unwrap();
}

struct Kept(Arc<AtomicBool>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_seat_is_given_back_when_the_processes_are_gone() {
    let shop = Shop::new().await;
    shop.write("models/stuck.py", &stuck_model(shop.folder.path()));
    let back = Arc::new(AtomicBool::new(false));
    let mut site = shop.site();
    site.keep = Some(Box::new(Kept(back.clone())));
    let cancel = CancellationToken::new();
    let mut session = shop.bridges.session(&shop.project, site, cancel).await.unwrap();
    let applying = tokio::spawn(async move {
        session.load().await.unwrap();
        let plan = plan(&mut session, Purpose::Prod).await;
        session.apply(&plan, &Gate::open()).await.unwrap_err()
    });
    let [_, job, far] = stuck_pids(shop.folder.path()).await;
    applying.abort();
    until("the seat is back", || {
        let seat = back.load(Ordering::SeqCst);
        assert!(!seat || (!runs(job) && !runs(far)), "back too early");
        seat
    })
    .await;
}

#[tokio::test]
async fn a_locked_warehouse_is_busy() {
    let shop = Shop::new().await;
    let mut first = shop.loaded().await;
    plan(&mut first, Purpose::Prod).await;
    let mut second = shop.open().await;
    let outcome = async {
        second.load().await?;
        second.plan(&crate::shop::request(Purpose::Prod)).await
    };
    let error = outcome.await.unwrap_err();
    assert!(matches!(error, EngineError::Busy(_)), "{error}");
}

#[tokio::test]
async fn an_interpreter_that_cannot_serve_is_not_tried_in_a_loop() {
    let mut shop = Shop::new().await;
    for python in ["/nonexistent/python", "/bin/false"] {
        shop.project.python = Python::Interpreter(python.into());
        for expected in ["could not be started", "failed to start 1 times"] {
            let opened = shop.bridges.session(&shop.project, shop.site(), CancellationToken::new());
            let Err(EngineError::Broken { what, .. }) = opened.await else { panic!("it started") };
            assert!(what.contains(expected) || what.contains("cannot run SQLMesh"), "{what}");
        }
    }
}
