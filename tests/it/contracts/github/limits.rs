//! GitHub's limits, its redirects, and what need not be asked twice.

use std::sync::Arc;
use std::time::Duration;

use sluice::github::{
    CheckStatus, GitHub, GitHubError, Merge, MergeMethod, MergeOutcome, Role, Via,
};
use sluice::job::JobKind;
use sluice::metrics::Metrics;
use sluice::names::{JobId, Login, PrNumber, ProjectName};
use sluice::observe::{Event, JobRef, Observer, What};
use sluice_sim::StandinConfig;
use sluice_sim::faults::Answer;
use sluice_sim::world::RepositoryName;
use sluice_worker::github::{Auth, SecretString, Settings, WriteLimits};

use super::town::{Town, check, settings};

const MINUTE: Duration = Duration::from_secs(60);

/// A town whose adapter may write so often.
async fn strict(per_minute: u32) -> Town {
    let limits = WriteLimits { per_minute: Some(per_minute), per_hour: None };
    let with = |standin: &sluice_sim::Standin| Settings { limits, ..settings(standin) };
    Town::around(StandinConfig::default(), with).await
}

#[tokio::test]
async fn progress_is_left_out_before_a_merge_has_to_wait() {
    let town = strict(4).await;
    let pr = town.pr("orders").await;
    let mut report = town.report(&pr, "gate:1").await;
    let written = town.github.report(&report).await.unwrap();
    report.comment = None;
    report.checks = vec![check("gate:1", CheckStatus::InProgress)];
    report.checks[0].id = Some(written.checks[0].1.clone());
    // One is left of the two that may be at once.
    let (progress, requests) = town.counted(town.github.report(&report)).await;
    let error = progress.unwrap_err().source;
    assert!(matches!(error, GitHubError::Limited { after } if after <= MINUTE), "{error:?}");
    assert_eq!(requests, 0, "it was not asked");
    let merge = Merge {
        ask: town.ask(&pr),
        pr_id: report.pr_id,
        head: report.head,
        method: MergeMethod::Squash,
        via: Via::Merge,
    };
    let merged = town.github.merge(&merge).await.unwrap();
    assert!(matches!(merged, MergeOutcome::Merged(_)), "{merged:?}");
}

#[tokio::test]
async fn who_is_told_to_stay_away_stays_away() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let limited = Answer::RateLimited { status: 403, retry_after: Some(10 * MINUTE) };
    town.spoil("repository", 1, limited).await;
    let ask = town.ask(&pr);
    let error = town.github.facts(&ask).await.unwrap_err();
    assert!(matches!(error, GitHubError::Limited { after } if after == 10 * MINUTE), "{error:?}");
    let (again, requests) = town.counted(town.github.facts(&ask)).await;
    assert!(matches!(again, Err(GitHubError::Limited { after }) if after > 9 * MINUTE));
    assert_eq!(requests, 0, "GitHub wants to hear nothing");
}

#[tokio::test]
async fn the_last_of_an_hour_is_for_what_a_merge_waits_for() {
    let town = Town::found().await;
    let ask = town.ask(&town.pr("orders").await);
    let nearly_used_up = |world: &mut sluice_sim::World| {
        world.rate_limit().used = 4_900;
        Ok(())
    };
    town.standin.change(nearly_used_up).await.unwrap();
    // GitHub says with its answer that 2 % are left.
    town.github.facts(&ask).await.unwrap();
    let error = town.github.facts(&ask).await.unwrap_err();
    assert!(matches!(error, GitHubError::Limited { .. }), "{error:?}");
    let urgent = sluice::github::Ask { urgent: true, ..ask };
    town.github.facts(&urgent).await.unwrap();
}

