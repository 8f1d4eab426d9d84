//! The subscription: one connection per process, made again for as long as the store lives.
//!
//! Owns getting word of changes to those who wait. A word may be lost (Redis promises none):
//! whoever waits asks again by itself, slowly.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::PubSub;
use deadpool_redis::redis::{Client, RedisError};
use futures_util::StreamExt as _;

use crate::waiters::Waiters;

/// How often a silent connection is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The waits between attempts to connect grow from the first to the last of these.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Listens until dropped.
pub(crate) async fn listen(
    client: Client,
    within: Duration,
    channel: String,
    waiters: Arc<Waiters>,
) {
    let mut pause = RETRY.0;
    loop {
        match subscribe(&client, within, &channel).await {
            Ok(subscription) => {
                // Nobody knows what was said while nobody listened.
                waiters.wake_all();
                let why = hear(subscription, within, &waiters).await;
                tracing::warn!(why, "the subscription to Redis has ended");
                pause = RETRY.0;
            }
            Err(why) => tracing::warn!(why, "Redis cannot be subscribed to"),
        }
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

async fn subscribe(client: &Client, within: Duration, channel: &str) -> Result<PubSub, String> {
    let subscribing = async {
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(channel).await?;
        Ok::<_, RedisError>(subscription)
    };
    match tokio::time::timeout(within, Box::pin(subscribing)).await {
        Ok(Ok(subscription)) => Ok(subscription),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Passes on what is said, until the connection breaks: says how.
async fn hear(subscription: PubSub, within: Duration, waiters: &Waiters) -> String {
    let (mut asking, mut messages) = subscription.split();
    let mut probe = tokio::time::interval(PROBE_EVERY);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return "the connection was closed".to_owned() };
                match serde_json::from_slice::<Vec<String>>(message.get_payload_bytes()) {
                    Ok(keys) => waiters.wake(&keys),
                    Err(_) => waiters.wake_all(),
                }
            }
            _ = probe.tick() => {
                match tokio::time::timeout(within, asking.ping::<()>()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return error.to_string(),
                    Err(_) => return "no answer in time".to_owned(),
                }
            }
        }
    }
}
