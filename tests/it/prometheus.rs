//! A real Prometheus scrapes one producer and two workers, reads our alert rules, and answers every
//! query of the dashboard; every metric of DESIGN section 10 has data by then.
//!
//! Without Prometheus (`cargo xtask test` says so) there is nothing to ask, and nothing is asked.

use std::collections::BTreeSet;
use std::process::Command;

mod cluster;
mod dashboard;
mod server;

use cluster::Cluster;
use server::{LEFT_OUT, Prometheus};

/// The metrics of DESIGN section 10, by their series.
const SERIES: &[&str] = &[
    "sluice_stage_duration_seconds_count",
    "sluice_stage_in_flight",
    "sluice_jobs_published_total",
    "sluice_jobs_settled_total",
    "sluice_job_queue_seconds_count",
    "sluice_lease_wait_seconds_count",
    "sluice_lease_hold_seconds_count",
    "sluice_lease_lost_total",
    "sluice_deploys_total",
    "sluice_deploy_lead_time_seconds_count",
    "sluice_applied_not_merged",
    "sluice_refusals_total",
    "sluice_webhooks_total",
    "sluice_webhook_duration_seconds_count",
    "sluice_github_requests_total",
    "sluice_github_rate_limit_remaining",
    "sluice_queue_depth",
    "sluice_queue_oldest_age_seconds",
    "sluice_build_info",
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

#[tokio::test]
async fn a_real_prometheus_finds_every_metric_and_answers_the_dashboard() {
    let cluster = Cluster::start().await;
    let [producer, workers @ ..] = cluster.addresses();
    let targets = [("producer", &[producer][..]), ("worker", &workers[..])];
    let Some(prometheus) = Prometheus::start(&targets).await else { return };
    cluster.deploys_something().await;

    for series in SERIES {
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
    let measured = SERIES.iter().map(|series| series.trim_end_matches("_count").to_owned());
    assert_eq!(shown, measured.collect());
}

#[test]
fn promtool_accepts_the_rules_and_the_configuration() {
    let program = std::env::var("SLUICE_TEST_PROMTOOL").unwrap_or("promtool".to_owned());
    if program == LEFT_OUT {
        println!("LEFT OUT: there is no promtool here, and `cargo xtask test` said so");
        return;
    }
    let folder = server::deployed();
    for (subject, file) in [("rules", "rules.yml"), ("config", "prometheus.yml")] {
        let check = Command::new(&program).args(["check", subject]).arg(folder.join(file)).output();
        let check = check.expect("promtool is needed: it is in Debian's package `prometheus`");
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{file}: {said}");
    }
}
