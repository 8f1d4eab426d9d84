//! From a signed webhook over HTTP to a job that is stored, against a client that only publishes.
//!
//! The body is as large as GitHub's are for a pull request; both sides have as many under way as
//! the producer takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sluice::clock::{Clock, SystemClock};
use sluice::metrics::Metrics;
use sluice::names::ProjectName;
use sluice::queue::Route;
use sluice_producer::{assemble, serve};
use sluice_service::Bound;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::bare::Bare;
use crate::figures::{median, rate, ratio};
use crate::machine::{Machine, PROJECT, SECRET};

const WEBHOOKS: usize = 4_000;
const IN_FLIGHT: usize = 16;
const ROUNDS: usize = 5;

/// GitHub's webhooks for a pull request measured 20-25 KB.
const BODY_BYTES: usize = 20_000;

/// About what the stored job measures.
const JOB_BYTES: usize = 330;

pub(crate) async fn measure(machine: &Machine) -> anyhow::Result<String> {
    let config = machine.config(16)?;
    let stores = machine.stores(&config).await?;
    let metrics = Arc::new(Metrics::new(&[ProjectName::new(PROJECT)?], "bench")?);
    let observer = stores.told(vec![metrics.clone()], None).observer;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (settings, deps) = assemble(&config, &stores, clock, observer, metrics);
    let bound = Bound::new(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let (address, shutdown) = (bound.address(), CancellationToken::new());
    let serving = tokio::spawn(serve(bound, settings, deps, shutdown.clone()));

    let queue = Route::Approval.queue();
    let bare_client = Bare::connect(&machine.amqp()).await?;
    let (mut ours, mut unstored, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(rate(WEBHOOKS, deliver(address, round, STORED).await?));
        let stored = stores.queue.waiting(&Route::Approval).await?.jobs;
        anyhow::ensure!(stored == WEBHOOKS as u64, "{stored} of {WEBHOOKS} were stored");
        bare_client.purge(&queue).await?;
        let job = [b'x'; JOB_BYTES];
        bare.push(rate(WEBHOOKS, bare_client.publish(&queue, &job, (WEBHOOKS, IN_FLIGHT)).await?));
        bare_client.purge(&queue).await?;
        unstored.push(rate(WEBHOOKS, deliver(address, round, UNSTORED).await?));
    }
    shutdown.cancel();
    serving.await?;
    let what = format!("webhook to stored, {IN_FLIGHT} under way");
    let ratio = ratio(&what, (median(ours), median(bare)), 0.7);
    let unstored = median(unstored);
    Ok(format!(
        "{ratio}\n  of which HTTP, signature and JSON alone, nothing stored: {unstored:.0}/s"
    ))
}

/// An event and the status that it is answered with: one that leads to a job, and one to none.
type Answered = (&'static str, &'static str);
const STORED: Answered = ("pull_request", " 200 ");
const UNSTORED: Answered = ("ping", " 202 ");

async fn deliver(
    address: SocketAddr,
    round: usize,
    (event, status): Answered,
) -> anyhow::Result<Duration> {
    let body = body();
    let signature = signature(&body)?;
    let start = SystemClock.instant();
    let senders = (0..IN_FLIGHT).map(|sender| {
        let (body, signature) = (&body, &signature);
        async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            for number in 0..WEBHOOKS / IN_FLIGHT {
                let head = format!(
                    "POST /webhooks/github HTTP/1.1\r\nHost: bench\r\n\
                     Content-Type: application/json\r\nX-GitHub-Event: {event}\r\n\
                     X-GitHub-Delivery: bench-{round}-{sender}-{number}\r\n\
                     X-Hub-Signature-256: {signature}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
                answer(&mut stream, status).await?;
            }
            anyhow::Ok(())
        }
    });
    try_join_all(senders).await?;
    Ok(SystemClock.instant().saturating_duration_since(start))
}

/// A pull request that was opened, with as much beside it as GitHub says.
fn body() -> String {
    serde_json::json!({
        "action": "opened",
        "pull_request": {"number": 7, "head": {"sha": "a".repeat(40)}},
        "repository": {"full_name": "acme/warehouse"},
        "links": vec!["https://api.github.example/repos/acme/warehouse"; BODY_BYTES / 50],
    })
    .to_string()
}

fn signature(body: &str) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(body.as_bytes());
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

/// Reads one answer, which has to have that status.
async fn answer(stream: &mut TcpStream, expected: &str) -> anyhow::Result<()> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut buffer).await?;
        anyhow::ensure!(read > 0, "the producer hung up");
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            let status = head.lines().next().context("an empty answer")?;
            anyhow::ensure!(status.contains(expected), "{text}");
            return Ok(());
        }
    }
}
