//! Answers that are kept to ask GitHub whether they are still right: that costs nothing of the
//! hourly limit, and the answer is as fresh as any.
//!
//! Owns what is kept, which is little. Refuses to answer without asking.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::ETAG;
use http::{HeaderValue, StatusCode};

use super::client::Answer;

/// Answers that are kept at most; then all are forgotten, which costs a request each.
const MOST: usize = 256;
/// Larger ones are not.
const LARGEST_BYTES: usize = 64 * 1024;

/// Answers by their path.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Kept>>);

/// One of them.
#[derive(Clone)]
pub(super) struct Kept {
    /// What GitHub is asked about.
    pub(super) tag: HeaderValue,
    body: Vec<u8>,
}

impl Memory {
    /// What was answered last.
    pub(super) fn recall(&self, path: &str) -> Option<Kept> {
        self.kept().get(path).cloned()
    }

    /// The answer that was given: this one, or `before` if GitHub says that it did not change.
    pub(super) fn resolve(&self, path: &str, before: Option<Kept>, answer: Answer) -> Answer {
        if let (StatusCode::NOT_MODIFIED, Some(Kept { body, .. })) = (answer.status, before) {
            return Answer { status: StatusCode::OK, body, ..answer };
        }
        let mut kept = self.kept();
        kept.remove(path);
        let tag = answer.headers.get(ETAG).filter(|_| answer.status == StatusCode::OK);
        if let Some(tag) = tag.filter(|_| answer.body.len() <= LARGEST_BYTES) {
            if kept.len() >= MOST {
                kept.clear();
            }
            let (tag, body) = (tag.clone(), answer.body.clone());
            kept.insert(path.to_owned(), Kept { tag, body });
        }
        answer
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
