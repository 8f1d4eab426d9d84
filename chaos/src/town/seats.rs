//! The seats of worker processes: whoever dies in one is replaced at once, and what it leaves
//! behind is watched until it is gone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use sluice::clock::{Clock as _, SystemClock};
use sluice_rig::{EndsOn, Folder, Guarded};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::history::{self, Happened, History};

mod fenced;

/// How often somebody looks whether a process is still there: nobody tells.
const GLANCE: Duration = Duration::from_millis(20);

/// How long what a worker left behind is watched: longer than it may be there (I9).
const WATCHED: Duration = Duration::from_secs(15);

/// One place at which a worker process works.
pub struct Seat {
    /// What its processes are called.
    pub name: String,
    process: Mutex<Option<Guarded>>,
}

impl Seat {
    /// Does something to the process that sits here.
    ///
    /// # Errors
    /// Nobody does, or what is done fails.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut Guarded) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        work(self.held().as_mut().context("nobody sits here")?)
    }

    /// The process id of who sits here.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.held().as_ref().map(Guarded::id)
    }

    fn held(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All seats of a town. The processes end with it.
pub struct Seats {
    /// The seats.
    pub all: Vec<Arc<Seat>>,
    supervising: Vec<JoinHandle<()>>,
    closed: CancellationToken,
}

/// How a seat gets its process.
pub(super) struct Hiring {
    pub(super) program: PathBuf,
    pub(super) setup: PathBuf,
    pub(super) folder: Arc<Folder>,
    pub(super) history: History,
    /// How long a lease may be lost already when its loss is told.
    pub(super) lost_for: Duration,
}

impl Seats {
    /// So many seats, each with a process.
    pub(super) fn fill(hiring: Hiring, count: usize) -> anyhow::Result<Self> {
        let hiring = Arc::new(hiring);
        let closed = CancellationToken::new();
        let mut seats = Self { all: Vec::new(), supervising: Vec::new(), closed };
        let fenced = fenced::watch_all(hiring.clone(), seats.closed.clone());
        seats.supervising.push(tokio::spawn(fenced));
        for number in 1..=count {
            let name = format!("worker-{number}");
            let process = Mutex::new(Some(hiring.hire(&name)?));
            let seat = Arc::new(Seat { name, process });
            let supervised = supervise(seat.clone(), hiring.clone(), seats.closed.clone());
            seats.supervising.push(tokio::spawn(supervised));
            seats.all.push(seat);
        }
        Ok(seats)
    }

    /// Kills every process, and returns when all that they left behind is gone, or was watched for
    /// long enough.
    pub(super) async fn close(self) {
        self.closed.cancel();
        for supervised in self.supervising {
            if let Err(error) = supervised.await {
                tracing::error!(%error, "a seat was not supervised to its end");
            }
        }
    }
}

impl Hiring {
    fn hire(&self, name: &str) -> anyhow::Result<Guarded> {
        let mut worker = Command::new(&self.program);
        worker.arg(&self.setup).arg(name);
        Guarded::start_in(&worker, &self.folder, EndsOn::Kill)
    }

    /// Says that a process is gone, and watches what is left of it.
    fn ended(&self, worker: u32, watching: &mut JoinSet<()>) {
        self.history.append(Happened::WorkerEnded { worker });
        let lines = history::read(self.folder.path()).unwrap_or_default();
        for line in lines {
            if let Happened::BridgeStarted { bridge, .. } = line.what
                && line.pid == worker
                && is_there(bridge)
            {
                watching.spawn(watch(bridge, Duration::ZERO, self.history.clone()));
            }
        }
    }
}

async fn supervise(seat: Arc<Seat>, hiring: Arc<Hiring>, closed: CancellationToken) {
    let mut watching = JoinSet::new();
    let mut glances = tokio::time::interval(GLANCE);
    loop {
        tokio::select! {
            _ = glances.tick() => {}
            () = closed.cancelled() => break,
        }
        let Some(worker) = gone(&seat) else { continue };
        hiring.ended(worker, &mut watching);
        let hired = hiring.hire(&seat.name);
        let hired = hired.inspect_err(|error| tracing::error!(%error, "nobody could be hired"));
        *seat.held() = hired.ok();
    }
    let last = seat.held().take();
    if let Some(mut last) = last {
        let worker = last.id();
        if let Err(error) = last.kill_alone() {
            tracing::error!(%error, worker, "it could not be killed");
        }
        hiring.ended(worker, &mut watching);
    }
    while watching.join_next().await.is_some() {}
}

/// The process id of who sat here and is gone.
fn gone(seat: &Seat) -> Option<u32> {
    let mut held = seat.held();
    let process = held.as_mut()?;
    let worker = process.id();
    process.ended().ok().flatten()?;
    *held = None;
    Some(worker)
}

/// Waits until a bridge is gone that is to be gone for some time already, and says how long that
/// took.
async fn watch(bridge: u32, already: Duration, history: History) {
    let began = SystemClock.instant();
    let taken = || SystemClock.instant().saturating_duration_since(began) + already;
    let mut glances = tokio::time::interval(GLANCE);
    while is_there(bridge) && taken() < WATCHED {
        glances.tick().await;
    }
    let after_ms = u64::try_from(taken().as_millis()).unwrap_or(u64::MAX);
    history.append(Happened::BridgeGone { bridge, after_ms });
}

/// Whether a process runs that is a bridge; one that nobody has reaped does not.
fn is_there(bridge: u32) -> bool {
    let process = Path::new("/proc").join(bridge.to_string());
    let says = std::fs::read(process.join("cmdline")).unwrap_or_default();
    says.split(|byte| *byte == 0).any(|word| word == b"bridge")
}
