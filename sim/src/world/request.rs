//! What clients asked for: the request log and the hourly budget.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many requests are remembered.
const REMEMBERED: usize = 100_000;
/// What an installation may ask in an hour.
const HOURLY: u64 = 5_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// Which door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// The REST API.
    Rest,
    /// The GraphQL API.
    GraphQl,
    /// Git over HTTP.
    Git,
}

/// One request and how it ended.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// When it came.
    pub at: SystemTime,
    /// Which door.
    pub kind: RequestKind,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// A GraphQL document's operation name (if any) and top-level fields.
    pub operations: Vec<String>,
    /// HTTP status of the answer.
    pub status: u16,
    /// The login it was authenticated as.
    pub identity: Option<String>,
    /// The App's installation whose token it had, if it was made for one.
    pub installation: Option<u64>,
}

/// The requests, oldest first.
#[derive(Debug, Default)]
pub struct RequestLog {
    records: Vec<RequestRecord>,
}

impl RequestLog {
    /// All that are remembered.
    #[must_use]
    pub fn all(&self) -> &[RequestRecord] {
        &self.records
    }

    /// How many requests came through the API, REST and GraphQL together: what a rate limit sees.
    #[must_use]
    pub fn api_count(&self) -> usize {
        self.records.iter().filter(|record| record.kind != RequestKind::Git).count()
    }

    /// How many requests came through one door.
    #[must_use]
    pub fn count(&self, kind: RequestKind) -> usize {
        self.records.iter().filter(|record| record.kind == kind).count()
    }

    /// Forgets everything, so that a test can count from here.
    pub fn clear(&mut self) {
        self.records.clear();
    }

    pub(crate) fn add(&mut self, record: RequestRecord) {
        if self.records.len() >= REMEMBERED {
            self.records.remove(0);
        }
        self.records.push(record);
    }
}

/// The hourly budget, as `x-ratelimit-*` headers and `rateLimit` show it.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Requests in an hour.
    pub limit: u64,
    /// Those used in this one.
    pub used: u64,
    /// When the next begins.
    pub reset_at: SystemTime,
}

impl RateLimit {
    pub(super) fn starting(now: SystemTime) -> Self {
        Self { limit: HOURLY, used: 0, reset_at: now + HOUR }
    }

    /// Takes one request out of the budget; `false` when nothing is left.
    pub(crate) fn take(&mut self, now: SystemTime) -> bool {
        if now >= self.reset_at {
            self.used = 0;
            self.reset_at = now + HOUR;
        }
        let left = self.used < self.limit;
        self.used = (self.used + 1).min(self.limit);
        left
    }

    /// One request was for nothing new.
    pub(crate) fn give_back(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// Requests left in this hour.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.limit - self.used.min(self.limit)
    }

    /// When the next hour begins, in seconds since 1970, as the header has it.
    #[must_use]
    pub fn reset_epoch_seconds(&self) -> u64 {
        self.reset_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
