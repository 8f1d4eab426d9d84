//! One webhook: read, authenticated, translated, stored, answered; in this order.
//!
//! Owns the promise behind a 2xx: every job of the delivery is stored.

mod answer;
mod body;
mod marks;
mod signature;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sluice::clock::unix_ms;
use sluice::event::{self, Translated};
use sluice::job::{Envelope, Job};
use sluice::names::DeliveryId;
use sluice::observe::{Event, What};
use sluice::queue::QueueError;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{Deps, Settings};
use answer::Answer;
use body::Bodies;
use marks::Marks;
pub use signature::Signature;

/// How many deliveries can be stored or marked side by side without waiting for each other; many
/// more than are in flight, so that two of them rarely share a turn.
const STRIPES: usize = 512;

/// What all requests share.
pub struct Producer {
    pub(crate) settings: Settings,
    pub(crate) deps: Deps,
    pub(crate) shutdown: CancellationToken,
    bodies: Bodies,
    /// For what is authenticated only: whoever cannot sign keeps nobody waiting.
    slots: Semaphore,
    /// A delivery's turn, by its hash: of two copies that arrive together the second waits and then
    /// finds the first one's mark.
    turns: [Arc<Mutex<()>>; STRIPES],
    marks: Marks,
}

impl Producer {
    /// A producer that is ready until `shutdown`. Must be called within a runtime.
    pub fn new(settings: Settings, deps: Deps, shutdown: CancellationToken) -> Self {
        // An alert is to see the first webhook that is refused.
        deps.metrics.expect_webhooks(&Answer::expected());
        let bodies = Bodies::within(&settings.limits);
        let slots = Semaphore::new(settings.limits.webhooks);
        let turns = std::array::from_fn(|_| Arc::default());
        let marks = Marks::made_in(deps.processed.clone(), STRIPES);
        Self { settings, deps, shutdown, bodies, slots, turns, marks }
    }

    /// Returns when every delivery that was answered is marked, which ends in time by itself.
    pub(crate) async fn marked(&self) {
        self.marks.end().await;
    }

    async fn answer(&self, request: Request) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        let signature = Signature::of(&head.headers).ok_or(Answer::Unsigned)?;
        if announced(&head.headers).is_some_and(|bytes| bytes > self.settings.limits.max_body) {
            return Err(Answer::TooLarge);
        }
        let body = self.bodies.read(body).await?;
        if !signature.is_of(body.bytes(), &self.settings.webhook_secrets) {
            return Err(Answer::Unsigned);
        }
        let slot = timeout(self.settings.limits.slot_within, self.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else { return Err(Answer::Busy) };
        let headers = Headers::of(&head.headers)?;
        match event::translate(headers.event, body.bytes(), &self.settings.projects) {
            Ok(Translated::Ignored(why)) => Ok(Answer::Ignored(why)),
            Ok(Translated::Jobs(jobs)) => {
                self.store(&headers.delivery, jobs, |envelope| envelope).await
            }
            Ok(Translated::Spread(jobs)) => {
                self.store(&headers.delivery, jobs, Envelope::spread).await
            }
            Err(error) => {
                let delivery = headers.delivery;
                tracing::warn!(%delivery, event = headers.event, %error, "webhook is malformed");
                Err(Answer::Malformed)
            }
        }
    }

    async fn store(
        &self,
        delivery: &DeliveryId,
        jobs: Vec<Job>,
        meant: fn(Envelope) -> Envelope,
    ) -> Result<Answer, Answer> {
        let stored = self.store_once(delivery, jobs, meant);
        let stored = timeout(self.settings.limits.store_within, stored);
        match stored.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::error!(%delivery, %error, "webhook is not stored");
                Err(Answer::NotStored)
            }
            Err(_) => {
                let seconds = self.settings.limits.store_within.as_secs_f64();
                tracing::error!(%delivery, seconds, "webhook is not stored in time");
                Err(Answer::NotStored)
            }
        }
    }

    async fn store_once(
        &self,
        delivery: &DeliveryId,
        jobs: Vec<Job>,
        meant: fn(Envelope) -> Envelope,
    ) -> Result<Answer, QueueError> {
        let mut hasher = DefaultHasher::new();
        delivery.hash(&mut hasher);
        let stripe = hasher.finish() % self.turns.len() as u64;
        let turn = Arc::clone(&self.turns[stripe as usize]).lock_owned().await;
        if self.deps.processed.contains(delivery).await {
            return Ok(Answer::Duplicate);
        }
        for job in jobs {
            let now = unix_ms(self.deps.clock.now());
            let envelope = meant(Envelope::new(job, delivery.as_str(), now));
            self.deps.queue.publish(&envelope).await?;
            self.tell(Some(&envelope), What::Published);
        }
        // GitHub need not wait for that: what is not marked is stored once more, and found done.
        self.marks.order(delivery.clone(), turn).await;
        Ok(Answer::Stored)
    }

    fn tell(&self, envelope: Option<&Envelope>, what: What) {
        let (at, job) = (self.deps.clock.now(), envelope.map(Envelope::job_ref));
        self.deps.observer.observe(&Event { at, job, what });
    }
}

/// `POST /webhooks/github`.
pub(crate) async fn receive(State(producer): State<Arc<Producer>>, request: Request) -> Response {
    let began = producer.deps.clock.instant();
    let event = event::label(text(request.headers(), "x-github-event").unwrap_or_default());
    let answer = producer.answer(request).await.unwrap_or_else(|declined| declined);
    let took = producer.deps.clock.instant().saturating_duration_since(began);
    producer.tell(None, What::Webhook { event, outcome: answer.label(), took });
    answer.into_response()
}

/// What GitHub says of a delivery in its headers.
struct Headers<'a> {
    event: &'a str,
    delivery: DeliveryId,
}

impl<'a> Headers<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, Answer> {
        let content_type = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Answer::NotJson);
        }
        let is_word = |event: &&str| {
            (1..=64).contains(&event.len())
                && event.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let event = text(headers, "x-github-event").filter(is_word).ok_or(Answer::BadHeaders)?;
        let delivery = text(headers, "x-github-delivery").ok_or(Answer::BadHeaders)?;
        let delivery = DeliveryId::new(delivery).map_err(|_| Answer::BadHeaders)?;
        Ok(Self { event, delivery })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The length that the body is said to have.
fn announced(headers: &HeaderMap) -> Option<usize> {
    text(headers, header::CONTENT_LENGTH.as_str())?.parse().ok()
}
