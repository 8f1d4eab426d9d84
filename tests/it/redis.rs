//! The Redis that tests talk to: a corner of it for each test, and servers of their own for those
//! that kill them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadpool_redis::redis;
use sluice::config::Secret;
use sluice::lease::Timings;
use sluice_store::{Settings, Store};

/// Where the shared Redis is.
pub(crate) fn url() -> String {
    std::env::var("SLUICE_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379/0".to_owned())
}

/// A corner of the shared Redis: what is under its prefix goes with it.
pub(crate) struct Corner {
    pub(crate) settings: Settings,
}

impl Corner {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("sluice-test-{}-{number}", std::process::id());
        Self { settings: settings(&url(), &prefix) }
    }

    /// A store in this corner, of which nothing is feared: nothing was there before.
    pub(crate) async fn store(&self) -> Store {
        let store = Store::connect(&self.settings).unwrap();
        store.thaw().await.unwrap();
        store
    }

    /// A connection to look behind the store's back.
    pub(crate) fn connection(&self) -> redis::Connection {
        connection(self.settings.url.expose())
    }

    /// The names of all keys in this corner.
    pub(crate) fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.settings.key_prefix);
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query(&mut self.connection()).unwrap();
        keys.sort();
        keys
    }
}

impl Drop for Corner {
    fn drop(&mut self) {
        for key in self.keys() {
            redis::cmd("DEL").arg(key).exec(&mut self.connection()).unwrap();
        }
    }
}

/// A connection to a server.
pub(crate) fn connection(url: &str) -> redis::Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

/// Settings for tests: times far below those of real life.
pub(crate) fn settings(url: &str, prefix: &str) -> Settings {
    let [ttl, renew, fence, delay] = [2000, 100, 1000, 500].map(Duration::from_millis);
    Settings {
        url: Secret::new(url),
        ca_file: None,
        key_prefix: prefix.to_owned(),
        timings: Timings::new(ttl, renew, fence, delay).unwrap(),
    }
}
