//! The producer: GitHub's webhooks in, jobs on the queue out.
//!
//! Owns HTTP towards GitHub and the rule that a 2xx means "stored". Refuses to know what a job
//! does, and to call GitHub.

mod deliveries;
mod http;
mod serve;
mod settings;
mod webhook;

use std::sync::Arc;

use sluice::clock::Clock;
use sluice::ledger::Processed;
use sluice::metrics::Metrics;
use sluice::observe::Observer;
use sluice::queue::Queue;
use tokio_util::sync::CancellationToken;

pub use deliveries::RecentDeliveries;
pub use http::router;
pub use serve::{Bound, ServeError};
pub use settings::{Limits, Settings};
pub use webhook::Producer;

/// All that the producer needs from the outside.
#[derive(Clone)]
pub struct Deps {
    /// Where jobs wait.
    pub queue: Arc<dyn Queue>,
    /// Which deliveries are done with.
    pub processed: Arc<dyn Processed>,
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
    bound.serve(settings, deps, shutdown).await;
    Ok(())
}
