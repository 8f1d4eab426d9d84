//! A town in chaos: the stand-in as GitHub, a real producer, worker processes, people.
//!
//! Owns what happens in which order to a pull request, and the end: quiet, then a record of
//! everything for the checker. Nothing here sleeps; what tells nobody is looked at again and again,
//! under a bound.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use sluice::clock::{Clock, SystemClock};
use sluice::config::Secret;
use sluice::metrics::Metrics;
use sluice::observe::{Observer, Observers};
use sluice::queue::Queue;
use sluice::queue::amqp::AmqpQueue;
use sluice_conformance::Watched;
use sluice_producer::Limits;
use sluice_rig::Folder;
use sluice_service::Bound;
use sluice_sim::faults::Faults;
use sluice_sim::world::{CheckConclusion, Role};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, Receiver, RepositoryName, StandinConfig, World};
use tokio_util::sync::CancellationToken;

use crate::history::{Happened, History};
use crate::points::Points;
use crate::ports::{Around, PointedQueue};
use crate::setup::{REPOSITORY, SECRET, Setup, policy};
use crate::warehouse::{Models, Stands, Warehouse};

mod quiet;
mod record;
mod seats;
mod services;

pub use record::{Dead, PullFacts, Record};
pub use seats::{Seat, Seats};
pub use services::Services;

/// How long anything is waited for. A bound against hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The check that says what became of a deploy.
pub const DEPLOY: &str = "SQLMesh - Prod Environment Synced";

/// The check that the gate concludes last.
pub const PROD_PLAN: &str = "SQLMesh - Prod Plan Preview";

/// What main and prod begin with.
const FIRST: [(&str, &str); 2] =
    [("orders", "SELECT 1 AS order_id\n"), ("revenue", "SELECT 1 AS revenue\n")];

/// The town.
pub struct Town {
    /// How it is set up.
    pub setup: Setup,
    /// GitHub.
    pub github: Watched,
    /// The one repository.
    pub repository: RepositoryName,
    /// Where workers can be made to die.
    pub points: Points,
    /// What everybody did.
    pub history: History,
    /// The worker processes.
    pub seats: Seats,
    /// The queue, for looking and for poison.
    pub queue: Arc<AmqpQueue>,
    /// Opens pull requests.
    pub alice: Actor,
    /// The required approver.
    pub carol: Actor,
    warehouse: Warehouse,
    opened: Mutex<Vec<Pr>>,
    producer: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    folder: Arc<Folder>,
}

impl Town {
    /// A town with so many worker processes of `program`, set up as `tweak` says.
    ///
    /// # Errors
    /// One of its parts does not start.
    pub async fn start(
        services: &Services,
        program: &str,
        workers: usize,
        tweak: impl FnOnce(&mut Setup),
    ) -> anyhow::Result<Self> {
        let folder = Arc::new(Folder::new("chaos")?);
        let github = Watched::start(StandinConfig::default()).await?;
        // Half an hour of chaos asks for more than GitHub allows in one; its limits are not meant.
        let unlimited = |world: &mut World| {
            world.rate_limit().limit = u64::MAX;
            Ok(())
        };
        github.change(unlimited).await?;
        let mut setup = Setup::new(folder.path());
        setup.amqp_url.clone_from(&services.amqp_url);
        setup.redis_url.clone_from(&services.redis_url);
        setup.github_url = github.url().to_owned();
        setup.github_token = github.token().to_owned();
        tweak(&mut setup);
        let file = folder.path().join("setup.json");
        std::fs::write(&file, serde_json::to_vec(&setup)?)?;
        let history = History::open(folder.path(), "town")?;
        let points = Points::at(folder.path(), history.clone())?;
        let warehouse = Warehouse::at(folder.path())?;
        let repository = found(&github, &warehouse).await?;
        let [alice, carol] = ["alice", "carol"].map(|login| github.user(login));
        for actor in [&alice, &carol] {
            actor.joins(&repository, Role::Write).await?;
        }
        let stop = CancellationToken::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let queue = Arc::new(setup.queue("town", clock)?);
        let producer = produce(&setup, &history, &github, &stop).await?;
        let hiring = seats::Hiring {
            program: PathBuf::from(program),
            setup: file,
            folder: folder.clone(),
            history: history.clone(),
            lost_for: lost_for(&setup),
        };
        let seats = Seats::fill(hiring, workers)?;
        until_ready(queue.as_ref()).await?;
        Ok(Self {
            setup,
            github,
            repository,
            points,
            history,
            seats,
            queue,
            alice,
            carol,
            warehouse,
            opened: Mutex::default(),
            producer,
            stop,
            folder,
        })
    }

