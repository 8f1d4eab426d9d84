//! A Redis that is away, hangs, or takes the answer along.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sluice::config::Secret;
use sluice::lease::{LeaseError, LeaseKey, LeaseRequest, Leases, Release};
use sluice::ledger::Ledger as _;
use sluice_rig::{Redis, free_port};
use sluice_store::{RedisLedger, Store};

use super::proxy::Proxy;
use super::{granted, prod, project, request, run, server, soon};
use crate::redis::{Corner, settings};

/// Every verb fails, in time and without telling the password.
async fn fails_closed(leases: &dyn Leases, grant: &sluice::lease::Grant) {
    let wish = request(2);
    let errors = [
        leases.acquire(&wish).await.err(),
        leases.renew(grant, "", Release::Free).await.err(),
        leases.release(grant, Release::Free).await.err(),
        leases.inspect(&project()).await.err(),
        leases.revoke(&prod()).await.err(),
        leases.check().await.err(),
    ];
    for error in errors {
        let Some(LeaseError::Unavailable(why)) = &error else { panic!("it said {error:?}") };
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[tokio::test]
async fn a_redis_that_hangs_or_is_gone_fails_every_verb_in_time() {
    let mut server = server(Redis::new());
    run(&server.url(), &["CONFIG", "SET", "requirepass", "hunter2"]);
    let mut settings = settings("", "sluice");
    settings.url = Secret::new(server.url().replace("redis://", "redis://:hunter2@"));
    let store = Store::connect(&settings).unwrap();
    store.thaw().await.unwrap();
    let leases = store.leases();
    let grant = leases.acquire(&request(1)).await.unwrap();
    server.process().unwrap().stop().unwrap();
    soon(fails_closed(&leases, &grant)).await;
    soon(leases.changed(&[prod()], Duration::from_millis(100))).await;
    server.process().unwrap().go_on().unwrap();
    soon(async { while leases.check().await.is_err() {} }).await;
    server.kill().unwrap();
    soon(fails_closed(&leases, &grant)).await;
}

#[tokio::test]
async fn a_store_is_made_while_redis_is_away_and_works_when_it_has_come() {
    let mut server = Redis::new().unwrap();
    let store = Store::connect(&settings(&server.url(), "sluice")).unwrap();
    let leases = store.leases();
    assert!(matches!(leases.check().await, Err(LeaseError::Unavailable(_))));
    server.start().unwrap();
    soon(async { while leases.check().await.is_err() {} }).await;
    granted(&leases, 1).await;
}

/// A run has ended while Redis was away; it is back now.
async fn ended_unheard() -> (Redis, RedisLedger) {
    let always = ["--appendfsync", "always"];
    let mut server = server(Redis::durable().map(|redis| redis.with(always)));
    let ledger = Store::connect(&settings(&server.url(), "sluice")).unwrap().ledger();
    assert_eq!(ledger.begin("message", "first").await, Some(0));
    server.kill().unwrap();
    ledger.end("message", "first").await;
    server.start().unwrap();
    (server, ledger)
}

#[tokio::test]
async fn a_run_that_ended_while_redis_was_away_is_taken_for_no_death() {
    let (_server, ledger) = ended_unheard().await;
    assert_eq!(ledger.begin("message", "second").await, Some(0));
    assert_eq!(ledger.begin("message", "third").await, Some(1), "the second has not ended");
}

#[tokio::test]
async fn who_has_nothing_more_to_do_says_that_a_run_has_ended_once_redis_is_back() {
    let (server, _ledger) = ended_unheard().await;
    let another = Store::connect(&settings(&server.url(), "sluice")).unwrap().ledger();
    soon(async { while another.begin("message", "second").await != Some(0) {} }).await;
}

#[tokio::test]
async fn an_end_whose_teller_was_cancelled_is_told_by_the_next() {
    let corner = Corner::new();
    let ledger = corner.store().await.ledger();
    assert_eq!(ledger.begin("message", "first").await, Some(0));
    let mut telling = ledger.end("message", "first");
    assert!(futures_util::poll!(&mut telling).is_pending());
    drop(telling);
    assert_eq!(ledger.begin("message", "second").await, Some(0));
}

#[tokio::test]
async fn nobody_who_is_not_asked_is_named_in_an_error() {
    let address = format!("redis://sluice:hunter2@127.0.0.1:{}/0", free_port().unwrap());
    let store = Store::connect(&settings(&address, "sluice")).unwrap();
    let error = store.leases().check().await.unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    for address in ["redis://sluice:hunter2@h:port/0", "http://hunter2@h", "redis://h/hunter2"] {
        let Err(error) = Store::connect(&settings(address, "sluice")) else { panic!("{address}") };
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(!format!("{:?}", settings("redis://:hunter2@h", "")).contains("hunter2"));
}

#[tokio::test]
async fn a_lease_whose_grant_was_lost_on_the_way_is_had_by_asking_again() {
    let corner = Corner::new();
    corner.store().await;
    let proxy = Proxy::start(corner.settings.url.expose()).await;
    let mut through = corner.settings.clone();
    through.url = Secret::new(proxy.url());
    let leases = Store::connect(&through).unwrap().leases();
    // The scripts are known afterwards: the next question is one command and one answer.
    let first = leases.acquire(&request(1)).await.unwrap();
    leases.release(&first, Release::Free).await.unwrap();
    proxy.swallow_the_next_grant();
    let unheard = leases.acquire(&request(1)).await;
    assert!(matches!(unheard, Err(LeaseError::Unavailable(_))), "{unheard:?}");
    let held = leases.inspect(&project()).await.unwrap();
    assert_eq!(held.len(), 1, "the script ran: {held:?}");
    let grant = leases.acquire(&request(1)).await.unwrap();
    assert_eq!(grant.epoch, held[0].epoch);
    leases.renew(&grant, "", Release::Free).await.unwrap();
}

#[tokio::test]
async fn a_burst_of_other_calls_does_not_hold_up_a_renewal() {
    const OTHERS: usize = 1000;
    let corner = Corner::new();
    let store = Store::connect(&corner.settings).unwrap();
    store.thaw().await.unwrap();
    let leases = store.leases();
    let grant = leases.acquire(&request(1)).await.unwrap();
    leases.renew(&grant, "", Release::Free).await.unwrap();
    let [asked, answered] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let others = (0..OTHERS).map(|_| {
        let (leases, asked, answered) = (leases.clone(), asked.clone(), answered.clone());
        tokio::spawn(async move {
            asked.fetch_add(1, Ordering::Relaxed);
            // Some give up: the line is longer than they wait.
            drop(leases.inspect(&project()).await);
            answered.fetch_add(1, Ordering::Relaxed);
        })
    });
    let others: Vec<_> = others.collect();
    while asked.load(Ordering::Relaxed) < OTHERS {
        tokio::task::yield_now().await;
    }
    leases.renew(&grant, "", Release::Free).await.unwrap();
    let before = answered.load(Ordering::Relaxed);
    assert!(before < OTHERS, "all {OTHERS} were answered first");
    for other in others {
        other.await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_holds_any_more_leaves_nothing_behind() {
    let corner = Corner::new();
    let leases = corner.store().await.leases();
    let snapshot = |number| LeaseKey::Snapshot(project(), format!("model@{number}"));
    let lost = LeaseRequest {
        keys: (0..50).map(snapshot).collect(),
        ttl: Duration::from_millis(50),
        lock_delay: Duration::from_millis(50),
        ..request(1)
    };
    leases.acquire(&lost).await.unwrap();
    assert!(corner.keys().len() > 50);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    soon(async {
        loop {
            ticks.tick().await;
            let grant = leases.acquire(&request(2)).await.unwrap();
            leases.release(&grant, Release::Free).await.unwrap();
            let left = corner.keys();
            if left == ["boot", "epoch"].map(|key| format!("{}:{key}", corner.settings.key_prefix))
            {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_would_forget_leases_when_it_is_full_is_not_available() {
    let policy = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = server(Redis::new().map(|redis| redis.with(policy)));
    let leases = Store::connect(&settings(&server.url(), "sluice")).unwrap().leases();
    let error = leases.check().await.unwrap_err().to_string();
    assert!(error.contains("noeviction"), "{error}");
    run(&server.url(), &["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    leases.check().await.unwrap();
}
