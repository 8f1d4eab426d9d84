//! The producer's addresses: webhooks, health, metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sluice::queue::Route;
use tokio::time::timeout;

use crate::webhook::{self, Producer};

/// How long the queue may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Everything that the producer answers.
pub fn router(producer: Arc<Producer>) -> Router {
    Router::new()
        .route("/webhooks/github", post(webhook::receive))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(producer)
}

/// Ready: not about to end, and the queue answers.
async fn ready(State(producer): State<Arc<Producer>>) -> Response {
    let unready = |why| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    if producer.shutdown.is_cancelled() {
        return unready("shutting down\n");
    }
    match timeout(READY_WITHIN, producer.deps.queue.waiting(&Route::Approval)).await {
        Ok(Ok(_)) => "ready\n".into_response(),
        // The queue's own words may name its address: they are for logs, not for anybody.
        Ok(Err(_)) | Err(_) => unready("the queue does not answer\n"),
    }
}

async fn metrics(State(producer): State<Arc<Producer>>) -> Response {
    match producer.deps.metrics.render() {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "metrics cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
