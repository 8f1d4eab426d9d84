//! The webhooks of the world: queued in order, kept with what became of them, redelivered on
//! request with the same GUID. GitHub never retries by itself, and neither does this.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Identity, RepositoryName, World, WorldError};
use crate::faults::WebhookFault;
use crate::shape;

/// How many deliveries are remembered; older ones that are over are forgotten.
const REMEMBERED: usize = 20_000;

/// One webhook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The order of sending; unique, unlike the GUID.
    pub sequence: u64,
    /// `X-GitHub-Delivery`; a redelivery has the same.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The payload's `action`.
    pub action: Option<String>,
    /// The payload, as the bytes that are signed and sent.
    pub body: Arc<[u8]>,
    /// When it was queued, or sent again.
    pub at: SystemTime,
    /// Whether it was sent before.
    pub redelivery: bool,
    /// How long it is held back while others overtake it.
    pub delay: Duration,
    /// What became of it.
    pub status: DeliveryStatus,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Waiting for its turn.
    Pending,
    /// On its way.
    Sending,
    /// The receiver answered with that status.
    Answered(u16),
    /// Nobody answered in time.
    Failed(String),
    /// Lost on purpose.
    Dropped,
}

impl DeliveryStatus {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Pending | Self::Sending)
    }
}

/// All deliveries, oldest first.
#[derive(Debug)]
pub struct DeliveryLog {
    entries: Vec<Delivery>,
    last: u64,
    seed: u128,
    quiet: bool,
}

impl DeliveryLog {
    pub(super) fn new(started: SystemTime) -> Self {
        let seed = started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self { entries: Vec::new(), last: 0, seed, quiet: false }
    }

    /// All that are remembered, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Delivery] {
        &self.entries
    }

    /// Whether every webhook has been answered, lost or given up.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.entries.iter().all(|delivery| delivery.status.is_settled())
    }

    /// Whether one waits for its turn.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.entries.iter().any(|delivery| delivery.status == DeliveryStatus::Pending)
    }

    /// The next to send, marked as on its way.
    pub(crate) fn take_pending(&mut self) -> Option<Delivery> {
        let mut waiting = self.entries.iter_mut();
        let next = waiting.find(|delivery| delivery.status == DeliveryStatus::Pending)?;
        next.status = DeliveryStatus::Sending;
        Some(next.clone())
    }

    /// Records what became of one.
    pub(crate) fn settle(&mut self, sequence: u64, status: DeliveryStatus) {
        if let Some(entry) = self.entries.iter_mut().find(|one| one.sequence == sequence) {
            entry.status = status;
        }
    }

    /// Sends a webhook again, with the same GUID and the same bytes.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when no such GUID is remembered.
    pub fn redeliver(&mut self, guid: &str) -> Result<(), WorldError> {
        let found = self.entries.iter().find(|one| one.guid == guid);
        let again = found.cloned().ok_or(WorldError::NotFound)?;
        let status = DeliveryStatus::Pending;
        self.add(Delivery { redelivery: true, delay: Duration::ZERO, status, ..again });
        Ok(())
    }

    /// Sends one that was sent at `now` again.
    pub(crate) fn attempt_again(
        &mut self,
        sequence: u64,
        now: SystemTime,
    ) -> Result<(), WorldError> {
        let found = self.entries.iter().find(|one| one.sequence == sequence);
        let again = found.cloned().ok_or(WorldError::NotFound)?;
        let status = DeliveryStatus::Pending;
        self.add(Delivery { at: now, redelivery: true, delay: Duration::ZERO, status, ..again });
        Ok(())
    }

    fn add(&mut self, mut delivery: Delivery) {
        self.last += 1;
        delivery.sequence = self.last;
        self.entries.push(delivery);
        if self.entries.len() > REMEMBERED {
            let over = self.entries.iter().position(|one| one.status.is_settled());
            self.entries.remove(over.unwrap_or(0));
        }
    }

    fn fresh_guid(&self) -> String {
        let digest = Sha256::digest(format!("{}:{}", self.seed, self.last + 1));
        let hex = hex::encode(&digest[..16]);
        let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
        format!("{a}-{b}-{c}-{}-{}", &hex[16..20], &hex[20..])
    }
}

impl World {
    /// Changes the world while every webhook that this makes is lost.
    ///
    /// # Errors
    /// What the change returns.
    pub fn quietly<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        let before = std::mem::replace(&mut self.deliveries.quiet, true);
        let result = change(self);
        self.deliveries.quiet = before;
        result
    }

    /// Queues a webhook. `payload` holds what is particular to the event; the rest is added here.
    pub(super) fn emit(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        (event, action): (&str, Option<&str>),
        mut payload: Value,
    ) -> Result<(), WorldError> {
        if let Some(action) = action {
            payload["action"] = action.into();
        }
        payload["repository"] = shape::repository(self, self.repository(name)?);
        payload["sender"] = shape::account(self, &self.login(by));
        payload["installation"] = serde_json::json!({
            "id": self.installation_of(name.owner()),
            "node_id": format!(
                "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u{}",
                self.installation_of(name.owner()),
            ),
        });
        let log = &mut self.deliveries;
        let fault =
            if log.quiet { Some(WebhookFault::Drop) } else { self.faults.webhooks.pop_front() };
        let delay = match fault {
            Some(WebhookFault::Delay(delay)) => delay,
            _ => Duration::ZERO,
        };
        let dropped = fault == Some(WebhookFault::Drop);
        let status = if dropped { DeliveryStatus::Dropped } else { DeliveryStatus::Pending };
        let delivery = Delivery {
            sequence: 0,
            guid: log.fresh_guid(),
            event: event.to_owned(),
            action: action.map(str::to_owned),
            body: payload.to_string().into_bytes().into(),
            at: self.clock.now(),
            redelivery: false,
            delay,
            status,
        };
        if fault == Some(WebhookFault::Duplicate) {
            log.add(delivery.clone());
        }
        log.add(delivery);
        Ok(())
    }
}
