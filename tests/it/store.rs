//! What the Redis store promises beyond the ports: how it goes through faults of Redis itself.

mod access;
mod boot;
mod faults;
mod handoff;
mod journal;
mod proxy;

use std::time::Duration;

use deadpool_redis::redis;
use sluice::lease::{Grant, LeaseError, LeaseKey, LeaseRequest, Leases as _, Obstacle, Owner};
use sluice::names::{Environment, JobId, PrNumber, ProjectName};
use sluice_rig::Redis;
use sluice_store::RedisLeases;

use crate::redis::connection;

/// Waits for something that takes no longer than seconds, or fails.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it did not happen")
}

fn project() -> ProjectName {
    ProjectName::new("warehouse").unwrap()
}

fn prod() -> LeaseKey {
    LeaseKey::Environment(project(), Environment::prod())
}

/// Pull request `pr`'s wish for prod.
fn request(pr: u64) -> LeaseRequest {
    let owner = Owner {
        nonce: format!("nonce-{pr}"),
        job: JobId::new(format!("deploy-{pr}")).unwrap(),
        host: "worker-1".to_owned(),
        pr: PrNumber(pr),
        head: None,
    };
    let [ttl, lock_delay] = [2000, 500].map(Duration::from_millis);
    LeaseRequest { keys: vec![prod()], owner, ttl, lock_delay }
}

fn left(answer: Result<Grant, LeaseError>) -> Duration {
    match answer {
        Err(LeaseError::Busy { obstacle: Obstacle::LockDelay { left }, .. }) => left,
        other => panic!("expected to be told to wait, got {other:?}"),
    }
}

/// Waits as a worker does, until the lease is given.
async fn granted(leases: &RedisLeases, pr: u64) -> Grant {
    soon(async {
        loop {
            match leases.acquire(&request(pr)).await {
                Ok(grant) => return grant,
                Err(LeaseError::Busy { .. }) => {
                    leases.changed(&[prod()], Duration::from_secs(60)).await;
                }
                // The connection of before the restart: the next one is new.
                Err(LeaseError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

/// A server of this test's own, started.
fn server(server: Result<Redis, impl std::fmt::Debug>) -> Redis {
    let mut server = server.unwrap();
    server.start().unwrap();
    server
}

/// One command, by who may do everything.
fn run(url: &str, words: &[&str]) -> redis::Value {
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection(url)).unwrap()
}