#[tokio::test]
async fn each_account_that_the_app_is_installed_on_has_its_token_and_its_limits() {
    let with = |standin: &sluice_sim::Standin| {
        let private_key = SecretString::from(standin.private_key().unwrap());
        let auth = Auth::App { id: StandinConfig::default().app.id, private_key };
        Settings { auth, ..settings(standin) }
    };
    let town = Town::around(StandinConfig::default(), with).await;
    let files = [("warehouse/config.yaml", "gateways: {}")];
    let other = town.standin.repository("umbrella/data").with_files(&files).await.unwrap();
    town.alice.joins(&other, sluice_sim::world::Role::Write).await.unwrap();
    let ours = town.pr("orders").await;
    let theirs = sluice_sim::PrSpec::new("orders").file("warehouse/models/a.sql", "SELECT 3");
    let theirs = town.alice.opens_pr(&other, theirs).await.unwrap();
    let umbrella = sluice::names::Repository::new("umbrella/data").unwrap();
    let their_ask = sluice::github::Ask { repository: umbrella, ..town.ask(&theirs) };
    for _ in 0..2 {
        assert_eq!(town.facts(&ours).await.number.0, ours.number);
        assert_eq!(town.github.facts(&their_ask).await.unwrap().number.0, theirs.number);
    }
    let requests = town.standin.requests();
    let by: Vec<_> = requests.iter().filter_map(|request| request.installation).collect();
    let app = StandinConfig::default().app.installation;
    assert_eq!(by, [app, app + 1, app, app + 1], "each with the token that was made for it");
    let minted = requests.iter().filter(|request| request.path.ends_with("/access_tokens"));
    assert_eq!(minted.count(), 2);

    let limited = Answer::RateLimited { status: 429, retry_after: Some(MINUTE) };
    town.spoil("repository", 1, limited).await;
    assert!(town.github.facts(&town.ask(&ours)).await.is_err());
    town.github.facts(&their_ask).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_known_costs_nothing_and_is_as_fresh_as_any() {
    let town = Town::found().await;
    let ask = town.ask(&town.pr("orders").await);
    let role = async || town.github.role(&ask, &Login::new("alice")).await.unwrap();
    let used = async || town.standin.change(|world| Ok(world.rate_limit().used)).await.unwrap();
    assert_eq!(role().await, Role::Write);
    let before = used().await;
    assert_eq!(role().await, Role::Write);
    assert_eq!(used().await, before);
    assert_eq!(town.standin.requests().last().unwrap().status, 304);
    town.alice.joins(&town.repository, sluice_sim::world::Role::Maintain).await.unwrap();
    assert_eq!(role().await, Role::Maintain);
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_found_by_its_old_name() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let report = town.report(&pr, "gate:1").await;
    let from = town.repository.clone();
    let rename =
        move |world: &mut sluice_sim::World| world.rename(&from, RepositoryName::new("acme/lake"));
    town.standin.change(rename).await.unwrap();
    town.github.report(&report).await.unwrap();
    assert_eq!(town.facts(&pr).await.checks.len(), 1);
    let role = town.github.role(&town.ask(&pr), &Login::new("bob")).await.unwrap();
    assert_eq!(role, Role::Maintain);
    let statuses: Vec<u16> = town.standin.requests().iter().map(|r| r.status).collect();
    assert!(statuses.ends_with(&[301, 200]), "{statuses:?}");
}

#[tokio::test]
async fn what_a_job_asks_is_counted_as_its_own() {
    let metrics = Arc::new(Metrics::new(&[], "test").unwrap());
    let observer: Arc<dyn Observer> = metrics.clone();
    let with = |standin: &sluice_sim::Standin| Settings {
        observer: observer.clone(),
        ..settings(standin)
    };
    let town = Town::around(StandinConfig::default(), with).await;
    let pr = town.pr("orders").await;
    let job = JobRef {
        id: JobId::new("approval:1").unwrap(),
        kind: JobKind::Approval,
        project: ProjectName::new("warehouse").unwrap(),
        pr: PrNumber(pr.number),
        cause: "test".to_owned(),
    };
    let ask = sluice::github::Ask { job: Some(job.clone()), ..town.ask(&pr) };
    town.github.facts(&ask).await.unwrap();
    town.github.role(&ask, &Login::new("alice")).await.unwrap();
    town.facts(&pr).await;
    let settled = What::Settled { disposition: "done", why: None };
    let at = std::time::SystemTime::UNIX_EPOCH;
    metrics.observe(&Event { at, job: Some(job), what: settled });
    let scrape = metrics.render().unwrap();
    let sum = "sluice_github_requests_per_job_sum{kind=\"approval\"} 2";
    assert!(scrape.contains(sum), "{scrape}");
}
