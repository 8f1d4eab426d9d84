//! What an operator sees and does.

use sluice::clock::{Clock as _, SystemClock};
use sluice::job::{Envelope, GateCheck, Job, Refresh, Scope};
use sluice::lease::{LeaseError, LeaseKey, LeaseRequest, Owner, Release};
use sluice::names::{Environment, JobId, PrNumber, Sha};
use sluice::outcome::Disposition;
use sluice::queue::Route;

use crate::cluster::{Cluster, PATIENCE};

fn owner() -> Owner {
    let head = Sha::new("ab00000000000000000000000000000000000001").unwrap();
    Owner {
        nonce: "a nonce".to_owned(),
        job: JobId::of_deploy(&Cluster::warehouse(), PrNumber(7), &head),
        host: "a worker of this test".to_owned(),
        pr: PrNumber(7),
        head: Some(head),
    }
}

/// Holds prod.
async fn hold(cluster: &Cluster) -> sluice::lease::Grant {
    cluster.thaw().await;
    let request = LeaseRequest {
        keys: vec![LeaseKey::Environment(Cluster::warehouse(), Environment::prod())],
        owner: owner(),
        ttl: PATIENCE,
        lock_delay: PATIENCE,
    };
    cluster.stores.leases.acquire(&request).await.unwrap()
}

#[tokio::test]
async fn unlock_takes_a_lease_and_says_from_whom() {
    let cluster = Cluster::new();
    let grant = hold(&cluster).await;
    let status = cluster.json(&["status"]).await;
    assert_eq!(status["frozen_ms"], serde_json::Value::Null);
    assert_eq!(status["leases"][0]["key"], "warehouse/prod");
    assert_eq!(status["leases"][0]["url"], "http://127.0.0.1:9/acme/warehouse/pull/7");
    assert_eq!(status["leases"][0]["host"], "a worker of this test");
    assert_eq!(status["leases"][0]["pr"], 7);

    let without = cluster.says(&["unlock", "warehouse"]).await;
    assert_eq!(without.status.code(), Some(2), "it wants a reason");
    let taken = cluster.json(&["unlock", "warehouse", "--reason", "its machine burnt"]).await;
    assert_eq!(taken["taken"]["epoch"], grant.epoch);
    assert_eq!(taken["reason"], "its machine burnt");
    let renewed = cluster.stores.leases.renew(&grant, "", Release::Free).await;
    assert!(matches!(renewed, Err(LeaseError::Lost(_))), "{renewed:?}");
    let rests = cluster.json(&["unlock", "warehouse", "prod", "--reason", "again"]).await;
    assert!(rests["taken"].is_null() && rests["rests_ms"].as_u64() > Some(0), "{rests:#}");
    let status = cluster.json(&["status"]).await;
    let lease = &status["leases"][0];
    assert_eq!((&lease["standing"], &lease["pr"]), (&"resting".into(), &7.into()), "{status:#}");
    assert!(lease["rests_ms"].as_u64() > Some(0), "nothing can start, and nobody says so");
    let action = &status["actions"][0];
    assert_eq!(action["what"], "took warehouse/prod from PR #7", "{status:#}");
    assert_eq!(action["reason"], "its machine burnt", "{status:#}");
    assert_eq!(status["actions"].as_array().unwrap().len(), 1, "nothing was done to what rests");
    cluster.finish().await;
}

#[tokio::test]
async fn status_shows_that_nothing_is_granted_yet() {
    let cluster = Cluster::new();
    let status = cluster.json(&["status"]).await;
    assert!(status["frozen_ms"].as_u64() > Some(0), "{status:#}");
    let words = String::from_utf8(cluster.says(&["status"]).await.stdout).unwrap();
    assert!(words.contains("none is granted for another"), "{words}");
    cluster.finish().await;
}

