//! The gauges that nobody tells: how deep the queues are, how old their oldest jobs, what is
//! reserved.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sluice::metrics::Metrics;
use sluice::names::ProjectName;
use sluice::pipeline::Deps;
use sluice::queue::Route;

/// Gauges are as old as this at most, a third of what Prometheus scrapes at by default.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps the gauges up to date, for ever. What cannot be asked keeps what it last said, and is
/// logged once until it can be asked again.
pub(crate) async fn sample(deps: Deps, metrics: Arc<Metrics>) -> Infallible {
    let projects: Vec<ProjectName> = deps.projects.iter().map(|p| p.name.clone()).collect();
    let mut routes = vec![Route::Approval, Route::Gate];
    routes.extend(projects.iter().cloned().map(Route::Deploy));
    let mut unsampled = [false; 2];
    loop {
        let (queue, ledger) = (deps.queue.as_ref(), deps.ledger.as_ref());
        let queue = metrics.sample_queue(queue, ledger, deps.clock.now(), &routes).await;
        let leases = metrics.sample_reservations(deps.leases.as_ref(), &projects).await;
        for (result, is_known) in [queue, leases].into_iter().zip(&mut unsampled) {
            match result {
                Ok(()) => *is_known = false,
                Err(error) if !*is_known => {
                    tracing::warn!(%error, "a gauge keeps what it last said");
                    *is_known = true;
                }
                Err(_) => {}
            }
        }
        deps.clock.sleep(EVERY).await;
    }
}
