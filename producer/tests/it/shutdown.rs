//! Health, metrics, and an end that loses nothing.

use std::time::Duration;

use crate::world::{Given, Mood, PATIENCE, World, opened, status};

#[tokio::test]
async fn it_is_ready_while_the_queue_answers() {
    let world = World::new().await;
    assert_eq!(world.get("/readyz").await.0, 200);
    world.queue_is(Mood::StoresOnly(0));
    // What the queue said last counts for a second.
    let unready = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            let (status, text) = world.get("/readyz").await;
            if status == 503 {
                return text;
            }
            ticks.tick().await;
        }
    };
    let text = tokio::time::timeout(PATIENCE, unready).await.expect("it notices");
    assert_eq!(text, "the queue does not answer\n");
    assert_eq!(world.get("/healthz").await.0, 200);
    world.finish().await;
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let world = World::new().await;
    let (status, text) = world.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("sluice_build_info"), "{text}");
    world.finish().await;
}

#[tokio::test]
async fn told_to_stop_it_is_not_ready_and_still_accepts_while_it_lingers() {
    let linger = Duration::from_secs(3600);
    let world = World::given(Given { linger, ..Given::default() }).await;
    world.shutdown.cancel();
    assert_eq!(world.get("/readyz").await.0, 503);
    assert_eq!(world.get("/healthz").await.0, 200);
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    world.running.abort();
}

#[tokio::test]
async fn a_webhook_in_hand_is_finished() {
    let mut world = World::new().await;
    world.queue_is(Mood::Hangs);
    let webhook = tokio::spawn(status(world.delivery("d-1", "pull_request", &opened())));
    world.asked(1).await;
    world.shutdown.cancel();
    // The listener is gone before the request in hand is done.
    let refused = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let address = world.url.strip_prefix("http://").unwrap();
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("nobody listens any more");
    let ended = tokio::time::timeout(Duration::from_millis(200), &mut world.running).await;
    assert!(ended.is_err(), "it ended with a webhook in hand");
    world.queue_is(Mood::Stores);
    assert_eq!(webhook.await.unwrap(), 200);
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    world.finish().await;
}

#[tokio::test]
async fn it_ends_when_what_it_answered_is_marked() {
    let mut world = World::new().await;
    world.deliveries_are_marked(false);
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    world.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_millis(200), &mut world.running).await;
    assert!(ended.is_err(), "it ended before the mark");
    world.deliveries_are_marked(true);
    world.finish().await;
}
