//! Who may talk to Redis, and over what: an account with few rights, and TLS.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use deadpool_redis::redis::{Value, from_redis_value_ref};
use sluice::config::Secret;
use sluice::lease::{LeaseError, Leases as _, Release};
use sluice::ledger::{Ledger as _, Processed as _};
use sluice::names::{DeliveryId, PrNumber, Sha};
use sluice::pause::{Pause, Pauses as _};
use sluice::queue::Route;
use sluice_rig::{Redis, free_port};
use sluice_store::{Action, Store};

use super::{granted, prod, project, request, run, server, soon};
use crate::redis::settings;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");

/// Everything that a store does, once.
async fn all_works(store: &Store) {
    let leases = store.leases();
    leases.check().await.unwrap();
    store.thaw().await.unwrap();
    let first = leases.acquire(&request(1)).await.unwrap();
    leases.renew(&first, "", Release::Reserve).await.unwrap();
    leases.acquire(&request(2)).await.unwrap_err();
    let waiting = {
        let leases = leases.clone();
        tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(3600)).await })
    };
    leases.release(&first, Release::Reserve).await.unwrap();
    soon(waiting).await.unwrap();
    assert_eq!(leases.inspect(&project()).await.unwrap().len(), 1);
    leases.revoke(&prod()).await.unwrap().expect("it was reserved");
    let mut short = request(3);
    short.ttl = Duration::from_millis(20);
    leases.acquire(&short).await.unwrap();
    granted(&leases, 4).await;

    let (ledger, processed, pauses) = (store.ledger(), store.processed(), store.pauses());
    ledger.undertake_cleanup(&project(), PrNumber(1)).await;
    assert!(ledger.is_cleanup_undertaken(&project(), PrNumber(1)).await);
    ledger.withdraw_cleanup(&project(), PrNumber(1)).await;
    assert!(!ledger.is_cleanup_undertaken(&project(), PrNumber(1)).await);
    ledger.begin("message", "a").await;
    assert_eq!(ledger.begin("message", "b").await, Some(1));
    ledger.end("message", "a").await;
    assert_eq!(ledger.begin("message", "b").await, Some(0));
    assert_eq!(ledger.oldest(&Route::Gate).await, None);
    let (project, head) = (project(), Sha::new("a".repeat(40)).unwrap());
    let pull = (&project, PrNumber(1));
    let (number, _) = ledger.hear(pull, "event", Some(&head)).await.expect("it may be heard of");
    ledger.see(&project, PrNumber(1), &head).await;
    ledger.looked(&project, PrNumber(1), number).await;
    let lately = ledger.lately(&project, PrNumber(1)).await.unwrap();
    assert_eq!((lately.looked, lately.head.unwrap().sha), (number, head));
    let delivery = DeliveryId::new("a").unwrap();
    processed.mark(std::slice::from_ref(&delivery)).await;
    assert!(processed.contains(&delivery).await);
    let pause = Pause { project: None, reason: String::new(), by: String::new(), since_ms: 0 };
    pauses.pause(pause).await.unwrap();
    assert_eq!(pauses.list().await.unwrap().len(), 1);
    assert!(pauses.resume(None).await.unwrap());
    let (by, reason) = ("ann@ops".to_owned(), Some("it burnt".to_owned()));
    let actions = (1..=51).map(|at_ms| {
        let what = "resumed all".to_owned();
        Action { at_ms, by: by.clone(), what, reason: reason.clone() }
    });
    for action in actions.collect::<Vec<_>>() {
        store.actions().note(&action).await.unwrap();
    }
    let kept: Vec<u64> =
        store.actions().last().await.unwrap().iter().map(|action| action.at_ms).collect();
    assert_eq!(kept, (2..=51).rev().collect::<Vec<_>>());
    super::journal::tells_a_deploy(store).await;
    super::journal::tells_what_checks_say(store).await;
}

/// What operators are told to give to sluice.
fn documented_rights() -> Vec<&'static str> {
    let start = OPERATIONS.find("ACL SETUSER sluice ").expect("operations.md says the rights");
    let rights = OPERATIONS[start..].split("```").next().unwrap();
    rights.split_ascii_whitespace().filter(|word| *word != "\\").collect()
}

