//! Webhook deliveries that are done with, for all producers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis;
use sluice::ledger::Processed;
use sluice::names::DeliveryId;

use crate::Shared;

/// How long GitHub can redeliver: 3 days.
const REDELIVERED_WITHIN: Duration = Duration::from_secs(3 * 24 * 3600);

/// The deliveries of the last three days, in Redis.
#[derive(Clone)]
pub struct RedisProcessed {
    shared: Arc<Shared>,
}

impl RedisProcessed {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Processed for RedisProcessed {
    async fn contains(&self, delivery: &DeliveryId) -> bool {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.shared.keys.delivery(delivery));
        let asked = async |connection: &mut _| command.query_async(connection).await;
        self.shared.link.call(asked).await.unwrap_or_else(|error| {
            tracing::warn!(%error, %delivery, "nobody knows whether it was processed");
            false
        })
    }

    async fn mark(&self, deliveries: &[DeliveryId]) {
        let mut pipeline = redis::pipe();
        for delivery in deliveries {
            let mark = pipeline.cmd("SET").arg(self.shared.keys.delivery(delivery)).arg(1);
            mark.arg("EX").arg(REDELIVERED_WITHIN.as_secs()).ignore();
        }
        if pipeline.is_empty() {
            return;
        }
        let marked = async |connection: &mut _| pipeline.query_async::<()>(connection).await;
        if let Err(error) = self.shared.link.call(marked).await {
            let count = deliveries.len();
            tracing::warn!(%error, count, "deliveries cannot be marked: a copy is stored again");
        }
    }
}
