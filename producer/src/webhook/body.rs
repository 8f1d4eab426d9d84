//! Bodies of webhooks in memory: how large each may be, and all of them together.
//!
//! Owns that memory and the patience with senders. Knows nothing of what a body says, nor of who
//! sent it: at this point that may be anybody.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::timeout;

use super::Answer;
use crate::Limits;

/// The memory for all bodies.
pub(crate) struct Bodies {
    /// A permit is a byte.
    free: Semaphore,
    largest: usize,
    within: Duration,
}

/// A body, and its share of the memory until it is dropped.
pub(crate) struct InMemory<'a> {
    bytes: Vec<u8>,
    _share: SemaphorePermit<'a>,
}

impl InMemory<'_> {
    /// What was sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// None in memory yet.
    pub(crate) fn within(limits: &Limits) -> Self {
        let free = Semaphore::new(limits.all_bodies.min(Semaphore::MAX_PERMITS));
        Self { free, largest: limits.max_body, within: limits.body_within }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// `TooLarge`; `Incomplete` when it breaks off or takes too long; `Busy` when memory is used
    /// up. It does not wait for memory: half-read bodies that wait for each other would all fail.
    pub(crate) async fn read(&self, body: Body) -> Result<InMemory<'_>, Answer> {
        timeout(self.within, self.read_on(body)).await.unwrap_or(Err(Answer::Incomplete))
    }

    async fn read_on(&self, mut body: Body) -> Result<InMemory<'_>, Answer> {
        let mut share = self.share(0)?;
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Answer::Incomplete)?.into_data() else { continue };
            if data.len() > self.largest.saturating_sub(bytes.len()) {
                return Err(Answer::TooLarge);
            }
            share.merge(self.share(data.len())?);
            bytes.extend_from_slice(&data);
        }
        Ok(InMemory { bytes, _share: share })
    }

    fn share(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Answer> {
        let bytes = u32::try_from(bytes).map_err(|_| Answer::TooLarge)?;
        self.free.try_acquire_many(bytes).map_err(|error| match error {
            TryAcquireError::NoPermits | TryAcquireError::Closed => Answer::Busy,
        })
    }
}
