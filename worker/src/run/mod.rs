//! The run loop: takes jobs from the queue, as many as there are slots, and settles each.
//!
//! Owns slots, panics and shutdown. Refuses to know what a job does.
//!
//! - `checks`: approval and gate routes; `deploys`: one route per project, over shared slots
//! - `job`: one message from its delivery to its settling
//! - `drain`: how running jobs are told to end; `outage`: a queue that is away; `paused`

use std::sync::Arc;
use std::time::Duration;

use sluice::pipeline::Deps;
use sluice::queue::Route;
use sluice_service::{Ended, Shutdown};
use tokio_util::task::TaskTracker;

mod checks;
mod deploys;
mod drain;
mod job;
mod outage;
mod paused;
mod slots;

pub use drain::Graces;

use checks::Checks;
use deploys::Deploys;
use drain::{Drain, Kind};
use job::Jobs;
use outage::Outage;
use slots::DeploySlots;

use crate::sweep;

/// How many jobs of each sort run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Approval gate checks and commands: GitHub requests only.
    pub approval: u16,
    /// Full gate checks and cleanups: a Python process each.
    pub gate: u16,
    /// Deploys: a Python process each, for as long as the deploy takes.
    pub deploy: u16,
}

/// How long jobs that were cancelled get to kill their processes and give their message back.
const REAP: Duration = Duration::from_secs(15);

/// Runs jobs until `shutdown`, then lets running ones end as [`Graces`] says, and returns when each
/// has given its message back.
pub async fn run(deps: Deps, slots: Slots, graces: Graces, shutdown: Shutdown) -> Ended {
    let drain = Arc::new(Drain::new(&deps.clock, graces, shutdown.clone()));
    let jobs = Jobs { deps: deps.clone(), drain: drain.clone(), tracker: TaskTracker::new() };
    let outage = Arc::new(Outage::new(deps.clock.clone()));
    let consumers = TaskTracker::new();
    for (route, slots) in [(Route::Approval, slots.approval), (Route::Gate, slots.gate)] {
        let checks = Checks { jobs: jobs.clone(), outage: outage.clone(), route, slots };
        consumers.spawn(checks.run(shutdown.drain.clone()));
    }
    let deploys = Deploys {
        jobs: jobs.clone(),
        outage,
        slots: DeploySlots::new(slots.deploy),
        paused: paused::watch(&deps, &shutdown.drain),
        turns: Arc::default(),
    };
    for project in deps.projects.iter() {
        consumers.spawn(deploys.clone().run(project.name.clone(), shutdown.drain.clone()));
    }
    consumers.spawn(sweep::run(deps.clone(), shutdown.drain.clone()));
    consumers.close();
    let all = async {
        consumers.wait().await;
        jobs.tracker.close();
        jobs.tracker.wait().await;
    };
    tokio::select! {
        () = all => Ended::InOrder,
        () = given_up(&deps, &drain, &shutdown) => {
            let jobs = jobs.tracker.len();
            tracing::error!(jobs, "jobs did not end; their messages come back");
            Ended::LeftBehind
        }
    }
}

/// Returns when no job is waited for any more: they were all cancelled, and had their time since.
async fn given_up(deps: &Deps, drain: &Drain, shutdown: &Shutdown) {
    let reaped = async {
        drain.is_cut(Kind::Deploy).await;
        drain.is_cut(Kind::Check).await;
        deps.clock.sleep(REAP).await;
    };
    tokio::select! {
        () = reaped => {}
        () = shutdown.leave.cancelled() => {}
    }
}
