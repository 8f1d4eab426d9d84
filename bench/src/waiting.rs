//! What a thousand deploys cost that wait for the one before them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use deadpool_redis::redis;
use futures_util::{StreamExt, TryStreamExt, stream};
use sluice::clock::{Clock, SystemClock, unix_ms};
use sluice::job::{Deploy, Envelope, Job};
use sluice::names::{PrNumber, ProjectName, Sha};
use sluice::queue::{Queue, Route};
use sluice_service::Shutdown;

use crate::figures::count_f64;
use crate::machine::{Machine, PROJECT};
use crate::still::{Answers, Tally, worker};

const DEPLOYS: u64 = 1_000;

/// How long Redis is watched.
const WATCHED: Duration = Duration::from_secs(30);

/// What a process asks now and then by itself falls into one watching more often than into
/// another. If those that wait asked only once in half an hour each, it would be more than this.
const NOISE: f64 = 0.5;

/// How long everything is left alone before.
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) async fn measure(machine: &Machine) -> anyhow::Result<String> {
    let config = machine.config(16)?;
    let stores = machine.stores(&config).await?;
    let queue = stores.queue.clone();
    let tally = Tally::new();
    let worker = worker(&config, stores, Answers::Never, &tally)?;
    let shutdown = Shutdown::default();
    let running = tokio::spawn(sluice_worker::run::run(
        worker.deps,
        worker.slots,
        worker.graces,
        shutdown.clone(),
    ));
    store(queue.as_ref(), 1..2).await?;
    tally.begun.subscribe().wait_for(|begun| *begun == 1).await?;
    let alone = operations(machine).await?;
    store(queue.as_ref(), 2..DEPLOYS + 2).await?;
    let crowded = operations(machine).await?;
    let slots = *tally.begun.borrow() - 1;
    let route = Route::Deploy(ProjectName::new(PROJECT)?);
    let waiting = queue.waiting(&route).await?.jobs;
    anyhow::ensure!(waiting == DEPLOYS, "{waiting} of {DEPLOYS} wait");
    shutdown.leave.cancel();
    running.await?;
    let more = crowded.iter().filter(|(name, count)| alone.get(*name).unwrap_or(&0) < *count);
    let more: Vec<&str> = more.map(|(name, _)| name.as_str()).collect();
    let more = if more.is_empty() { "none".to_owned() } else { more.join(", ") };
    let (alone, crowded) = (per_second(&alone), per_second(&crowded));
    let added = (crowded - alone).max(0.0);
    let verdict = if slots == 0 && added < NOISE { "met" } else { "missed" };
    Ok(format!(
        "{DEPLOYS} waiting deploys: {slots} worker slots, {added:.2} Redis operations/s (with one \
         deploy alone {alone:.2}/s, with {DEPLOYS} behind it {crowded:.2}/s, more of: {more}; \
         aim 0, give or take {NOISE}: {verdict})"
    ))
}

async fn store(queue: &dyn Queue, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    let (project, head) = (ProjectName::new(PROJECT)?, Sha::new("a".repeat(40))?);
    let now_ms = unix_ms(SystemClock.now());
    let jobs = numbers.map(|pr| {
        let (project, head) = (project.clone(), head.clone());
        let pr = PrNumber(pr);
        let deploy = Deploy { project, pr, head, command: None, signalled_ms: now_ms };
        Envelope::new(Job::Deploy(deploy), "bench", now_ms)
    });
    stream::iter(jobs.map(|job| async move { queue.publish(&job).await }))
        .buffer_unordered(64)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// Which commands Redis runs while it is watched, and how many; those of the watching not counted.
async fn operations(machine: &Machine) -> anyhow::Result<Commands> {
    SystemClock.sleep(SETTLING).await;
    let before = commands(&machine.redis())?;
    SystemClock.sleep(WATCHED).await;
    let mut after = commands(&machine.redis())?;
    for (name, count) in &mut after {
        *count -= before.get(name).unwrap_or(&0);
    }
    after.retain(|_, count| *count > 0);
    Ok(after)
}

/// How many of each there were.
type Commands = BTreeMap<String, usize>;

/// All that it ever ran, without what whoever asks needs.
fn commands(url: &str) -> anyhow::Result<Commands> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let info: String = redis::cmd("INFO").arg("commandstats").query(&mut connection)?;
    let mut commands = Commands::new();
    for line in info.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
        let (name, rest) = line.split_once(":calls=").context("an unknown line")?;
        let calls = rest.split(',').next().unwrap_or_default();
        if !["info", "client|setinfo", "client"].contains(&name) {
            commands.insert(name.to_owned(), calls.parse()?);
        }
    }
    Ok(commands)
}

fn per_second(commands: &Commands) -> f64 {
    count_f64(commands.values().sum()) / WATCHED.as_secs_f64()
}
