//! Jobs that end at once, through queue, ledger and metrics.
//!
//! The job is a cleanup of a pull request that is open: it asks the ledger, reads facts, and finds
//! nothing to do. The worker's own run loop takes it, against a loop that only acknowledges.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sluice::clock::{Clock, SystemClock, unix_ms};
use sluice::job::{Cleanup, Envelope, Job};
use sluice::names::{PrNumber, ProjectName};
use sluice::queue::{Queue, Route};
use sluice_service::Shutdown;

use crate::bare::Bare;
use crate::figures::{median, rate, ratio};
use crate::machine::{Machine, PROJECT};
use crate::still::{Answers, Tally, worker};

const JOBS: usize = 6_000;
const ROUNDS: usize = 5;

pub(crate) async fn measure(machine: &Machine, prefetch: u16) -> anyhow::Result<String> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(JOBS, run(machine, prefetch).await?));
        let stores = machine.stores(&machine.config(prefetch)?).await?;
        fill(stores.queue.as_ref()).await?;
        let bare_client = Bare::connect(&machine.amqp()).await?;
        let took = bare_client.consume(&Route::Gate.queue(), JOBS, prefetch).await?;
        bare.push(rate(JOBS, took));
    }
    let what = format!("no-op jobs, prefetch {prefetch}");
    Ok(ratio(&what, (median(ours), median(bare)), 0.7))
}

async fn run(machine: &Machine, prefetch: u16) -> anyhow::Result<Duration> {
    let config = machine.config(prefetch)?;
    let stores = machine.stores(&config).await?;
    let queue = stores.queue.clone();
    fill(queue.as_ref()).await?;
    let tally = Tally::new();
    let worker = worker(&config, stores, Answers::AtOnce, &tally)?;
    let shutdown = Shutdown::default();
    let start = SystemClock.instant();
    let running =
        sluice_worker::run::run(worker.deps, worker.slots, worker.graces, shutdown.clone());
    let running = tokio::spawn(running);
    tally.settled.subscribe().wait_for(|settled| *settled >= JOBS).await?;
    let took = SystemClock.instant().saturating_duration_since(start);
    shutdown.drain.cancel();
    running.await?;
    anyhow::ensure!(queue.waiting(&Route::Gate).await?.jobs == 0, "jobs came back");
    Ok(took)
}

async fn fill(queue: &dyn Queue) -> anyhow::Result<()> {
    let project = ProjectName::new(PROJECT)?;
    let now_ms = unix_ms(SystemClock.now());
    let jobs = (1u64..).take(JOBS).map(|pr| {
        let job = Job::Cleanup(Cleanup { project: project.clone(), pr: PrNumber(pr) });
        Arc::new(Envelope::new(job, &format!("bench-{pr}"), now_ms))
    });
    stream::iter(jobs.map(|job| async move { queue.publish(&job).await }))
        .buffer_unordered(128)
        .try_collect::<()>()
        .await?;
    Ok(())
}
