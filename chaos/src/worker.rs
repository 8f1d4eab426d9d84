//! A worker process: the real run loop, queue, leases, GitHub and git, with the scripted engine in
//! place of SQLMesh, and points around every effect.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sluice::clock::{Clock, SystemClock};
use sluice::metrics::Metrics;
use sluice::names::ProjectName;
use sluice::observe::{Event, LeaseEnd, Observer, Observers, What};
use sluice::pipeline::Deps;
use sluice_service::Shutdown;
use sluice_worker::run::{Graces, Slots, run};

use crate::bridge::{self, Place};
use crate::engine::{Fences, Scripted, Surroundings};
use crate::history::{Happened, History};
use crate::points::Points;
use crate::ports::{Around, Guard, decorated};
use crate::setup::Setup;
use crate::warehouse::Warehouse;

/// How long running jobs may go on after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// What the program does: `bridge <place>`, or `<setup file> <name>`.
///
/// # Errors
/// It cannot start, or was told nonsense.
pub fn main(arguments: &[String]) -> anyhow::Result<()> {
    match arguments {
        [mode, place] if mode == "bridge" => {
            let place: Place = serde_json::from_str(place)?;
            bridge::serve(&place.folder, Duration::from_millis(place.silence_ms))
        }
        [file, name] => {
            let text = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
            let setup: Setup = serde_json::from_slice(&text)?;
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_env_filter("info,sluice=debug,lapin=warn")
                .init();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(work(&setup, name))
        }
        _ => anyhow::bail!("usage: sluice-chaos-worker <setup file> <name>"),
    }
}

async fn work(setup: &Setup, name: &str) -> anyhow::Result<()> {
    let history = History::open(&setup.folder, name)?;
    let deps = deps(setup, name, &history)?;
    let shutdown = Shutdown::on_signals()?;
    let graces = Graces { gate: GRACE, deploy: GRACE, border: GRACE };
    history.append(Happened::WorkerStarted);
    run(deps, Slots { approval: 4, gate: 3, deploy: 2 }, graces, shutdown).await;
    Ok(())
}

fn deps(setup: &Setup, name: &str, history: &History) -> anyhow::Result<Deps> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let project = setup.project()?;
    let names: Vec<ProjectName> = vec![project.name.clone()];
    let metrics = Arc::new(Metrics::new(&names, "chaos")?);
    let told = Arc::new(Told(history.clone()));
    let observer: Arc<dyn Observer> = Arc::new(Observers::new(vec![metrics, told]));
    let points = Points::at(&setup.folder, history.clone())?;
    let place = surroundings(setup, history, &points)?;
    let store = setup.store()?;
    let deps = Deps {
        queue: Arc::new(setup.queue(name, clock.clone())?),
        leases: Arc::new(store.leases()),
        github: Arc::new(setup.github(observer.clone(), clock.clone())?),
        engine: Arc::new(Scripted::new(setup.mirrors(name)?, place)),
        clock,
        observer,
        ledger: Arc::new(store.ledger()),
        pauses: Arc::new(store.pauses()),
        projects: Arc::new([Arc::new(project)]),
        settings: Arc::new(setup.settings(name)?),
    };
    let around = Around {
        points,
        history: history.clone(),
        without: setup.without,
        published: setup.published,
    };
    Ok(decorated(deps, &around))
}

/// Tells the history what no port sees: a lease that is lost.
struct Told(History);

impl Observer for Told {
    fn observe(&self, event: &Event) {
        if let (What::LeaseEnded { key, end: LeaseEnd::Lost, .. }, Some(job)) =
            (&event.what, &event.job)
        {
            let (key, id) = (key.clone(), job.id.to_string());
            self.0.append(Happened::LeaseLost { key, job: id, pr: job.pr.0 });
        }
    }
}

fn surroundings(setup: &Setup, history: &History, points: &Points) -> anyhow::Result<Surroundings> {
    let folder: &Path = &setup.folder;
    let fence = if setup.without == Some(Guard::Fence) { Fences::Broken } else { Fences::Kept };
    // Broken: the bridge bears any silence too.
    let silence = match fence {
        Fences::Kept => setup.timings()?.fence_after(),
        Fences::Broken => Duration::from_secs(60),
    };
    Ok(Surroundings {
        folder: folder.to_owned(),
        warehouse: Warehouse::at(folder)?,
        history: history.clone(),
        points: points.clone(),
        silence,
        fence,
    })
}
