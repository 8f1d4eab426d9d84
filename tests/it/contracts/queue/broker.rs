//! The adapter for RabbitMQ on the bench: a real broker, and queues of its own for each test.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sluice::clock::{Clock, SystemClock};
use sluice::config::Secret;
use sluice::names::ProjectName;
use sluice::queue::amqp::{AmqpQueue, AmqpSettings, Timeouts};
use sluice::queue::dead::DeadLetters;
use sluice::queue::{Queue, RetryPolicy, Route};

use super::Bench;

/// The broker that tests share, unless `cargo xtask test` says otherwise.
const USUAL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

/// The address of the tests' broker.
pub(crate) fn url() -> String {
    std::env::var("SLUICE_TEST_AMQP_URL").unwrap_or_else(|_| USUAL.to_owned())
}

/// Settings with short waits, and with names that nobody else uses.
pub(crate) fn settings(url: &str) -> AmqpSettings {
    let projects = vec![ProjectName::new("warehouse").unwrap()];
    let delays = [300, 600].map(Duration::from_millis).to_vec();
    let retry = RetryPolicy { delays: delays.clone() };
    let prefix = format!("test-{:016x}", rand::random::<u64>());
    // A busy machine is not a broker that is away.
    let timeouts = Timeouts {
        connect: Duration::from_secs(20),
        publish: Duration::from_secs(10),
        request: Duration::from_secs(10),
        settle: Duration::from_secs(10),
    };
    let usual = AmqpSettings::new(Secret::new(url), projects, retry);
    AmqpSettings { prefix, delays, timeouts, ..usual }
}

/// A queue on a real broker; what it made there goes with it.
pub(crate) struct Broker {
    pub(crate) queue: AmqpQueue,
    pub(crate) settings: AmqpSettings,
}

impl Broker {
    pub(crate) fn new() -> Self {
        Self::with(settings(&url()))
    }

    pub(crate) fn with(settings: AmqpSettings) -> Self {
        let queue = connect(settings.clone());
        Self { queue, settings }
    }
}

/// One process's queue.
pub(crate) fn connect(settings: AmqpSettings) -> AmqpQueue {
    AmqpQueue::connect(settings, Arc::new(SystemClock)).unwrap()
}

impl Drop for Broker {
    fn drop(&mut self) {
        let settings = self.settings.clone();
        // On a runtime of its own: that of a test that failed runs no more.
        let deletion = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async { connect(settings).delete_all().await })
        });
        if let Err(error) = deletion.join().unwrap() {
            println!("its queues stay on the broker: {error}");
        }
    }
}

#[async_trait]
impl Bench for Broker {
    fn queue(&self) -> &dyn Queue {
        &self.queue
    }

    fn retry(&self) -> RetryPolicy {
        self.settings.retry.clone()
    }

    fn moment(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn pass(&self, time: Duration) {
        SystemClock.sleep(time).await;
    }

    async fn leave(&self, route: &Route, bytes: &[u8]) {
        self.queue.publish_bytes(route, bytes.to_vec()).await.unwrap();
    }

    fn letters(&self) -> &dyn DeadLetters {
        &self.queue
    }
}
