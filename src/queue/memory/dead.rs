//! Dead letters in memory, for operators.

use std::time::Instant;

use async_trait::async_trait;

use super::{DEAD_CAPACITY, MemoryQueue, Message, State};
use crate::queue::dead::{DeadLetter, DeadLetters, Treated};
use crate::queue::{QueueError, Route};

#[async_trait]
impl DeadLetters for MemoryQueue {
    async fn list(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut letters = self.dead();
        letters.truncate(most);
        Ok(letters)
    }

    async fn retry(&self, ids: &[String]) -> Treated {
        let treated = self.shared.lock().revive(ids, self.shared.clock.instant());
        self.shared.changed.notify_waiters();
        treated
    }

    async fn discard(&self, ids: &[String]) -> Treated {
        let mut treated = Treated::default();
        self.shared.lock().dead.retain(|(_, letter)| {
            let is_meant = ids.contains(&letter.id);
            treated.done.extend(is_meant.then(|| letter.id.clone()));
            !is_meant
        });
        treated
    }
}

impl State {
    pub(super) fn bury(&mut self, route: Route, letter: DeadLetter) {
        self.dead.push_back((route, letter));
        if self.dead.len() > DEAD_CAPACITY
            && let Some((_, oldest)) = self.dead.pop_front()
        {
            tracing::warn!(queue = oldest.queue, "the oldest dead letter was dropped");
        }
    }

    /// Puts dead letters back at the tails of their routes, as new messages.
    fn revive(&mut self, ids: &[String], stored: Instant) -> Treated {
        let mut treated = Treated::default();
        for (route, letter) in std::mem::take(&mut self.dead) {
            if treated.trouble.is_some() || !ids.contains(&letter.id) {
                self.dead.push_back((route, letter));
                continue;
            }
            let ticket = self.ticket();
            let (id, bytes) = (ticket.to_string(), letter.bytes.clone());
            let message = Message { id, bytes, attempt: 0, stored };
            let line = self.lines.entry(route.clone()).or_default();
            match line.append(&route, (ticket, message)) {
                Ok(()) => treated.done.push(letter.id),
                Err(error) => {
                    treated.trouble = Some(error);
                    self.dead.push_back((route, letter));
                }
            }
        }
        treated
    }
}
