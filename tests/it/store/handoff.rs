//! How a lease goes from one holder to the next.

use std::future::pending;
use std::time::{Duration, Instant};

use sluice::clock::{Clock as _, SystemClock};
use sluice::lease::{Leases as _, Release};
use sluice_store::{RedisLeases, Store};

use super::{granted, prod, request, soon};
use crate::redis::Corner;

/// Takes and gives back in turns with others; says when it was given and when it gave back.
async fn turns(leases: RedisLeases, pr: u64, count: usize) -> Vec<(Instant, Instant)> {
    let mut turns = Vec::new();
    for _ in 0..count {
        let grant = granted(&leases, pr).await;
        let given = SystemClock.instant();
        // Long enough for the others to wait.
        drop(tokio::time::timeout(HELD, pending::<()>()).await);
        let back = SystemClock.instant();
        leases.release(&grant, Release::Free).await.unwrap();
        turns.push((given, back));
    }
    turns
}

const HELD: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_reaches_who_waits_in_other_processes_at_once() {
    let corner = Corner::new();
    corner.store().await;
    // Each with connections and a subscription of its own, as a process has.
    let workers = (1..=3).map(|pr| {
        let store = Store::connect(&corner.settings).unwrap();
        tokio::spawn(turns(store.leases(), pr, 30))
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(soon(worker).await.unwrap());
    }
    all.sort();
    let gaps = all.windows(2).map(|pair| {
        assert!(pair[1].0 >= pair[0].1, "two held it at once");
        pair[1].0 - pair[0].1
    });
    let mut gaps: Vec<Duration> = gaps.collect();
    gaps.sort();
    let (half, most) = (gaps[gaps.len() / 2], gaps[gaps.len() * 99 / 100]);
    println!("hand-off: p50 {half:?}, p99 {most:?}");
    // Far above what it takes, far below the seconds of the poll.
    assert!(half < Duration::from_millis(250), "p50 {half:?}");
}

#[tokio::test]
async fn a_release_that_nobody_was_told_of_is_found_by_asking_again() {
    let corner = Corner::new();
    let leases = corner.store().await.leases();
    leases.acquire(&request(1)).await.unwrap();
    let waiting = {
        let leases = leases.clone();
        tokio::spawn(async move {
            loop {
                if let Ok(grant) = leases.acquire(&request(2)).await {
                    return grant;
                }
                leases.changed(&[prod()], Duration::from_millis(200)).await;
            }
        })
    };
    tokio::task::yield_now().await;
    let key = format!("{}:lease:warehouse:environment:prod", corner.settings.key_prefix);
    deadpool_redis::redis::cmd("DEL").arg(key).exec(&mut corner.connection()).unwrap();
    soon(waiting).await.unwrap();
}