    /// Tells the history that something is done to the parts.
    pub fn tells(&self, fault: impl Into<String>) {
        self.history.append(Happened::Fault { what: fault.into() });
    }

    /// Tells the history that it is over.
    pub fn tells_end(&self, fault: impl Into<String>) {
        self.history.append(Happened::Over { what: fault.into() });
    }

    /// Alice opens a pull request that writes one model.
    ///
    /// # Errors
    /// GitHub refuses.
    pub async fn opens(&self, model: &str, sql: &str) -> anyhow::Result<Pr> {
        let spec = PrSpec::new(model).file(&format!("models/{model}.sql"), sql);
        let pr = self.alice.opens_pr(&self.repository, spec).await?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(pr.clone());
        Ok(pr)
    }

    /// The same, by somebody whose webhooks are lost.
    ///
    /// # Errors
    /// GitHub refuses.
    pub async fn opens_quietly(&self, model: &str, sql: &str) -> anyhow::Result<Pr> {
        let spec = PrSpec::new(model).file(&format!("models/{model}.sql"), sql);
        let pr = self.alice.quietly().opens_pr(&self.repository, spec).await?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(pr.clone());
        Ok(pr)
    }

    /// Opens one, and waits until the gate has its result.
    ///
    /// # Errors
    /// GitHub refuses, or it does not come in time.
    pub async fn gated(&self, model: &str, sql: &str) -> anyhow::Result<Pr> {
        let pr = self.opens(model, sql).await?;
        self.until_gated(&pr).await?;
        Ok(pr)
    }

