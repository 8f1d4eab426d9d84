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
    /// Puts these back at the tail of their queues, oldest first, as new messages: their attempts
    /// and whatever else is remembered of a message are forgotten. Stored there before they are
    /// removed here.
    async fn retry(&self, ids: &[String]) -> Treated;
    /// Removes these for good.
    async fn discard(&self, ids: &[String]) -> Treated;
}

/// What became of the dead letters that an operator named. Those in neither list were not there, or
/// not looked at any more when there was [trouble](Self::trouble).
#[derive(Debug, Default)]
pub struct Treated {
    /// It is done with these.
    pub done: Vec<String>,
    /// It cannot be done with these, which stay, and why.
    pub refused: Vec<(String, String)>,
    /// Why it went no further.
    pub trouble: Option<QueueError>,
}
