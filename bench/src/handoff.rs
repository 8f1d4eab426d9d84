//! How long an environment is nobody's between two deploys that wait for it.
//!
//! From the moment the work under the lease has ended to the moment the next one's begins: renewal
//! stopped, lease given back, the next one woken and granted. The waiting are spread over as many
//! stores as a cluster has workers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sluice::clock::{Clock, SystemClock};
use sluice::job::JobKind;
use sluice::lease::hold::{Keeper, hold};
use sluice::lease::{Timings, Wait, Wish};
use sluice::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use sluice::observe::JobRef;
use tokio_util::sync::CancellationToken;

use crate::figures::percentile;
use crate::machine::{Machine, PROJECT};

const WAITERS: usize = 500;
const WORKERS: usize = 4;

/// How long the first one works: until all others wait.
const EVERYBODY_ASKS: Duration = Duration::from_secs(5);

/// How long each further one works.
const WORK: Duration = Duration::from_millis(20);

const PATIENCE: Duration = Duration::from_secs(600);
const AIM: Duration = Duration::from_millis(10);

/// When somebody had it last, and how long it was nobody's each time.
#[derive(Default)]
struct Log {
    left: Option<Instant>,
    gaps: Vec<Duration>,
}

pub(crate) async fn measure(machine: &Machine) -> anyhow::Result<String> {
    let config = machine.config(16)?;
    let mut keepers = Vec::new();
    for worker in 0..WORKERS {
        let stores = machine.stores(&config).await?;
        keepers.push(Arc::new(Keeper {
            leases: stores.leases.clone(),
            clock: Arc::new(SystemClock),
            observer: stores.told(Vec::new(), None).observer,
            timings: Timings::default(),
            host: format!("worker {worker}"),
        }));
    }
    let log = Arc::new(Mutex::new(Log::default()));
    let holders = (0..WAITERS).map(|number| {
        let keeper = keepers[number % WORKERS].clone();
        let log = log.clone();
        tokio::spawn(async move { take(&keeper, number, &log).await })
    });
    for done in join_all(holders).await {
        done??;
    }
    let mut gaps = std::mem::take(&mut lock(&log).gaps);
    gaps.sort_unstable();
    let (median, last) = (percentile(&gaps, 50), percentile(&gaps, 99));
    let verdict = if last <= AIM { "met" } else { "missed" };
    let ms = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    let (median, last, aim) = (ms(median), ms(last), ms(AIM));
    Ok(format!(
        "lease hand-off, {WAITERS} waiting: p50 {median}, p99 {last} (aim p99 <= {aim}: {verdict})"
    ))
}

async fn take(keeper: &Keeper, number: usize, log: &Mutex<Log>) -> anyhow::Result<()> {
    let (project, pr) = (ProjectName::new(PROJECT)?, PrNumber(u64::try_from(number)? + 1));
    let head = Sha::new("a".repeat(40))?;
    let id = JobId::of_deploy(&project, pr, &head);
    let job = JobRef { id, kind: JobKind::Deploy, project, pr, cause: "bench".to_owned() };
    let (told, cancel) = (|_: &_| {}, CancellationToken::new());
    let wait = Wait::UpTo { at_most: PATIENCE, told: &told };
    let wish = Wish::environment(&job, &head, &Environment::prod(), wait, &cancel);
    let held = hold(keeper, wish, async |_| {
        let now = SystemClock.instant();
        let work = {
            let mut log = lock(log);
            let gap = log.left.map(|left| now.saturating_duration_since(left));
            log.gaps.extend(gap);
            if gap.is_some() { WORK } else { EVERYBODY_ASKS }
        };
        SystemClock.sleep(work).await;
        lock(log).left = Some(SystemClock.instant());
        Ok(())
    });
    Box::pin(held).await?;
    Ok(())
}

fn lock(log: &Mutex<Log>) -> std::sync::MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