    /// Waits until the gate has its result.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn until_gated(&self, pr: &Pr) -> anyhow::Result<()> {
        self.until(pr, "gated", |seen| seen.conclusion(PROD_PLAN).is_some()).await
    }

    /// Waits until a pull request is in prod and in main, and said to be.
    ///
    /// # Errors
    /// It does not happen in time.
    pub async fn until_deployed(&self, pr: &Pr) -> anyhow::Result<()> {
        let deployed = |seen: &PrSnapshot| {
            seen.merged_as.is_some() && seen.conclusion(DEPLOY) == Some(CheckConclusion::Success)
        };
        self.until(pr, "deployed", deployed).await
    }

    /// Waits for something on a pull request; says what is there when it does not come.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn until(
        &self,
        pr: &Pr,
        what: &str,
        happened: impl Fn(&PrSnapshot) -> bool,
    ) -> anyhow::Result<()> {
        let look =
            |world: &sluice_sim::World| happened(&PrSnapshot::take(world, pr).ok()?).then_some(());
        let waited = self.github.until(PATIENCE, look).await;
        waited.with_context(|| format!("#{} is not {what}:\n{}", pr.number, self.post_mortem(pr)))
    }

    /// Something goes wrong on GitHub's side.
    ///
    /// # Errors
    /// It cannot be arranged.
    pub async fn spoils(
        &self,
        spoil: impl FnOnce(&mut Faults) + Send + 'static,
    ) -> anyhow::Result<()> {
        let change = |world: &mut sluice_sim::World| {
            spoil(&mut world.faults);
            Ok(())
        };
        Ok(self.github.change(change).await?)
    }

    /// Where the town's files are.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What prod runs.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn prod(&self) -> anyhow::Result<Models> {
        Ok(self.warehouse.environment("prod")?.unwrap_or_default().models)
    }

    /// Ends the town: waits until it is quiet, kills every worker, and takes down everything that
    /// happened.
    ///
    /// # Errors
    /// It does not become quiet.
    pub async fn finish(self) -> anyhow::Result<Record> {
        self.until_quiet().await?;
        self.until_all_is_told().await?;
        self.until_quiet().await?;
        let mut record = self.recorded().await?;
        self.stop.cancel();
        self.seats.close().await;
        record.lines = crate::history::read(self.folder.path())?;
        self.producer.await?;
        Ok(record)
    }

    /// The record; asked for again while a machine with much to do answers too late.
    async fn recorded(&self) -> anyhow::Result<Record> {
        let asking = async {
            loop {
                match self.record().await {
                    Ok(record) => return record,
                    Err(error) => tracing::info!(%error, "nobody can say yet how things stand"),
                }
                SystemClock.sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.context("nobody can say how things stand")
    }
}

/// How long a lease may be lost already when its loss is told: what works under it has so long to
/// end.
fn lost_for(setup: &Setup) -> Duration {
    let [ttl, _, fence, _] = setup.lease_ms.map(Duration::from_millis);
    ttl.saturating_sub(fence)
}

/// The repository, and prod as main has it.
async fn found(github: &Watched, warehouse: &Warehouse) -> anyhow::Result<RepositoryName> {
    let config = serde_json::to_string_pretty(&policy())?;
    let paths: Vec<String> = FIRST.iter().map(|(name, _)| format!("models/{name}.sql")).collect();
    let mut files = vec![("config.yaml", config.as_str())];
    files.extend(paths.iter().map(String::as_str).zip(FIRST.iter().map(|(_, sql)| *sql)));
    let repository = github.repository(REPOSITORY).with_files(&files).await?;
    let models = FIRST.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())).collect();
    let first = Stands { plan_id: "first".to_owned(), models };
    anyhow::ensure!(warehouse.promote("prod", None, &first)?, "there is a prod already");
    Ok(repository)
}

/// Waits until jobs can be stored: a webhook that comes before is lost.
async fn until_ready(queue: &dyn Queue) -> anyhow::Result<()> {
    let ready = async {
        while let Err(error) = queue.check().await {
            tracing::info!(%error, "the queue is not ready yet");
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.context("the queue does not become ready")
}

/// The producer, in this process, on the town's broker.
async fn produce(
    setup: &Setup,
    history: &History,
    github: &Watched,
    stop: &CancellationToken,
) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let project = setup.project()?;
    let metrics = Arc::new(Metrics::new(std::slice::from_ref(&project.name), "chaos")?);
    let observer: Arc<dyn Observer> = Arc::new(Observers::new(vec![metrics.clone()]));
    let around = Around {
        points: Points::at(&setup.folder.join("producer"), history.clone())?,
        history: history.clone(),
        without: None,
        published: setup.published,
    };
    let queue = Arc::new(setup.queue("producer", clock.clone())?);
    let store = setup.store()?;
    let deps = sluice_producer::Deps {
        queue: Arc::new(PointedQueue::new(queue, around)),
        processed: Arc::new(store.processed()),
        leases: Arc::new(store.leases()),
        clock,
        observer,
        metrics,
    };
    let settings = sluice_producer::Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        webhook_secrets: vec![Secret::new(SECRET)],
        projects: Arc::new([project]),
        linger: Duration::ZERO,
        limits: Limits::default(),
    };
    until_ready(deps.queue.as_ref()).await?;
    let bound = Bound::new(settings.listen).await?;
    let url = format!("http://{}/webhooks/github", bound.address());
    github.deliver_to(Receiver { url, secret: SECRET.to_owned() });
    Ok(tokio::spawn(sluice_producer::serve(bound, settings, deps, stop.child_token())))
}
