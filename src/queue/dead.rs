//! What failed for good, and what an operator does about it.

use async_trait::async_trait;

use super::QueueError;

/// A message that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Tells it from every other, see [`Delivery::message`](super::Delivery::message).
    pub id: String,
    /// The queue in which it waited, such as `sluice.gate`.
    pub queue: String,
    /// The message as it came.
    pub bytes: Vec<u8>,
    /// How often it had been tried before the last time.
    pub attempt: u32,
    /// Why it failed.
    pub reason: String,
    /// When, in milliseconds since 1970; `None` when the store does not say.
    pub died_ms: Option<u64>,
}

/// The dead letters of a queue, for operators.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// The oldest ones, at most so many. They stay where they are.
    async fn list(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError>;
    /// Puts one back at the tail of its queue, its attempts forgotten; `false` when there is none
    /// with this id. Stored there before it is removed here.
    async fn retry(&self, id: &str) -> Result<bool, QueueError>;
    /// Removes one for good; `false` when there is none with this id.
    async fn discard(&self, id: &str) -> Result<bool, QueueError>;
}
