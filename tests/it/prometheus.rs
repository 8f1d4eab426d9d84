//! A real Prometheus scrapes one producer and two workers, reads our alert rules, and answers every
//! query of the dashboard; every metric of DESIGN section 10 has data by then.
//!
//! Where a developer has none and said so (`SLUICE_TEST_WITHOUT_PROMETHEUS`) nothing is asked, and
//! a line says that. Where it is only missing, these tests fail.

use std::collections::BTreeSet;
use std::process::Command;

mod cluster;
mod dashboard;
mod server;

use cluster::Cluster;
use server::Prometheus;

/// One of Prometheus' programs, by the variable that names it; `None` when it is left out.
pub fn program(variable: &str, usual: &str) -> Option<String> {
    let program = std::env::var(variable).unwrap_or(usual.to_owned());
    if program != "left out" {
        return Some(program);
    }
    let ci = std::env::var("CI").unwrap_or_default();
    assert!(["", "false"].contains(&ci.as_str()), "CI leaves no test out");
    println!("LEFT OUT: {usual}, as SLUICE_TEST_WITHOUT_PROMETHEUS says");
    None
}

/// What promtool says to these arguments, which it accepts; nothing where it is left out.
fn promtool(arguments: &[&str]) {
    let Some(program) = program("SLUICE_TEST_PROMTOOL", "promtool") else { return };
    let check = Command::new(&program).args(arguments).current_dir(server::deployed()).output();
    let check = check.expect("promtool is needed: it is in Debian's package `prometheus`");
    let said = [check.stdout, check.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(check.status.success(), "{arguments:?}: {said}");
}

/// The metrics of DESIGN section 10, by their series: those that have counted or measured something
/// when one pull request was deployed.
const HAPPENED: &[&str] = &[
    "sluice_stage_duration_seconds_count",
    "sluice_jobs_published_total",
    "sluice_jobs_settled_total",
    "sluice_job_queue_seconds_count",
    "sluice_lease_wait_seconds_count",
    "sluice_lease_hold_seconds_count",
    "sluice_deploys_total",
    "sluice_deploy_lead_time_seconds_count",
    "sluice_webhooks_total",
    "sluice_webhook_duration_seconds_count",
    "sluice_github_requests_total",
    "sluice_github_rate_limit_remaining",
    "sluice_github_requests_per_job_count",
    "sluice_build_info",
];

/// The others, which are there.
const THERE: &[&str] = &[
    "sluice_stage_in_flight",
    "sluice_lease_lost_total",
    "sluice_applied_not_merged",
    "sluice_refusals_total",
    "sluice_queue_depth",
    "sluice_queue_oldest_age_seconds",
    "sluice_github_held_back_total",
];

/// What only one role can know, and which.
const BY_ROLE: &[(&str, &str)] = &[
    (r#"sluice_webhooks_total{job="producer",outcome="stored"} > 0"#, "a webhook was stored"),
    (r#"sum(sluice_webhook_duration_seconds_count{job="producer"}) > 0"#, "it was answered"),
    (r#"sum(sluice_jobs_settled_total{job="worker",disposition="done"}) > 0"#, "jobs ended"),
    (r#"sum(sluice_deploys_total{job="worker",outcome="deployed"}) == 1"#, "one was a deploy"),
    (r#"sum(sluice_deploy_lead_time_seconds_count{job="worker"}) == 1"#, "its time is known"),
    (r#"sum(sluice_lease_hold_seconds_count{job="worker"}) > 0"#, "prod was held"),
    (r#"sum(sluice_github_requests_total{job="worker"}) > 0"#, "GitHub was asked"),
    (r#"count(sluice_build_info{job="producer"}) == 1"#, "one producer"),
    (r#"count(sluice_build_info{job="worker"}) == 2"#, "two workers"),
    (r#"count(up{job="worker"} == 1) == 2"#, "both answer"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_finds_every_metric_and_answers_the_dashboard() {
    let cluster = Cluster::start().await;
    let addresses = cluster.addresses();
    let targets = [("producer", &addresses[..1]), ("worker", &addresses[1..])];
    let Some(prometheus) = Prometheus::start(&targets).await else { return };
    cluster.deploys_something().await;

    for series in HAPPENED {
        prometheus.until_answered(&format!("sum({series}) > 0")).await;
    }
    for series in THERE {
        prometheus.until_answered(series).await;
    }
    for (query, what) in BY_ROLE {
        println!("{what}");
        prometheus.until_answered(query).await;
    }
    for query in dashboard::queries() {
        prometheus.understands(&query).await;
    }
    let rules = prometheus.until_rules_are_evaluated().await;
    assert_eq!(rules, 10, "alert rules");
    cluster.stop().await;
}

/// The dashboard shows all of it, and nothing that nobody measures.
#[test]
fn the_dashboard_shows_the_metrics_of_the_design() {
    let shown: BTreeSet<String> =
        dashboard::queries().iter().flat_map(|query| dashboard::metrics_in(query)).collect();
    let measured =
        HAPPENED.iter().chain(THERE).map(|series| series.trim_end_matches("_count").to_owned());
    assert_eq!(shown, measured.collect());
}

#[test]
fn promtool_accepts_the_rules_and_the_configuration() {
    promtool(&["check", "rules", "rules.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
}

/// Each alert fires when it should, on the first event of its kind.
#[test]
fn the_alerts_fire_at_the_first_event() {
    promtool(&["test", "rules", "rules_test.yml"]);
}
