//! The producer: GitHub's webhooks in, jobs on the queue out; or the event of a workflow's step.
//!
//! Owns HTTP towards GitHub and the rule that a 2xx means "stored". Refuses to know what a job
//! does, and to call GitHub.

mod actions;
mod assemble;
mod command;
mod enqueue;
mod http;
mod settings;
mod webhook;

use std::sync::Arc;

use sluice::clock::Clock;
use sluice::lease::Leases;
use sluice::ledger::Processed;
use sluice::metrics::Metrics;
use sluice::observe::Observer;
use sluice::queue::Queue;
use sluice_service::{Bound, ServeError};
use tokio_util::sync::CancellationToken;

pub use actions::Actions;
pub use assemble::assemble;
pub use command::{Arguments, main};
pub use enqueue::{Enqueue, enqueue};
pub use http::router;
pub use settings::{Limits, Settings};
pub use webhook::{Producer, Signature};

/// All that the producer needs from the outside.
#[derive(Clone)]
pub struct Deps {
    /// Where jobs wait.
    pub queue: Arc<dyn Queue>,
    /// Which deliveries are done with.
    pub processed: Arc<dyn Processed>,
    /// What keeps the marks of deliveries keeps the leases too: asked for readiness only.
    pub leases: Arc<dyn Leases>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}

/// Receives webhooks until `shutdown`, then finishes what it has begun.
///
/// # Errors
/// The address cannot be listened on.
pub async fn run(
    settings: Settings,
    deps: Deps,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let bound = Bound::new(settings.listen).await?;
    serve(bound, settings, deps, shutdown).await;
    Ok(())
}

/// Receives webhooks until `shutdown`; then says that it is not ready, lingers, closes idle
/// connections, and returns when the last request has ended or its time is up.
pub async fn serve(bound: Bound, settings: Settings, deps: Deps, shutdown: CancellationToken) {
    let (linger, connections) = (settings.linger, settings.limits.connections.clone());
    let clock = deps.clock.clone();
    let producer = Arc::new(Producer::new(settings, deps, shutdown.clone()));
    let router = router(Arc::clone(&producer));
    let closing = async {
        shutdown.cancelled().await;
        clock.sleep(linger).await;
    };
    bound.serve(router, connections, closing).await;
    producer.marked().await;
}
