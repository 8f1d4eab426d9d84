//! The long form: people and faults at random, until the time is up, then quiet, then the checker.
//!
//! Everything that is chosen follows from the seed; when what is chosen happens does not, since
//! processes and disks take the time that they take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sluice::clock::{Clock as _, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::checker::{Violation, check};
use crate::history::{Happened, Line};
use crate::town::{Services, Town};

mod faults;
mod people;
mod recovery;

use faults::Mischief;
use people::Crowd;
pub use recovery::Recovery;
use recovery::recovery;

/// Worker processes.
const WORKERS: usize = 3;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How many different jobs were stored.
    pub jobs: usize,
    /// How many deploys arrived.
    pub deploys: usize,
    /// How many faults there were, by kind.
    pub faults: BTreeMap<String, usize>,
    /// How long the jobs that there were at a fault had to wait because of it.
    pub recovery: Recovery,
    /// What must not have been.
    pub violations: Vec<Violation>,
}

/// Runs for so long, with the worker processes of `program`.
///
/// # Errors
/// Something of the rig broke, or a pull request did not arrive.
pub async fn run(program: &str, time: Duration, seed: u64) -> anyhow::Result<Outcome> {
    let services = Services::start(("", "")).await?;
    let town = Town::start(&services, program, WORKERS, |setup| {
        setup.heartbeat_ms = 2000;
        setup.sweep_ms = 3000;
        setup.retry_ms = vec![200, 500, 1000, 1000, 2000, 2000, 5000, 5000, 5000, 5000, 5000];
    });
    let town = Arc::new(town.await?);
    let over = CancellationToken::new();
    let ending = over.clone();
    let timer = tokio::spawn(async move {
        SystemClock.sleep(time).await;
        ending.cancel();
    });
    let random = |stream: u64| StdRng::seed_from_u64(seed.wrapping_mul(1000).wrapping_add(stream));
    let crowd = Crowd::new(town.clone(), random(1));
    let mischief = Mischief::new(town.clone(), services.clone(), random(2));
    let (arrived, made) = tokio::join!(crowd.run(&over), mischief.run(&over));
    timer.abort();
    let deploys = arrived?;
    made?;
    let town = Arc::into_inner(town);
    let record = town.ok_or_else(|| anyhow::anyhow!("somebody still is in town"))?.finish().await?;
    // Whoever was at work on one message when two workers were killed: so it was to be. That they
    // were is checked.
    let poison = record.dead.iter().filter(|dead| dead.reason.starts_with("poison"));
    let poison: Vec<&str> = poison.map(|dead| dead.reason.as_str()).collect();
    let violations = check(&record, &poison);
    Ok(Outcome {
        jobs: jobs(&record.lines),
        deploys,
        faults: faults(&record.lines),
        recovery: recovery(&record.lines),
        violations,
    })
}

fn jobs(lines: &[Line]) -> usize {
    let stored = lines.iter().filter_map(|line| match &line.what {
        Happened::Published(job) => Some(job.job.as_str()),
        _ => None,
    });
    stored.collect::<BTreeSet<_>>().len()
}

/// What was done to the parts in this line, in a few words.
fn fault(line: &Line) -> Option<String> {
    match &line.what {
        Happened::Fault { what } => Some(what.clone()),
        Happened::Reached { point } => Some(format!("killed at a point: {point}")),
        _ => None,
    }
}

fn faults(lines: &[Line]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for what in lines.iter().filter_map(fault) {
        let kind = what.split(':').next().unwrap_or_default().to_owned();
        *counted.entry(kind).or_default() += 1;
    }
    counted
}

/// One of them, by chance.
fn one<'a, T>(random: &mut StdRng, of: &'a [T]) -> Option<&'a T> {
    if of.is_empty() { None } else { of.get(random.random_range(0..of.len())) }
}
