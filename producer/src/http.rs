//! The producer's addresses: webhooks, health, metrics.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use sluice_service::{Health, Needs};

use crate::webhook::{self, Producer};

/// Everything that the producer answers.
///
/// It is ready while the queue takes jobs. Without the store of leases and marks it works on: a
/// webhook that is delivered twice is then stored twice, which costs work and nothing else.
pub fn router(producer: Arc<Producer>) -> Router {
    let deps = &producer.deps;
    let health = Health {
        queue: deps.queue.clone(),
        leases: deps.leases.clone(),
        needs: Needs::Queue,
        metrics: deps.metrics.clone(),
        clock: deps.clock.clone(),
        ending: producer.shutdown.clone(),
    };
    Router::new()
        .route("/webhooks/github", post(webhook::receive))
        .with_state(producer)
        .merge(health.router())
}
