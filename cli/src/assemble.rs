//! Producer and worker in one process.
//!
//! Owns nothing but their meeting: each role puts itself together.

use std::sync::Arc;

use sluice::clock::{Clock, SystemClock};
use sluice::config::Config;
use sluice::observe::Observer;
use sluice_producer::serve;
use sluice_service::{Bound, Ended, Shutdown, Stores};
use sluice_worker::sqlmesh::Environments;
use sluice_worker::{Around, Worker, engine};

/// Producer and worker, ready to run in one process, with one `/metrics`.
pub(crate) struct Assembled {
    worker: Worker,
    producer: (sluice_producer::Settings, sluice_producer::Deps),
}

/// Puts both together as the configuration says. `observers` are told what happens, besides the
/// metrics.
pub(crate) fn assemble(
    config: &Config,
    environments: Environments,
    stores: Stores,
    observers: Vec<Arc<dyn Observer>>,
) -> anyhow::Result<Assembled> {
    let name = sluice_service::host("sluice up");
    let around = Around { stores: stores.clone(), observers, name };
    let engine = |credentials| engine(config, environments, credentials);
    let worker = sluice_worker::assemble(config, engine, around)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (observer, metrics) = (worker.deps.observer.clone(), worker.metrics.clone());
    let producer = sluice_producer::assemble(config, &stores, clock, observer, metrics);
    Ok(Assembled { worker, producer })
}

impl Assembled {
    /// Serves webhooks and runs jobs until `shutdown`; returns when the last job has ended or has
    /// been given back.
    pub(crate) async fn run(self, bound: Bound, shutdown: Shutdown) -> Ended {
        let (settings, deps) = self.producer;
        let receiving = async {
            tokio::select! {
                () = serve(bound, settings, deps, shutdown.drain.clone()) => {}
                () = shutdown.cut.cancelled() => {}
            }
        };
        let ((), ended) = tokio::join!(receiving, self.worker.work(shutdown.clone()));
        ended
    }
}
