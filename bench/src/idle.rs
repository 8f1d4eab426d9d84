//! The memory of a worker that has nothing to do: the process itself, without any bridge.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use sluice::clock::{Clock, SystemClock};
use sluice_rig::{EndsOn, Folder, Guarded};

use crate::machine::{Machine, variables};

/// Where `cargo xtask bench` built it.
const PROGRAM: &str = "SLUICE_BENCH_WORKER";

/// How long it has to come up and to settle.
const SETTLING: Duration = Duration::from_secs(10);

const AIM_MB: f64 = 40.0;

pub(crate) async fn measure(machine: &Machine) -> anyhow::Result<String> {
    let program = std::env::var(PROGRAM).with_context(|| format!("{PROGRAM} is not set"))?;
    let file = machine.config_file(4)?;
    let mut worker = Command::new(&program);
    worker.arg("--config").arg(&file).envs(variables());
    let folder = Folder::new("idle-worker")?;
    let mut worker = Guarded::start_in(&worker, &folder, EndsOn::Terminate)?;
    SystemClock.sleep(SETTLING).await;
    if let Some(status) = worker.ended()? {
        anyhow::bail!("{} ended ({status}):\n{}", Path::new(&program).display(), worker.log());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id()))?;
    let field = |name| {
        let line = status.lines().find_map(|line: &str| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let mb = field("VmRSS:").context("no VmRSS")? / 1e3;
    let own = field("RssAnon:").context("no RssAnon")? / 1e3;
    let verdict = if mb <= AIM_MB { "met" } else { "missed" };
    Ok(format!(
        "idle worker: {mb:.1} MB resident, {own:.1} MB of it its own and not its program's (aim \
         <= {AIM_MB} MB: {verdict})"
    ))
}
