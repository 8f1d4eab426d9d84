//! One producer and two workers, each with its own metrics and its own address, around one queue
//! and one GitHub stand-in.

use std::net::SocketAddr;
use std::sync::Arc;

use sluice::clock::SystemClock;
use sluice::lease::memory::MemoryLeases;
use sluice::ledger::MemoryLedger;
use sluice::metrics::Metrics;
use sluice::observe::{Observer, Observers};
use sluice::pause::MemoryPauses;
use sluice::pipeline::Deps;
use sluice::queue::memory::MemoryQueue;
use sluice_service::{Bound, Ended, RecentDeliveries, Shutdown};
use sluice_sim::world::{CheckConclusion, Role};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, Receiver, RepositoryName, Standin, StandinConfig};
use sluice_worker::Worker;
use sluice_worker::github::{Auth, HttpGitHub, Patience, Settings as GitHubSettings};
use tokio::task::JoinHandle;

use crate::town::{self, DEPLOY, GRACES, PATIENCE, PROD_PLAN, SECRET, Scripted, Setup};

/// The cluster.
pub struct Cluster {
    github: Standin,
    repository: RepositoryName,
    alice: Actor,
    carol: Actor,
    stop: Shutdown,
    addresses: [SocketAddr; 3],
    producer: JoinHandle<()>,
    workers: [JoinHandle<Ended>; 2],
    _folder: tempfile::TempDir,
}

/// What all processes share.
struct Stores {
    queue: Arc<MemoryQueue>,
    leases: Arc<MemoryLeases>,
    ledger: Arc<MemoryLedger>,
    pauses: Arc<MemoryPauses>,
}

impl Cluster {
    /// One project, one approver (carol).
    pub async fn start() -> Self {
        let setup = Setup::default();
        let github = Standin::start(StandinConfig::default()).await.unwrap();
        let config = town::written(&setup.policy);
        let files = [("config.yaml", config.as_str()), ("models/orders.sql", "SELECT 1 AS id\n")];
        let repository = github.repository("acme/warehouse").with_files(&files).await.unwrap();
        let [alice, carol] = ["alice", "carol"].map(|login| github.user(login));
        for actor in [&alice, &carol] {
            actor.joins(&repository, Role::Write).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let stores = Stores {
            queue: Arc::new(MemoryQueue::new(clock.clone(), setup.settings().retry)),
            leases: Arc::new(MemoryLeases::new(clock.clone())),
            ledger: Arc::default(),
            pauses: Arc::default(),
        };
        let stop = Shutdown::default();
        let (receives, producer) = produces(&setup, &stores, &stop).await;
        let engine = Arc::new(Scripted::new(town::mirrors(&github, folder.path())));
        let (first, one) = works(&setup, &stores, (&github, engine.clone()), &stop).await;
        let (second, two) = works(&setup, &stores, (&github, engine), &stop).await;
        let url = format!("http://{receives}/webhooks/github");
        github.deliver_to(Receiver { url, secret: SECRET.to_owned() });
        Self {
            github,
            repository,
            alice,
            carol,
            stop,
            addresses: [receives, first, second],
            producer,
            workers: [one, two],
            _folder: folder,
        }
    }

    /// The producer's address, and those of the workers.
    pub fn addresses(&self) -> [SocketAddr; 3] {
        self.addresses
    }

    /// Alice opens a pull request, carol approves it, prod gets it.
    pub async fn deploys_something(&self) {
        let spec = PrSpec::new("change").file("models/orders.sql", "SELECT 2 AS id\n");
        let pr = self.alice.opens_pr(&self.repository, spec).await.unwrap();
        self.until(&pr, "gated", |seen| seen.conclusion(PROD_PLAN)).await;
        self.carol.approves(&pr).await.unwrap();
        let deployed = |seen: &PrSnapshot| seen.conclusion(DEPLOY);
        assert_eq!(self.until(&pr, "deployed", deployed).await, CheckConclusion::Success);
    }

    async fn until<T>(&self, pr: &Pr, what: &str, look: impl Fn(&PrSnapshot) -> Option<T>) -> T {
        let look = |world: &sluice_sim::World| look(&PrSnapshot::take(world, pr).unwrap());
        self.github.until(PATIENCE, look).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Everything ends in order.
    pub async fn stop(self) {
        self.stop.drain.cancel();
        for worker in self.workers {
            worker.await.unwrap();
        }
        self.producer.await.unwrap();
    }
}

/// Metrics of one process, and who tells them.
fn metered(setup: &Setup) -> (Arc<Metrics>, Arc<dyn Observer>) {
    let projects = std::slice::from_ref(&setup.project.name);
    let metrics = Arc::new(Metrics::new(projects, "test").unwrap());
    (metrics.clone(), Arc::new(Observers::new(vec![metrics])))
}

async fn listens() -> Bound {
    Bound::new(([127, 0, 0, 1], 0).into()).await.unwrap()
}

async fn produces(setup: &Setup, stores: &Stores, stop: &Shutdown) -> (SocketAddr, JoinHandle<()>) {
    let (metrics, observer) = metered(setup);
    let clock = Arc::new(SystemClock);
    let deps = sluice_producer::Deps {
        queue: stores.queue.clone(),
        processed: Arc::new(RecentDeliveries::new(clock.clone())),
        leases: stores.leases.clone(),
        clock,
        observer,
        metrics,
    };
    let bound = listens().await;
    let address = bound.address();
    let settings = town::producer_settings(setup);
    let serving = sluice_producer::serve(bound, settings, deps, stop.drain.clone());
    (address, tokio::spawn(serving))
}

async fn works(
    setup: &Setup,
    stores: &Stores,
    (github, engine): (&Standin, Arc<Scripted>),
    stop: &Shutdown,
) -> (SocketAddr, JoinHandle<Ended>) {
    let (metrics, observer) = metered(setup);
    let clock = Arc::new(SystemClock);
    let adapter = HttpGitHub::new(&GitHubSettings {
        api_url: github.url().to_owned(),
        auth: Auth::Token(github.token().to_owned().into()),
        app: None,
        patience: Patience::default(),
        observer: observer.clone(),
        clock: clock.clone(),
    });
    let deps = Deps {
        queue: stores.queue.clone(),
        leases: stores.leases.clone(),
        github: Arc::new(adapter.unwrap()),
        engine,
        clock,
        observer,
        ledger: stores.ledger.clone(),
        pauses: stores.pauses.clone(),
        projects: Arc::new([Arc::new(setup.project.clone())]),
        settings: Arc::new(setup.settings()),
    };
    let told = sluice_service::Told::only(deps.observer.clone());
    let worker = Worker { deps, metrics, told, slots: setup.slots, graces: GRACES };
    let bound = listens().await;
    let address = bound.address();
    (address, tokio::spawn(sluice_worker::run(bound, worker, stop.clone())))
}
