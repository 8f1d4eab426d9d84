//! How Redis is set up and how it is, for `sluice doctor`.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_redis::redis;

use crate::{Store, StoreError};

/// What matters of a Redis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its version.
    pub version: String,
    /// What it forgets when its memory is full; only `noeviction` forgets nothing.
    pub eviction: String,
    /// Whether each change is written to a file (AOF), so that a restart forgets a second at most.
    pub is_persistent: bool,
    /// Its clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// For how long no lease is granted yet, after a restart or a loss of data.
    pub frozen: Option<Duration>,
}

impl Store {
    /// How the server is set up and how it is. It needs the right to `INFO` and `TIME`.
    ///
    /// # Errors
    /// When Redis cannot say.
    pub async fn condition(&self) -> Result<Condition, StoreError> {
        let link = &self.shared.link;
        let info = link.call(async |connection: &mut _| {
            redis::cmd("INFO").query_async::<String>(connection).await
        });
        let info = info.await?;
        let time = link.call(async |connection: &mut _| {
            redis::cmd("TIME").query_async::<(u64, u64)>(connection).await
        });
        let (seconds, micros) = time.await?;
        let facts: HashMap<&str, &str> =
            info.lines().filter_map(|line| line.trim().split_once(':')).collect();
        let fact = |name| facts.get(name).copied().unwrap_or("unknown").to_owned();
        Ok(Condition {
            version: fact("redis_version"),
            eviction: fact("maxmemory_policy"),
            is_persistent: fact("aof_enabled") == "1",
            now_ms: seconds * 1000 + micros / 1000,
            frozen: self.frozen().await?,
        })
    }
}
