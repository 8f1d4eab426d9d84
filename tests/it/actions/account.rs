//! The account that runners are told to have in Redis.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_redis::redis::{Value, cmd, from_redis_value_ref};
use sluice::clock::{Clock as _, SystemClock};
use sluice::github::CheckStatus;
use sluice::job::JobKind;
use sluice::lease::{LeaseError, LeaseKey, LeaseRequest, Leases as _, Owner};
use sluice::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use sluice::observe::{CheckSaid, Event, JobRef, Observer as _, What};
use sluice::outcome::Conclusion;
use sluice::render::checks::CheckKind;
use sluice_rig::Redis;
use sluice_store::{BEAT, Store, Worker};

use super::studio::Step;
use crate::contracts::queue::broker;
use crate::redis::{connection, settings};
use crate::warehouse::processes::queues;

const DOCS: &str = include_str!("../../../docs/actions.md");

const EVENT: &str = r#"{"action": "opened", "repository": {"full_name": "acme/warehouse"},
    "pull_request": {"number": 7, "head": {"sha": "ab00000000000000000000000000000000000001"}}}"#;

/// What runners are told to have.
fn rights() -> Vec<&'static str> {
    let start = DOCS.find("ACL SETUSER sluice-actions ").expect("the document says the rights");
    let rights = DOCS[start..].split("```").next().unwrap();
    rights.split_ascii_whitespace().filter(|word| *word != "\\").collect()
}

/// A worker that ran the look of that event, and found all well.
async fn works(store: &Store) {
    let shown = Worker { host: "w".into(), since_ms: 1, gate_slots: 4, deploy_slots: 2 };
    let scribe = store.scribe(Some(shown), BEAT);
    let job = JobRef {
        id: JobId::new("approval:warehouse:7:actions:4711:1").unwrap(),
        kind: JobKind::Approval,
        project: ProjectName::new("warehouse").unwrap(),
        pr: PrNumber(7),
        cause: "actions:4711:1".to_owned(),
    };
    let tell = |what| {
        scribe.observe(&Event { at: SystemClock.now(), job: Some(job.clone()), what });
    };
    let head = Sha::new("a".repeat(40)).unwrap();
    let status = CheckStatus::Completed(Conclusion::Success);
    let said = CheckSaid { kind: CheckKind::ProdPlan, status, title: "as it is".to_owned() };
    let environment = Environment::new("warehouse_7").unwrap();
    tell(What::Started { queued: Duration::ZERO });
    tell(What::Checks { head: head.clone(), checks: vec![said] });
    tell(What::Judged { head, environment });
    tell(What::Settled { disposition: "done", why: None });
    scribe.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_a_runner_is_enough_and_can_take_no_lease() {
    let mut server = Redis::new().unwrap();
    server.start().unwrap();
    cmd("ACL").arg(&rights()[1..]).exec(&mut connection(&server.url())).unwrap();
    works(&Store::connect(&settings(&server.url(), "sluice")).unwrap()).await;

    let address = server.url().replace("redis://", "redis://sluice-actions:PASSWORD@");
    let broker = queues(&format!("account-{:016x}", rand::random::<u64>()));
    let config = format!(
        "[queue]\nurl = \"{}\"\nprefix = \"{}\"\n[lease]\nurl = \"{address}\"\n\
         [[project]]\nname = \"warehouse\"\nrepository = \"acme/warehouse\"\npython = \"p\"\n",
        broker::url(),
        broker.settings.prefix,
    );
    let step = Step::new(&config, &["--wait", "--timeout", "1min"]);
    let file = step.file("event.json");
    std::fs::write(&file, EVENT).unwrap();
    let step = step.with("GITHUB_EVENT_NAME", "pull_request");
    let done = step.with("GITHUB_EVENT_PATH", file.to_str().unwrap()).runs().await;
    assert_eq!(done.code, Some(0), "{}", done.complaint);
    assert_eq!(done.output("prod_plan_preview"), "success");

    let waiting: Vec<String> = cmd("ZRANGE")
        .arg("sluice:waiting:sluice.approval")
        .arg(0)
        .arg(-1)
        .query(&mut connection(&server.url()))
        .unwrap();
    assert!(waiting.is_empty() || waiting.len() == 1, "{waiting:?}");
    let denied = denied(&server);
    let is_known = |what: &String| what.starts_with("client") || what == "smembers";
    assert!(denied.iter().all(is_known), "{denied:?}");
    let store = Store::connect(&settings(&address, "sluice")).unwrap();
    let lease = store.leases().acquire(&wish()).await;
    assert!(matches!(lease, Err(LeaseError::Unavailable(_))), "{lease:?}");
}

fn wish() -> LeaseRequest {
    let owner = Owner {
        nonce: "a runner's".to_owned(),
        job: JobId::new("deploy-7").unwrap(),
        host: "runner".to_owned(),
        pr: PrNumber(7),
        head: None,
    };
    let prod = LeaseKey::Environment(ProjectName::new("warehouse").unwrap(), Environment::prod());
    let [ttl, lock_delay] = [2000, 500].map(Duration::from_millis);
    LeaseRequest { keys: vec![prod], owner, ttl, lock_delay }
}

/// What was denied to anybody, each once.
fn denied(server: &Redis) -> Vec<String> {
    let log = cmd("ACL").arg("LOG").arg(100).query(&mut connection(&server.url()));
    let log: Vec<HashMap<String, Value>> = log.unwrap();
    let text = |value: &Value| from_redis_value_ref::<String>(value).unwrap();
    let mut denied: Vec<String> = log.iter().map(|entry| text(&entry["object"])).collect();
    denied.sort();
    denied.dedup();
    denied
}
