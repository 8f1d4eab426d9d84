//! How a lease goes from one holder to the next.

use std::future::pending;
use std::time::Duration;

use sluice::clock::{Clock as _, SystemClock};
use sluice::lease::{Leases as _, Release};
use sluice_store::Store;

use super::{granted, prod, request, soon};
use crate::redis::Corner;

/// Long enough for the next one to wait.
const HELD: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_reaches_who_waits_in_another_process_at_once() {
    let corner = Corner::new();
    corner.store().await;
    // Each with connections and a subscription of its own, as a process has.
    let [one, other] = [(); 2].map(|()| Store::connect(&corner.settings).unwrap().leases());
    let (mut holder, mut next) = ((one, 1), (other, 2));
    let mut grant = granted(&holder.0, holder.1).await;
    let mut gaps = Vec::new();
    for _ in 0..40 {
        let (leases, pr) = next.clone();
        let waiting = tokio::spawn(async move {
            let grant = granted(&leases, pr).await;
            (grant, SystemClock.instant())
        });
        drop(tokio::time::timeout(HELD, pending::<()>()).await);
        let released = SystemClock.instant();
        holder.0.release(&grant, Release::Free).await.unwrap();
        let (given, at) = soon(waiting).await.unwrap();
        gaps.push(at - released);
        grant = given;
        std::mem::swap(&mut holder, &mut next);
    }
    gaps.sort();
    println!("hand-off: p50 {:?}, most {:?}", gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    // Far above what it takes, far below the time to live, after which it is looked again.
    assert!(gaps[gaps.len() / 2] < Duration::from_millis(250), "{gaps:?}");
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