/// What was denied to anybody, each once.
fn denied(server: &Redis) -> Vec<String> {
    let mut connection = crate::redis::connection(&server.url());
    let log = deadpool_redis::redis::cmd("ACL").arg("LOG").arg(100).query(&mut connection);
    let log: Vec<HashMap<String, Value>> = log.unwrap();
    let text = |value: &Value| from_redis_value_ref::<String>(value).unwrap();
    let mut denied: Vec<String> = log.iter().map(|entry| text(&entry["object"])).collect();
    denied.sort();
    denied.dedup();
    denied
}

#[tokio::test]
async fn an_account_with_the_documented_rights_is_enough_and_can_do_no_more() {
    let server = server(Redis::new());
    run(&server.url(), &documented_rights());
    let account = |prefix: &str| {
        let mut settings = settings("", prefix);
        let address = server.url().replace("redis://", "redis://sluice:PASSWORD@");
        settings.url = Secret::new(address);
        Store::connect(&settings).unwrap()
    };
    Box::pin(all_works(&account("sluice"))).await;
    let denied = denied(&server);
    assert!(denied.iter().all(|what| what.starts_with("client")), "{denied:?}");
    // Another's keys, and another's password.
    let other = account("other").leases().acquire(&request(1)).await;
    assert!(matches!(other, Err(LeaseError::Unavailable(_))), "{other:?}");
    let address = server.url().replace("redis://", "redis://sluice:hunter2@");
    let stranger = Store::connect(&settings(&address, "sluice")).unwrap();
    let error = stranger.leases().check().await.unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let mut connection =
        crate::redis::connection(&server.url().replace("redis://", "redis://sluice:PASSWORD@"));
    let denied = deadpool_redis::redis::cmd("FLUSHALL").exec(&mut connection).unwrap_err();
    assert!(denied.to_string().contains("permission"), "{denied}");
}

/// A certificate for 127.0.0.1, and the authority that it descends from.
fn certificates(folder: &Path) -> [PathBuf; 3] {
    let [authority, authority_key, certificate, key, request, names] =
        ["ca.pem", "ca.key", "cert.pem", "cert.key", "cert.csr", "names"]
            .map(|name| folder.join(name));
    std::fs::write(&names, "subjectAltName=IP:127.0.0.1\n").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {new} -days 2 -subj /CN=test-authority -keyout {} -out {}",
        path(&authority_key),
        path(&authority)
    ));
    openssl(&format!("req {new} -subj /CN=redis -keyout {} -out {}", path(&key), path(&request)));
    openssl(&format!(
        "x509 -req -days 2 -in {} -CA {} -CAkey {} -CAcreateserial -extfile {} -out {}",
        path(&request),
        path(&authority),
        path(&authority_key),
        path(&names),
        path(&certificate)
    ));
    [authority, certificate, key]
}

fn openssl(arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn everything_works_over_tls_with_an_authority_of_our_own_and_with_no_other() {
    let redis = Redis::new().unwrap();
    let port = free_port().unwrap();
    let [authority, certificate, key] =
        certificates(redis.folder().path()).map(|file| file.to_str().unwrap().to_owned());
    let (tls_port, certificate, key) = (port.to_string(), certificate, key);
    let options = [
        ["--tls-port", &tls_port],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &authority],
        ["--tls-auth-clients", "no"],
    ];
    let _server = server(Ok::<_, ()>(redis.with(options.concat())));
    let mut over_tls = settings(&format!("rediss://127.0.0.1:{port}/0"), "sluice");
    let strangers = Store::connect(&over_tls).unwrap().leases().check().await;
    assert!(matches!(strangers, Err(LeaseError::Unavailable(_))), "{strangers:?}");
    over_tls.ca_file = Some(PathBuf::from(authority));
    Box::pin(all_works(&Store::connect(&over_tls).unwrap())).await;
    over_tls.ca_file = Some(PathBuf::from("/nowhere/ca.pem"));
    let error = Store::connect(&over_tls).err().expect("a file that is not there").to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}
