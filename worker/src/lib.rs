//! The worker's side of sluice: the run loop, and GitHub, git and SQLMesh behind sluice's ports.

mod assemble;
pub mod checkout;
mod command;
pub mod engine;
pub mod github;
pub mod privacy;
pub mod run;
mod sample;
pub mod sqlmesh;
pub mod sweep;

pub use assemble::{Around, Worker, assemble, engine, environments, github_of};
pub use command::{Arguments, main};
use sluice_service::{Bound, Connections, Ended, Health, Needs, Shutdown};

/// Runs jobs until `shutdown`, and answers `/healthz`, `/readyz` and `/metrics` on `bound` until
/// the last of them has ended or was given back.
///
/// It is ready while queue and leases answer: without the leases no deploy can start.
pub async fn run(bound: Bound, worker: Worker, shutdown: Shutdown) -> Ended {
    let Worker { deps, metrics, .. } = &worker;
    let health = Health {
        queue: deps.queue.clone(),
        leases: deps.leases.clone(),
        needs: Needs::QueueAndLeases,
        metrics: metrics.clone(),
        clock: deps.clock.clone(),
        ending: shutdown.drain.clone(),
    };
    let router = health.router();
    let (ended, closing) = tokio::sync::oneshot::channel::<()>();
    // Either end of the channel ends it.
    let closing = async { drop(closing.await) };
    let working = async {
        let done = worker.work(shutdown).await;
        drop(ended);
        done
    };
    let (done, ()) = tokio::join!(working, bound.serve(router, Connections::default(), closing));
    done
}

impl Worker {
    /// Runs jobs until `shutdown`, and keeps the gauges up to date meanwhile. Returns when the last
    /// job has ended or was given back.
    pub async fn work(self, shutdown: Shutdown) -> Ended {
        let Self { deps, metrics, told, slots, graces } = self;
        let sampling = sample::sample(deps.clone(), metrics);
        let ended = tokio::select! {
            ended = run::run(deps, slots, graces, shutdown) => ended,
            never = sampling => match never {},
        };
        told.close().await;
        ended
    }
}
