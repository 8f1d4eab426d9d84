//! Everything has a bound: bodies, patience, how many at once.

use std::time::Duration;

use sluice_producer::Limits;
use sluice_service::Connections;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{Given, Mood, PATIENCE, World, opened, sign, status};

const SHORT: Duration = Duration::from_millis(200);

async fn with(limits: Limits) -> World {
    World::given(Given { limits, ..Given::default() }).await
}

fn connections(connections: Connections) -> Limits {
    Limits { connections, ..Limits::default() }
}

/// Sends these bytes, no more, and returns all that is answered until the connection ends.
async fn raw(world: &World, bytes: &str) -> String {
    let mut stream = TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("the connection ends").unwrap();
    answer
}

fn head(length: &str) -> String {
    let signature = sign("new", "{}");
    format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: d\r\n\
         X-Hub-Signature-256: {signature}\r\n{length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_not_read() {
    let world = World::new().await;
    let answer = raw(&world, &head("Content-Length: 26214401")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_cut_off() {
    let world = with(Limits { max_body: 10, ..Limits::default() }).await;
    let chunked = head("Transfer-Encoding: chunked") + "b\r\n{\"a\": \"bcd\"\r\n";
    let answer = raw(&world, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(world.diary(), ["webhook push too_large"]);
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let world = with(Limits { body_within: SHORT, ..Limits::default() }).await;
    let answer = raw(&world, &(head("Content-Length: 2") + "{")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(world.diary(), ["webhook push incomplete"]);
    world.finish().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_awaited_for_ever() {
    let world =
        with(connections(Connections { head_within: SHORT, ..Connections::default() })).await;
    let answer = raw(&world, "POST /webhooks/github HTTP/1.1\r\nHost").await;
    assert!(!answer.contains("200 OK"), "{answer}");
    assert_eq!(world.diary(), [""; 0]);
    world.finish().await;
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_a_failure_that_github_sees() {
    let world = with(Limits { store_within: SHORT, ..Limits::default() }).await;
    world.queue_is(Mood::Hangs);
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 503);
    world.queue_is(Mood::Stores);
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    world.finish().await;
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_again() {
    let limits = Limits { webhooks: 1, slot_within: SHORT, ..Limits::default() };
    let world = with(limits).await;
    world.queue_is(Mood::Hangs);
    let first = tokio::spawn(status(world.delivery("d-1", "pull_request", &opened())));
    world.asked(1).await;
    assert_eq!(status(world.delivery("d-2", "pull_request", &opened())).await, 503);
    world.queue_is(Mood::Stores);
    assert_eq!(first.await.unwrap(), 200);
    world.finish().await;
}

#[tokio::test]
async fn senders_who_never_end_stop_nobody_else() {
    let limits = Limits { webhooks: 2, body_within: 3 * PATIENCE, ..Limits::default() };
    let world = with(limits).await;
    let mut senders = Vec::new();
    for _ in 0..20 {
        senders.push(begun(&world).await);
    }
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    drop(senders);
    world.finish().await;
}

/// A sender of a large body who has sent a part of it, and of whom more is awaited.
async fn begun(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = head("Content-Length: 26214400\r\nExpect: 100-continue");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    read.expect("its body is read").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream.write_all(b"{").await.unwrap();
    stream
}

#[tokio::test]
async fn bodies_together_take_no_more_memory_than_allowed() {
    let length = opened().to_string().len();
    let world = with(Limits { all_bodies: 2 * length - 1, ..Limits::default() }).await;
    world.queue_is(Mood::Hangs);
    let first = tokio::spawn(status(world.delivery("d-1", "pull_request", &opened())));
    world.asked(1).await;
    assert_eq!(status(world.delivery("d-2", "pull_request", &opened())).await, 503);
    assert_eq!(world.diary(), ["webhook pull_request busy"]);
    world.queue_is(Mood::Stores);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(status(world.delivery("d-2", "pull_request", &opened())).await, 200);
    world.finish().await;
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let world = with(connections(Connections { most: 1, ..Connections::default() })).await;
    let address = world.url.strip_prefix("http://").unwrap();
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(timeout(SHORT, second.read(&mut [0; 1024])).await.is_err());
    drop(first);
    let answer = timeout(PATIENCE, second.read(&mut [0; 1024])).await;
    assert!(answer.unwrap().unwrap() > 0);
    drop(second);
    world.finish().await;
}

#[test]
fn github_hears_of_every_failure_before_it_gives_up() {
    let limits = Limits::default();
    let longest = limits.body_within + limits.slot_within + limits.store_within;
    assert!(longest < Duration::from_secs(10));
}
