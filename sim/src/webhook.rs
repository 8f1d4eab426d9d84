//! Sends the world's webhooks: signed, in order, each once. Decides nothing about what is sent.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;
use crate::wiretap::{Webhook, Wiretap};
use crate::world::{Delivery, DeliveryStatus};

/// How long a receiver may take, as GitHub's.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many held-back webhooks may be on their way at once.
const MOST_DELAYED: usize = 64;
/// The App has one hook.
const HOOK: &str = "1";

/// Where webhooks go, and the secret that signs them.
#[derive(Clone)]
pub struct Receiver {
    /// The full address.
    pub url: String,
    /// Shared with the receiver.
    pub secret: String,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The value of `X-Hub-Signature-256` for a body.
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    // HMAC takes a key of any length; the error is of the generic interface.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sends to `receiver` whatever is pending, until `stop`.
pub(crate) async fn send_all(
    (shared, wiretap): (Shared, Option<Arc<dyn Wiretap>>),
    receiver: Receiver,
    stop: CancellationToken,
) {
    let sender = Arc::new(Sender { client: reqwest::Client::new(), receiver, shared, wiretap });
    let mut changes = sender.shared.changes();
    let mut delayed = JoinSet::new();
    let room = Arc::new(Semaphore::new(MOST_DELAYED));
    loop {
        changes.mark_unchanged();
        while !stop.is_cancelled()
            && let Some(delivery) = sender.next()
        {
            if delivery.delay.is_zero() {
                sender.send(&delivery).await;
                continue;
            }
            let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
            let sender = Arc::clone(&sender);
            delayed.spawn(async move {
                tokio::time::sleep(delivery.delay).await;
                sender.send(&delivery).await;
                drop(seat);
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = delayed.join_next(), if !delayed.is_empty() => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

struct Sender {
    client: reqwest::Client,
    receiver: Receiver,
    shared: Shared,
    wiretap: Option<Arc<dyn Wiretap>>,
}

impl Sender {
    fn next(&self) -> Option<Delivery> {
        // Taking rings the bell that wakes this task: only when there is something to take.
        if !self.shared.look(|world| world.deliveries().has_pending()) {
            return None;
        }
        self.shared.change(|world| world.deliveries_mut().take_pending())
    }

    async fn send(&self, delivery: &Delivery) {
        let headers = self.headers(delivery);
        if let Some(wiretap) = &self.wiretap {
            let (event, payload) = (delivery.event.as_str(), &*delivery.body);
            wiretap.webhook(&Webhook { event, headers: &headers, payload });
        }
        let answer = self
            .client
            .post(&self.receiver.url)
            .timeout(PATIENCE)
            .headers(headers)
            .body(delivery.body.to_vec())
            .send()
            .await;
        let status = match answer {
            Ok(response) => DeliveryStatus::Answered(response.status().as_u16()),
            Err(error) => DeliveryStatus::Failed(error.to_string()),
        };
        self.shared.change(|world| world.deliveries_mut().settle(delivery.sequence, status));
    }

    fn headers(&self, delivery: &Delivery) -> HeaderMap {
        let app = self.shared.look(|world| world.app().id.to_string());
        let signed = signature(&self.receiver.secret, &delivery.body);
        let headers = [
            ("content-type", "application/json"),
            ("user-agent", "GitHub-Hookshot/standin"),
            ("x-github-event", &delivery.event),
            ("x-github-delivery", &delivery.guid),
            ("x-github-hook-id", HOOK),
            ("x-github-hook-installation-target-id", &app),
            ("x-github-hook-installation-target-type", "integration"),
            ("x-hub-signature-256", &signed),
        ];
        // All are visible ASCII: an id, an event's name, digits.
        let valid = headers.map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)));
        let named = |(name, value)| (HeaderName::from_static(name), value);
        valid.into_iter().flatten().map(named).collect()
    }
}
