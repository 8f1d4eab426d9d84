//! What `deploy/` brings for Prometheus and Grafana: rules that promtool accepts, and a dashboard
//! that shows every metric of DESIGN section 10.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

mod dashboard;

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
    if program == "left out" {
        println!("LEFT OUT: there is no promtool here, and `cargo xtask test` said so");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for (subject, file) in [("rules", "rules.yml"), ("config", "prometheus.yml")] {
        let check = Command::new(&program).args(["check", subject]).arg(folder.join(file)).output();
        let check = check.expect("promtool is needed: it is in Debian's package `prometheus`");
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{file}: {said}");
    }
}
