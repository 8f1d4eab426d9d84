//! Health: whether the process lives, whether it can do its work now, and its metrics.
//!
//! Owns what `/healthz`, `/readyz` and `/metrics` answer. Refuses to say more than which store does
//! not answer: a store's own words may name its address, and are for logs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sluice::clock::Clock;
use sluice::lease::Leases;
use sluice::metrics::Metrics;
use sluice::queue::Queue;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How long the stores may take to say that they are there.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// For how long an answer counts: balancers and orchestrators ask every few seconds each, and a
/// crowd of them costs the stores one question a second.
const COUNTS_FOR: Duration = Duration::from_secs(1);

/// What a process cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The queue. Without the leases it does less well, and says so.
    Queue,
    /// The queue and the leases.
    QueueAndLeases,
}

/// What health is about.
pub struct Health {
    /// Where jobs wait.
    pub queue: Arc<dyn Queue>,
    /// Who may change an environment; in Redis, the dedupe of webhooks stands beside them.
    pub leases: Arc<dyn Leases>,
    /// What cannot be done without.
    pub needs: Needs,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Fires when the process is about to end: it is not ready then.
    pub ending: CancellationToken,
}

/// What the stores said, and when.
struct Answered {
    at: Instant,
    queue: bool,
    leases: bool,
}

/// The health that requests share: one asks, the others wait for what it learns.
struct Shared {
    health: Health,
    answered: Mutex<Option<Answered>>,
}

impl Health {
    /// `/healthz`, `/readyz` and `/metrics`.
    pub fn router(self) -> Router {
        let shared = Arc::new(Shared { health: self, answered: Mutex::default() });
        Router::new()
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(shared)
    }

    async fn ask(&self) -> Answered {
        let queue = async {
            let answer = self.queue.check().await;
            answer.map_err(|error| tracing::debug!(%error, "the queue is not ready")).is_ok()
        };
        let leases = async {
            let answer = self.leases.check().await;
            answer.map_err(|error| tracing::debug!(%error, "the leases are not ready")).is_ok()
        };
        let (queue, leases) = tokio::join!(self.in_time(queue), self.in_time(leases));
        // Counted from the answer on: one that took its whole time would never count.
        Answered { at: self.clock.instant(), queue, leases }
    }

    async fn in_time(&self, question: impl Future<Output = bool>) -> bool {
        tokio::select! {
            answer = question => answer,
            () = self.clock.sleep(ANSWER_WITHIN) => false,
        }
    }
}

impl Shared {
    /// What the stores said within the last second. A question that is under way is waited for, and
    /// not asked twice; it is bounded, so this is too.
    async fn answered(&self) -> (bool, bool) {
        let mut answered = self.answered.lock().await;
        let now = self.health.clock.instant();
        let is_fresh = |said: &&Answered| now.saturating_duration_since(said.at) < COUNTS_FOR;
        if let Some(said) = answered.as_ref().filter(is_fresh) {
            return (said.queue, said.leases);
        }
        let said = self.health.ask().await;
        let both = (said.queue, said.leases);
        *answered = Some(said);
        both
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.health.ending.is_cancelled() {
        return unready("shutting down\n");
    }
    let needs = shared.health.needs;
    match (shared.answered().await, needs) {
        ((true, true), _) => "ready\n".into_response(),
        ((true, false), Needs::Queue) => {
            "ready; the leases' store does not answer: webhooks that are delivered twice are \
             stored twice, which costs work only\n"
                .into_response()
        }
        ((true, false), Needs::QueueAndLeases) => unready("the leases do not answer\n"),
        ((false, true), _) | ((false, false), Needs::Queue) => {
            unready("the queue does not answer\n")
        }
        ((false, false), Needs::QueueAndLeases) => {
            unready("neither the queue nor the leases answer\n")
        }
    }
}

fn unready(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match shared.health.metrics.render() {
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
