//! What the main job costs, on the demo's project: requests to GitHub and CPU seconds.
//!
//! CPU time is that of this process and of everything below it (git, fork server, Python), as Linux
//! counts it in `/proc`; the GitHub stand-in runs in this process, so its work is counted as ours.
//! Git over HTTP is no API request and is not counted as one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use sluice::queue::memory::MemoryQueue;
use sluice_sim::world::{CheckConclusion, RequestKind};

use super::project;
use super::story::{DEPLOY, Stage};

/// Linux reports CPU time to user space in hundredths of a second (`USER_HZ`, fixed by its ABI).
const TICKS_PER_SECOND: f64 = 100.0;

/// Approvals that are averaged: one takes less than a tick.
const APPROVALS: u32 = 20;

/// SQLMesh's own bot on a 3-model project (PostgreSQL, 2 cores), as measured when sluice was
/// designed.
const REFERENCE: &str = "the reference bot: 4 requests and 4.2 CPU s to look at an approval; \
                         47 and 12.1 for the whole story, which it runs twice";

/// What something cost.
#[derive(Clone, Copy)]
struct Cost {
    requests: f64,
    cpu_s: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} requests, {:.3} CPU s", self.requests, self.cpu_s)
    }
}

/// Tells the main job once more, alone, and prints what it cost.
pub(crate) async fn measure(stage: &Stage, queue: &Arc<MemoryQueue>) -> anyhow::Result<()> {
    let [alice, carol, mallory] = ["alice", "carol", "mallory"].map(|who| stage.github.user(who));
    let meter = Meter { stage, queue };
    let start = meter.read().await?;
    let pr = stage.opens(&alice, "figures", "Count customers", project::with_customers()).await?;
    stage.until(&pr, DEPLOY, CheckConclusion::Skipped).await?;
    let gated = meter.read().await?;
    for _ in 0..APPROVALS {
        // Not a required approver: it has to be looked at, and nothing follows from it.
        mallory.approves(&pr).await?;
        meter.read().await?;
    }
    let looked = meter.read().await?;
    carol.approves(&pr).await?;
    stage.until_merged(&pr).await?;
    let deployed = meter.read().await?;

    let look = looked.since(gated).per(APPROVALS);
    let story = Cost {
        requests: gated.since(start).requests + deployed.since(looked).requests,
        cpu_s: gated.since(start).cpu_s + deployed.since(looked).cpu_s,
    };
    super::say(&format!("\nan approval event on a green head: {look}"));
    super::say(&format!("opened and gated: {}", gated.since(start)));
    super::say(&format!("approved, deployed, merged, cleaned up: {}", deployed.since(looked)));
    super::say(&format!("the whole story: {story}\n({REFERENCE})"));
    Ok(())
}

/// Reads what was spent so far, once nothing is going on any more.
struct Meter<'a> {
    stage: &'a Stage,
    queue: &'a Arc<MemoryQueue>,
}

impl Meter<'_> {
    async fn read(&self) -> anyhow::Result<Cost> {
        let settled = async {
            self.stage.github.until_delivered(super::story::PATIENCE).await?;
            self.queue.drained().await;
            self.stage.github.until_delivered(super::story::PATIENCE).await?;
            self.queue.drained().await;
            Ok::<_, anyhow::Error>(())
        };
        tokio::time::timeout(super::story::PATIENCE, settled).await.context("it never ends")??;
        let requests = self.stage.github.requests();
        let api = requests.iter().filter(|request| request.kind != RequestKind::Git).count();
        let requests = u32::try_from(api)?;
        Ok(Cost { requests: f64::from(requests), cpu_s: cpu_s()? })
    }
}

impl Cost {
    fn since(self, before: Self) -> Self {
        Self { requests: self.requests - before.requests, cpu_s: self.cpu_s - before.cpu_s }
    }

    fn per(self, times: u32) -> Self {
        let times = f64::from(times);
        Self { requests: self.requests / times, cpu_s: self.cpu_s / times }
    }
}

/// CPU seconds of this process and of all processes below it, those that have ended included.
fn cpu_s() -> anyhow::Result<f64> {
    let mut parents = HashMap::new();
    let mut spent = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while we look: what it spent is then its parent's.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest)
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u32>().ok());
        // proc(5): the fields after the name are state, ppid …; utime, stime, cutime and cstime are
        // the 12th to 15th of them.
        let ticks: u32 = (11..=14).filter_map(number).sum();
        parents.insert(pid, number(1).unwrap_or_default());
        spent.insert(pid, ticks);
    }
    let me = std::process::id();
    let below = |mut pid: u32| {
        while pid > 1 && pid != me {
            pid = parents.get(&pid).copied().unwrap_or_default();
        }
        pid == me
    };
    let ticks: u32 = spent.iter().filter(|(pid, _)| below(**pid)).map(|(_, ticks)| ticks).sum();
    Ok(f64::from(ticks) / TICKS_PER_SECOND)
}
