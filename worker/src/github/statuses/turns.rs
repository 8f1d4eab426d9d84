//! One writer at a time on the pages of a pull request, within this process.
//!
//! The comment is read and written as a whole: of two writers at once, one would undo what the
//! other wrote. Two processes may still do so; what is lost then counts as never written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sluice::github::Ask;

/// Who writes.
#[derive(Debug, Default)]
pub(in crate::github) struct Turns(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// The turn of a pull request.
    pub(super) fn of(&self, ask: &Ask) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let place = format!("{}#{}", ask.repository.as_str().to_lowercase(), ask.pr);
        if let Some(turn) = turns.get(&place).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(place, Arc::downgrade(&turn));
        turn
    }
}
