//! The list of pull requests, open ones and those merged last: what a sweep sees is what the world
//! holds, 50 in a request.

use sluice::github::{CheckStatus, GitHub, GitHubError, OpenPull, PrState, Report};
use sluice::names::{PrNumber, Repository};
use sluice_sim::PrSpec;

use super::town::{Town, check};

fn repository(town: &Town) -> Repository {
    Repository::new(town.repository.to_string()).unwrap()
}

async fn listed(town: &Town) -> Vec<OpenPull> {
    let page = town.github.open_pulls(&repository(town), None).await.unwrap();
    assert_eq!(page.next, None);
    page.pulls
}

#[tokio::test]
async fn open_ones_are_listed_and_closed_ones_are_not() {
    let town = Town::found().await;
    let (open, closed) = (town.pr("orders").await, town.pr("customers").await);
    let spec = |branch| PrSpec::new(branch).file("warehouse/models/d.sql", "SELECT 6");
    let draft = town.alice.opens_pr(&town.repository, spec("d").draft()).await.unwrap();
    let fork = spec("f").from_fork("mallory/data");
    let fork = town.mallory.opens_pr(&town.repository, fork).await.unwrap();
    town.alice.closes(&closed).await.unwrap();
    let pulls = listed(&town).await;
    let told: Vec<_> = pulls.iter().map(|pull| (pull.number, pull.draft, pull.fork)).collect();
    let number = |pr: &sluice_sim::Pr| PrNumber(pr.number);
    let all = [
        (number(&open), false, false),
        (number(&draft), true, false),
        (number(&fork), false, true),
    ];
    assert_eq!(told, all);
    let first = &pulls[0];
    assert_eq!((&first.head, first.base_branch.as_str()), (&town.head(&open), "main"));
    assert_eq!((first.reviewed_ms, first.checks.as_slice()), (None, [].as_slice()));
}

#[tokio::test]
async fn our_own_checks_on_the_head_are_told_with_their_times() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let other = town.report(&pr, "job-1").await;
    let queued = Report { checks: vec![check("job-1", CheckStatus::Queued)], ..other.clone() };
    let made = town.github.report(&queued).await.unwrap();
    let open = listed(&town).await.remove(0).checks.remove(0);
    assert_eq!((open.name.as_str(), open.external_id.as_str()), ("SQLMesh - Linter", "job-1"));
    assert_eq!((open.status, open.completed_ms), (CheckStatus::Queued, None));
    let asked_ms = open.started_ms.expect("GitHub says since when");
    assert_eq!(town.facts(&pr).await.checks[0].started_ms, Some(asked_ms));

    let mut done = other;
    done.checks[0].id = Some(made.checks[0].1.clone());
    town.github.report(&done).await.unwrap();
    let concluded = listed(&town).await.remove(0).checks.remove(0);
    assert!(concluded.completed_ms.is_some_and(|ms| ms >= asked_ms), "{concluded:?}");
    assert_eq!(concluded.started_ms, Some(asked_ms), "a conclusion is no new beginning");

    town.bob.approves(&pr).await.unwrap();
    assert!(listed(&town).await[0].reviewed_ms.is_some_and(|ms| ms >= asked_ms));
    town.alice.pushes(&pr, &[("warehouse/models/c.sql", Some("SELECT 5"))]).await.unwrap();
    assert_eq!(listed(&town).await[0].checks, [], "the new head has none");
}

#[tokio::test]
async fn checks_of_another_app_are_not_ours() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let (repository, head) = (town.repository.clone(), town.head(&pr));
    let report = move |world: &mut sluice_sim::World| {
        let change = sluice_sim::world::CheckRunChange::default();
        let (name, commit) = ("SQLMesh - Linter".to_owned(), head.to_string());
        let run = sluice_sim::world::NewCheckRun { name, commit, change };
        world.report_check("github-actions", &repository, run)
    };
    town.standin.change(report).await.unwrap();
    assert_eq!(listed(&town).await[0].checks, []);
}

#[tokio::test]
async fn a_check_that_is_asked_for_anew_stands_open_since_then() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let report = town.report(&pr, "job-1").await;
    let made = town.github.report(&report).await.unwrap();
    let id = made.checks[0].1.clone();
    let long_ago = |world: &mut sluice_sim::World| {
        let started_at = Some(std::time::SystemTime::UNIX_EPOCH);
        let change = sluice_sim::world::CheckRunChange { started_at, ..Default::default() };
        let name = sluice_sim::RepositoryName::new("acme/data");
        let run = world.repository(&name)?.runs.values().next().unwrap().id;
        world.update_check_run(&sluice_sim::world::Identity::App, &name, run, change)
    };
    town.standin.change(long_ago).await.unwrap();
    assert_eq!(listed(&town).await[0].checks[0].started_ms, Some(0));
    let mut again = Report { checks: vec![check("job-2", CheckStatus::Queued)], ..report };
    again.checks[0].id = Some(id);
    town.github.report(&again).await.unwrap();
    let open = listed(&town).await.remove(0).checks.remove(0);
    assert!(open.started_ms.is_some_and(|ms| ms > 1_000_000_000_000), "{open:?}");
}

#[tokio::test]
async fn fifty_open_ones_cost_one_request() {
    let town = Town::found().await;
    for number in 0..51 {
        town.pr(&format!("model_{number}")).await;
    }
    let merged = town.pr("merged").await;
    town.bob.merges_by_hand(&merged).await.unwrap();
    let (first, requests) = town.counted(town.github.open_pulls(&repository(&town), None)).await;
    let first = first.unwrap();
    assert_eq!((first.pulls.len(), first.merged.len(), requests), (50, 1, 1));
    let next = first.next.expect("there is one more");
    let rest = town.github.open_pulls(&repository(&town), Some(&next)).await.unwrap();
    assert_eq!((rest.pulls.len(), rest.merged.len(), rest.next), (1, 0, None));
    assert_eq!(rest.pulls[0].number, PrNumber(51));
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_not_found() {
    let town = Town::found().await;
    let nowhere = Repository::new("acme/nowhere").unwrap();
    let error = town.github.open_pulls(&nowhere, None).await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound(_)), "{error:?}");
}

#[tokio::test]
async fn those_merged_last_come_with_the_first_page() {
    let town = Town::found().await;
    let (first, second) = (town.pr("orders").await, town.pr("customers").await);
    town.pr("open").await;
    let report = town.report(&first, "job-1").await;
    town.github.report(&report).await.unwrap();
    let head = town.head(&first);
    for pr in [&second, &first] {
        town.bob.merges_by_hand(pr).await.unwrap();
    }
    let page = town.github.open_pulls(&repository(&town), None).await.unwrap();
    let numbers: Vec<_> = page.merged.iter().map(|pull| pull.number.0).collect();
    assert_eq!(numbers, [first.number, second.number], "the last one first");
    let merged = &page.merged[0];
    assert_eq!((&merged.head, merged.checks.len()), (&head, 1));
    let PrState::Merged(commit) = town.facts(&first).await.state else { panic!("it is merged") };
    assert!(commit.at_ms.is_some());
    assert_eq!(merged.merged_ms, commit.at_ms);
}
