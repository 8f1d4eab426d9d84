//! What a scrape says after a story that is told in events.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use sluice::clock::Clock as _;
use sluice::clock::manual::ManualClock;
use sluice::job::JobKind;
use sluice::lease::memory::MemoryLeases;
use sluice::lease::{LeaseKey, LeaseRequest, Leases, Owner, Release};
use sluice::ledger::MemoryLedger;
use sluice::metrics::Metrics;
use sluice::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use sluice::observe::{Event, JobRef, LeaseEnd, Observer, What};
use sluice::outcome::{DeployOutcome, Disposition, Reason, Refusal, Stage, StageOutcome};
use sluice::queue::memory::MemoryQueue;
use sluice::queue::{Queue as _, RetryPolicy, Route};

fn warehouse() -> ProjectName {
    ProjectName::new("warehouse").unwrap()
}

fn job(kind: JobKind) -> JobRef {
    let id = JobId::new("warehouse/7").unwrap();
    JobRef { id, kind, project: warehouse(), pr: PrNumber(7), cause: "test".to_owned() }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Metrics that heard: a webhook, a gate check that refuses, a deploy that is interrupted in its
/// apply, and one that reaches prod and then waits for its merge.
fn after_the_story() -> Metrics {
    let metrics = Metrics::new(&[warehouse()], "0.1.0").unwrap();
    let tell = |job: Option<JobRef>, what| {
        metrics.observe(&Event { at: UNIX_EPOCH, job, what });
    };
    let hook = ("pull_request", "accepted", seconds(0.004));
    tell(None, What::Webhook { event: hook.0, outcome: hook.1, took: hook.2 });
    for (status, remaining) in [(200, Some(4999)), (502, None), (0, None)] {
        let (verb, took) = ("facts", seconds(0.2));
        tell(None, What::GitHubRequest { verb, status, took, remaining });
    }
    for what in a_refused_gate_check() {
        tell(Some(job(JobKind::Gate)), what);
    }
    for what in a_deploy_lost_and_resumed() {
        tell(Some(job(JobKind::Deploy)), what);
    }
    metrics
}

fn a_refused_gate_check() -> Vec<What> {
    let refusal = Refusal::new(Reason::NotApproved, "Need a Required Approval");
    vec![
        What::Published,
        What::Started { queued: seconds(0.25) },
        What::StageStarted(Stage::Lint),
        What::StageEnded { stage: Stage::Lint, outcome: StageOutcome::Ok, took: seconds(1.5) },
        What::Refused(vec![refusal]),
        What::Settled { disposition: "done", why: None },
    ]
}

fn a_deploy_lost_and_resumed() -> Vec<What> {
    let prod = || "warehouse/prod".to_owned();
    let snapshot = || "warehouse/snapshot/orders@1".to_owned();
    let took = seconds(40.0);
    vec![
        What::LeaseGranted { key: prod(), waited: seconds(90.0) },
        What::StageStarted(Stage::Apply),
        What::StageEnded { stage: Stage::Apply, outcome: StageOutcome::Interrupted, took },
        What::LeaseEnded { key: prod(), held: took, end: LeaseEnd::Lost },
        What::LeaseGranted { key: prod(), waited: seconds(0.0) },
        What::LeaseGranted { key: snapshot(), waited: seconds(0.0) },
        What::LeaseEnded { key: snapshot(), held: took, end: LeaseEnd::Released },
        What::Deployed { lead: seconds(400.0) },
        What::AppliedNotMerged(true),
        What::DeployEnded(DeployOutcome::AppliedNotMerged),
        What::StageStarted(Stage::Merge),
    ]
}

/// Without buckets, and without what did not happen: a new stage or reason is no change here.
#[test]
fn a_scrape_tells_the_story() {
    let text = after_the_story().render().unwrap();
    let happened = |line: &&str| !line.contains("_bucket{") && !line.ends_with(" 0");
    let told: Vec<_> = text.lines().filter(happened).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn every_stage_has_a_histogram_before_it_ran() {
    let text = Metrics::new(&[warehouse()], "0.1.0").unwrap().render().unwrap();
    for stage in Stage::ALL {
        let line = format!(
            "sluice_stage_duration_seconds_bucket{{outcome=\"ok\",stage=\"{stage}\",le=\"+Inf\"}} 0"
        );
        assert!(text.contains(&line), "no {line}");
    }
}

/// An alert on an increase sees nothing of a series that is born at 1.
#[test]
fn what_alerts_count_is_there_before_it_happens() {
    let metrics = Metrics::new(&[warehouse()], "0.1.0").unwrap();
    metrics.expect_webhooks(&["not_stored"]);
    let text = metrics.render().unwrap();
    let settled = JobKind::ALL.into_iter().flat_map(|kind| {
        let kind = kind.label();
        Disposition::LABELS.map(|disposition| {
            format!(
                "sluice_jobs_settled_total{{disposition=\"{disposition}\",kind=\"{kind}\"}} 0\n"
            )
        })
    });
    let webhook = "sluice_webhooks_total{event=\"push\",outcome=\"not_stored\"} 0\n";
    let lost = "sluice_lease_lost_total{project=\"warehouse\"} 0\n";
    let failed = "sluice_deploys_total{outcome=\"failed\",project=\"warehouse\"} 0\n";
    let others = [webhook, lost, failed].map(ToOwned::to_owned);
    for line in settled.chain(others) {
        assert!(text.contains(&line), "no {line}");
    }
}

#[test]
fn prometheus_accepts_the_names_and_the_format() {
    let program = crate::prometheus::program("SLUICE_TEST_PROMTOOL", "promtool");
    let Some(program) = program else { return };
    let mut promtool = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed: it is in Debian's package `prometheus`");
    let text = after_the_story().render().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(verdict.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn a_sample_says_how_many_jobs_wait() {
    let metrics = Metrics::new(&[warehouse()], "0.1.0").unwrap();
    let clock = Arc::new(ManualClock::new());
    let queue = MemoryQueue::new(clock.clone(), RetryPolicy::default());
    let route = Route::Deploy(warehouse());
    queue.publish_bytes(&route, b"a job".to_vec()).unwrap();
    clock.leap(Duration::from_secs(90));
    let (ledger, routes) = (MemoryLedger::default(), [Route::Gate, route]);
    metrics.sample_queue(&queue, &ledger, clock.now(), &routes).await.unwrap();
    let text = metrics.render().unwrap();
    assert!(text.contains("sluice_queue_depth{queue=\"sluice.gate\"} 0\n"), "{text}");
    assert!(text.contains("sluice_queue_depth{queue=\"sluice.deploy.warehouse\"} 1\n"), "{text}");
    assert!(text.contains("sluice_queue_depth{queue=\"sluice.dead\"} 0\n"), "{text}");
    let age = "sluice_queue_oldest_age_seconds{queue=\"sluice.deploy.warehouse\"} 90\n";
    assert!(text.contains(age), "{text}");
}

/// What is no job at all dies like any other, and no observer hears of a job.
#[tokio::test]
async fn a_sample_says_how_many_failed_for_good() {
    let metrics = Metrics::new(&[warehouse()], "0.1.0").unwrap();
    let clock = Arc::new(ManualClock::new());
    let queue = MemoryQueue::new(clock.clone(), RetryPolicy::default());
    queue.publish_bytes(&Route::Gate, b"no job".to_vec()).unwrap();
    let mut jobs = queue.consume(&Route::Gate, 1).await.unwrap();
    let job = jobs.next().await.unwrap();
    job.settle(Disposition::Dead("not a job".to_owned())).await.unwrap();
    let ledger = MemoryLedger::default();
    metrics.sample_queue(&queue, &ledger, clock.now(), &[]).await.unwrap();
    let text = metrics.render().unwrap();
    assert!(text.contains("sluice_queue_depth{queue=\"sluice.dead\"} 1\n"), "{text}");
}

/// Worker A hears that a head is applied but not merged; worker B merges it.
#[tokio::test]
async fn a_sample_corrects_what_another_worker_changed() {
    let gauge = |metrics: &Metrics, value| {
        let line = format!("sluice_applied_not_merged{{project=\"warehouse\"}} {value}\n");
        metrics.render().unwrap().contains(&line)
    };
    let (a, b) = (after_the_story(), Metrics::new(&[warehouse()], "0.1.0").unwrap());
    let leases = MemoryLeases::new(Arc::new(ManualClock::new()));
    let owner = Owner {
        nonce: "n".to_owned(),
        job: job(JobKind::Deploy).id,
        host: "b".to_owned(),
        pr: PrNumber(7),
        head: Sha::new("a".repeat(40)).ok(),
    };
    let keys = vec![LeaseKey::Environment(warehouse(), Environment::prod())];
    let (ttl, lock_delay) = (seconds(120.0), seconds(30.0));
    let grant = leases.acquire(&LeaseRequest { keys, owner, ttl, lock_delay }).await.unwrap();
    leases.release(&grant, Release::Reserve).await.unwrap();
    b.sample_reservations(&leases, &[warehouse()]).await.unwrap();
    assert!(gauge(&a, 1) && gauge(&b, 1));

    leases.release(&grant, Release::Free).await.unwrap();
    a.sample_reservations(&leases, &[warehouse()]).await.unwrap();
    assert!(gauge(&a, 0));
}
