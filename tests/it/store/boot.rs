//! A Redis that may have forgotten grants gives none until their holders have stopped.

use std::time::Duration;

use sluice::lease::{LeaseError, LeaseKey, LeaseRequest, Leases as _, Release};
use sluice_rig::Redis;
use sluice_store::Store;

use super::{granted, left, prod, project, request, run, server, soon};
use crate::redis::{Corner, settings};

/// TTL and lock-delay of the tests' settings.
const FREEZE: Duration = Duration::from_millis(2500);

#[tokio::test]
async fn a_redis_that_is_new_to_us_grants_nothing_until_forgotten_holders_have_stopped() {
    let corner = Corner::new();
    let store = Store::connect(&corner.settings).unwrap();
    let leases = store.leases();
    let told = left(leases.acquire(&request(1)).await);
    assert!(told > FREEZE / 2 && told <= FREEZE, "{told:?}");
    assert!(store.frozen().await.unwrap().is_some());
    granted(&leases, 1).await;
    assert_eq!(store.frozen().await.unwrap(), None);
}

#[tokio::test]
async fn the_longest_time_that_any_client_ever_had_counts() {
    let corner = Corner::new();
    let leases = Store::connect(&corner.settings).unwrap().leases();
    let longer = LeaseRequest { ttl: request(1).ttl * 10, ..request(1) };
    assert!(left(leases.acquire(&longer).await) > FREEZE);
    assert!(left(leases.acquire(&request(2)).await) > FREEZE);
}

#[tokio::test]
async fn a_sweep_delays_nobody_by_the_time_that_its_lease_stands() {
    let corner = Corner::new();
    let leases = Store::connect(&corner.settings).unwrap().leases();
    let ttl = request(1).ttl * 100;
    let sweep = LeaseRequest { keys: vec![LeaseKey::Sweep(project())], ttl, ..request(1) };
    assert!(left(leases.acquire(&sweep).await) <= FREEZE);
    assert!(left(leases.acquire(&request(2)).await) <= FREEZE);
}

#[tokio::test]
async fn the_longest_time_counts_until_a_restart_was_waited_for_and_not_for_ever() {
    let mut server = server(Redis::durable());
    let store = Store::connect(&settings(&server.url(), "sluice")).unwrap();
    let longer = LeaseRequest { ttl: request(1).ttl * 10, ..request(1) };
    left(store.leases().acquire(&longer).await);
    let mut frozen = Vec::new();
    for restart in 0..3 {
        if restart == 2 {
            // What it had may be at work until then.
            store.thaw().await.unwrap();
        }
        server.kill().unwrap();
        server.start().unwrap();
        let asked = soon(async {
            loop {
                match store.frozen().await {
                    Ok(frozen) => return frozen,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        frozen.push(asked.await.unwrap());
    }
    let [first, at_once, after] = frozen.try_into().unwrap();
    assert!(
        first > FREEZE && at_once > FREEZE && after <= FREEZE,
        "{first:?} {at_once:?} {after:?}"
    );
}

#[tokio::test]
async fn an_operator_who_knows_that_nothing_runs_ends_the_wait() {
    let corner = Corner::new();
    let store = Store::connect(&corner.settings).unwrap();
    let leases = store.leases();
    left(leases.acquire(&request(1)).await);
    let waiting = {
        let leases = store.leases();
        tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(60)).await })
    };
    assert!(store.thaw().await.unwrap().is_some(), "something was left");
    soon(waiting).await.unwrap();
    leases.acquire(&request(1)).await.unwrap();
    assert_eq!(store.thaw().await.unwrap(), None);
}

#[tokio::test]
async fn a_redis_that_was_emptied_gives_no_second_grant_and_no_old_epoch() {
    let server = server(Redis::new());
    let store = Store::connect(&settings(&server.url(), "sluice")).unwrap();
    store.thaw().await.unwrap();
    let leases = store.leases();
    let first = leases.acquire(&request(1)).await.unwrap();
    run(&server.url(), &["FLUSHALL"]);
    assert!(left(leases.acquire(&request(2)).await) > FREEZE / 2);
    let renewed = leases.renew(&first, "", Release::Free).await;
    assert!(matches!(renewed, Err(LeaseError::Lost(_))), "{renewed:?}");
    assert!(granted(&leases, 2).await.epoch > first.epoch);
}

#[tokio::test]
async fn a_redis_that_restarts_empty_gives_no_second_grant_and_no_old_epoch() {
    let mut server = server(Redis::new());
    let store = Store::connect(&settings(&server.url(), "sluice")).unwrap();
    store.thaw().await.unwrap();
    let leases = store.leases();
    let first = leases.acquire(&request(1)).await.unwrap();
    server.kill().unwrap();
    server.start().unwrap();
    let frozen = soon(async {
        loop {
            match store.frozen().await {
                Ok(frozen) => return frozen,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert!(frozen.await.is_some_and(|left| left > FREEZE / 2));
    let second = granted(&leases, 2).await;
    assert!(second.epoch > first.epoch);
    let late = leases.renew(&first, "", Release::Free).await;
    assert!(matches!(late, Err(LeaseError::Lost(_))), "{late:?}");
}

#[tokio::test]
async fn a_redis_that_restarts_with_its_data_lets_holders_go_on_and_grants_nothing_new() {
    let mut server = server(Redis::durable());
    let store = Store::connect(&settings(&server.url(), "sluice")).unwrap();
    store.thaw().await.unwrap();
    let leases = store.leases();
    let first = leases.acquire(&request(1)).await.unwrap();
    server.kill().unwrap();
    server.start().unwrap();
    soon(async {
        while let Err(error) = leases.renew(&first, "", Release::Free).await {
            assert!(matches!(error, LeaseError::Unavailable(_)), "{error:?}");
        }
    })
    .await;
    assert_eq!(granted(&leases, 1).await, first);
    leases.release(&first, Release::Free).await.unwrap();
    assert!(left(leases.acquire(&request(2)).await) <= FREEZE, "the last second may be missing");
    assert!(granted(&leases, 2).await.epoch > first.epoch);
}