#[tokio::test]
async fn pause_and_resume_are_seen_in_status() {
    let cluster = Cluster::new();
    cluster.json(&["pause", "--all", "--reason", "the warehouse is being moved"]).await;
    cluster.json(&["pause", "warehouse", "--reason", "and this one longer"]).await;
    let status = cluster.json(&["status"]).await;
    assert_eq!(status["pauses"][0]["project"], serde_json::Value::Null);
    assert_eq!(status["pauses"][1]["reason"], "and this one longer");
    let said = cluster.says(&["resume", "warehouse"]).await;
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("stays paused with all projects"), "{said}");
    let resumed = cluster.json(&["resume", "--all", "--reason", "done"]).await;
    assert_eq!(resumed["was_paused"], true);
    assert_eq!(resumed["pauses"], serde_json::json!([]));
    let status = cluster.json(&["status"]).await;
    let did = status["actions"].as_array().unwrap().iter();
    let did: Vec<_> = did.map(|action| (&action["what"], &action["reason"])).collect();
    let was = |what: &str, reason: &str| (what.into(), reason.into());
    let expected: [(serde_json::Value, serde_json::Value); 4] = [
        was("resumed all projects", "done"),
        ("resumed warehouse".into(), serde_json::Value::Null),
        was("paused warehouse", "and this one longer"),
        was("paused all projects", "the warehouse is being moved"),
    ];
    assert!(did.iter().copied().eq(expected.iter().map(|(what, why)| (what, why))), "{did:#?}");
    let unknown = cluster.says(&["pause", "lake", "--reason", "x"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let why = String::from_utf8(unknown.stderr).unwrap();
    assert!(why.contains("not configured; there are: warehouse"), "{why}");
    cluster.finish().await;
}

#[tokio::test]
async fn dead_letters_are_listed_retried_and_dropped() {
    let cluster = Cluster::new();
    for pr in [7, 8] {
        let job = GateCheck {
            project: Cluster::warehouse(),
            pr: PrNumber(pr),
            scope: Scope::Approval,
            head: None,
            refresh: Refresh::No,
            command: None,
        };
        let now = sluice::clock::unix_ms(SystemClock.now());
        let envelope = Envelope::new(Job::GateCheck(job), "test", now);
        cluster.stores.queue.publish(&envelope).await.unwrap();
    }
    let mut deliveries = cluster.stores.queue.consume(&Route::Approval, 2).await.unwrap();
    for _ in 0..2 {
        let delivery = tokio::time::timeout(PATIENCE, deliveries.next()).await.unwrap().unwrap();
        delivery.settle(Disposition::Dead("it is broken".to_owned())).await.unwrap();
    }
    drop(deliveries);
    assert_eq!(cluster.json(&["status"]).await["dead"], 2);
    let list = cluster.json(&["dead", "list"]).await;
    let ids: Vec<&str> =
        list["dead"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(list["dead"][0]["reason"], "it is broken");
    assert_eq!(list["dead"][0]["message"]["job"]["pr"], 7);
    let retried = cluster.json(&["dead", "retry", ids[0]]).await;
    assert_eq!(retried["retried"][0], ids[0]);
    assert_eq!(cluster.json(&["dead", "drop", "--all"]).await["dropped"][0], ids[1]);
    let status = cluster.json(&["status"]).await;
    assert_eq!(status["actions"][0]["what"], format!("dropped dead letters: {}", ids[1]));
    assert_eq!(status["actions"][1]["what"], format!("retried dead letters: {}", ids[0]));
    assert_eq!(cluster.json(&["dead", "list"]).await["dead"], serde_json::json!([]));
    let missing = cluster.says(&["dead", "drop", "nothing"]).await;
    assert_eq!(missing.status.code(), Some(1));
    let mut deliveries = cluster.stores.queue.consume(&Route::Approval, 2).await.unwrap();
    let back = tokio::time::timeout(PATIENCE, deliveries.next()).await.unwrap().unwrap();
    assert_eq!(back.attempt(), 0);
    back.settle(Disposition::Done).await.unwrap();
    cluster.finish().await;
}

#[tokio::test]
async fn verbs_say_that_what_is_in_memory_cannot_be_seen() {
    let cluster = Cluster::new();
    let text = std::fs::read_to_string(cluster.file()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("url = "));
    std::fs::write(cluster.file(), lines.collect::<Vec<_>>().join("\n")).unwrap();
    for verb in [
        &["status"][..],
        &["unlock", "warehouse", "--reason", "x"],
        &["pause", "--all", "--reason", "x"],
        &["dead", "list"],
    ] {
        let said = cluster.says(verb).await;
        assert_eq!(said.status.code(), Some(1), "{verb:?}");
        let why = String::from_utf8(said.stderr).unwrap();
        assert!(why.contains("in the memory of the `sluice up` process"), "{verb:?}: {why}");
    }
    cluster.finish().await;
}
