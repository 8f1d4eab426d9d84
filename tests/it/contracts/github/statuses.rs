//! Checks of a person's token, which may write no check runs: statuses are what is read back, and
//! nobody else's words are.

use std::time::Duration;

use sluice::config::ChecksAs;
use sluice::github::{Attempt, Check, CheckStatus, CheckWrite, GitHub, GitHubError, Report};
use sluice::names::{Repository, Sha};
use sluice::outcome::Conclusion;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{CommitStatus, Identity, NewStatus, Role, StatusState};
use sluice_sim::{Oid, Pr, Standin, StandinConfig};
use sluice_worker::github::{Auth, HttpGitHub, SecretString, Settings, WriteLimits};

use super::town::{Town, check, settings};

pub(super) const LINTER: &str = "SQLMesh - Linter";
pub(super) const MARK: &str = "<!-- sluice:command IC_1 -->";
pub(super) const PASSED: CheckStatus = CheckStatus::Completed(Conclusion::Success);

/// The adapter as the machine user `robot`.
fn as_robot(standin: &Standin) -> Settings {
    let _ = standin.user("robot");
    let auth = Auth::Token(SecretString::from(String::from("token-robot")));
    Settings { auth, ..settings(standin) }
}

/// A town whose sluice has a person's token, with a pull request.
pub(super) async fn found() -> (Town, Pr) {
    found_with(as_robot).await
}

async fn found_with(settings: impl FnOnce(&Standin) -> Settings) -> (Town, Pr) {
    let town = Town::around(StandinConfig::default(), settings).await;
    town.standin.user("robot").joins(&town.repository, Role::Write).await.unwrap();
    let pr = town.pr("orders").await;
    (town, pr)
}

/// A report of these checks, and nothing else.
pub(super) async fn of(town: &Town, pr: &Pr, checks: Vec<CheckWrite>) -> Report {
    Report { checks, comment: None, ..town.report(pr, "job-1").await }
}

/// All statuses of a commit, oldest first.
pub(super) fn given(town: &Town, commit: &Sha) -> Vec<CommitStatus> {
    town.standin.world(|world| {
        let all = &world.repository(&town.repository).unwrap().statuses;
        all.iter().filter(|one| one.commit.as_str() == commit.as_str()).cloned().collect()
    })
}

/// The comment with the pages: its id, and its text.
pub(super) fn pages(town: &Town, pr: &Pr) -> Option<(u64, String)> {
    let comments = town.standin.pr(pr).unwrap().comments;
    let mut ours = comments.into_iter().filter(|one| one.author == Identity::user("robot"));
    let ours = ours.find(|one| one.body.starts_with("<!-- sluice:checks "))?;
    Some((ours.id, ours.body))
}

pub(super) async fn checks(town: &Town, pr: &Pr) -> Vec<Check> {
    town.facts(pr).await.checks
}

async fn gives(town: &Town, who: &str, commit: &Sha, new: NewStatus) {
    let (by, name) = (Identity::user(who), town.repository.clone());
    let commit = Oid::new(commit.as_str());
    let give = move |world: &mut sluice_sim::World| world.create_status(&by, (&name, &commit), new);
    town.standin.change(give).await.unwrap();
}

pub(super) async fn posts_fail(town: &Town, path: &str, times: u32, answer: Answer) {
    let matching = Matching::Rest { method: "POST".to_owned(), path: path.to_owned() };
    let spoil = move |world: &mut sluice_sim::World| {
        world.faults.answer(matching, times, answer);
        Ok(())
    };
    town.standin.change(spoil).await.unwrap();
}

#[tokio::test]
async fn checks_are_read_back_as_they_were_written() {
    let (town, pr) = found().await;
    let mut report = town.report(&pr, "deploy:warehouse:1:x").await;
    let job = format!("deploy:warehouse:{}:{}", pr.number, report.head);
    report.checks = vec![
        CheckWrite {
            summary: "<!-- sluice:gate:v1 a.b -->\n**All** well.".to_owned(),
            ..check(&job, PASSED)
        },
        CheckWrite {
            name: "SQLMesh - Run Unit Tests".to_owned(),
            summary: format!("Waits.\n{MARK}"),
            details_url: None,
            ..check("job-2", CheckStatus::Queued)
        },
    ];
    let reported = town.github.report(&report).await.unwrap();
    let read = checks(&town, &pr).await;
    let ids: Vec<_> = read.iter().map(|one| (one.name.clone(), one.id.clone())).collect();
    assert_eq!(reported.checks, ids);
    let [linter, tests] = &read[..] else { panic!("{read:#?}") };
    assert_eq!((linter.external_id.as_str(), linter.status), (job.as_str(), PASSED));
    assert_eq!(
        (linter.title.as_str(), &linter.summary),
        ("Linter passed", &report.checks[0].summary)
    );
    assert_eq!((tests.status, tests.summary.as_str()), (CheckStatus::Queued, MARK));
    let seen = town.standin.pr(&pr).unwrap();
    assert_eq!(seen.checks.len(), 0, "no check run");
    let address = |name: &str| seen.status(name).unwrap().target_url.clone().unwrap();
    assert!(address(LINTER).starts_with("https://sluice.example/jobs/1?sluice="));
    let (id, body) = pages(&town, &pr).unwrap();
    assert!(address("SQLMesh - Run Unit Tests").ends_with(&format!("#issuecomment-{id}")));
    assert!(body.contains("**All** well.") && !body.contains("Waits."), "{body}");
    assert_eq!(reported.comment, town.facts(&pr).await.comment.map(|comment| comment.id));
    let other = sluice::names::Sha::new("b".repeat(40)).unwrap();
    let of = async |commit: &Sha| town.github.checks(&town.ask(&pr), commit).await.unwrap();
    assert_eq!(of(&report.head).await, read);
    assert_eq!(of(&other).await, []);
}

#[tokio::test]
async fn each_conclusion_becomes_a_state_that_lets_no_more_pass() {
    let (town, pr) = found().await;
    let states = [
        (Conclusion::Success, StatusState::Success),
        (Conclusion::Neutral, StatusState::Success),
        (Conclusion::Skipped, StatusState::Success),
        (Conclusion::Failure, StatusState::Failure),
        (Conclusion::ActionRequired, StatusState::Failure),
        (Conclusion::Cancelled, StatusState::Error),
    ];
    for (conclusion, state) in states {
        let status = CheckStatus::Completed(conclusion);
        let report = of(&town, &pr, vec![check("job-1", status)]).await;
        town.github.report(&report).await.unwrap();
        assert_eq!(town.standin.pr(&pr).unwrap().status(LINTER).unwrap().state, state);
        assert_eq!(checks(&town, &pr).await[0].status, status);
    }
}

#[tokio::test]
async fn that_no_check_run_may_be_written_is_learned_once() {
    let (town, pr) = found().await;
    let other = town.pr("customers").await;
    for pr in [&pr, &other] {
        let report = town.report(pr, "job-1").await;
        town.github.report(&report).await.unwrap();
    }
    assert_eq!(town.asked("createCheckRun"), 1);
    assert_eq!(town.standin.pr(&pr).unwrap().comments.len(), 2, "one comment, and the pages");

    // A process that has not learned it yet reads them all the same, and goes on with them.
    let fresh = HttpGitHub::new(&as_robot(&town.standin)).unwrap();
    let read = fresh.facts(&town.ask(&pr)).await.unwrap().checks;
    assert_eq!(read.len(), 1);
    let mut next = check("job-2", CheckStatus::Completed(Conclusion::Failure));
    next.id = Some(read[0].id.clone());
    fresh.report(&of(&town, &pr, vec![next]).await).await.unwrap();
    assert_eq!(checks(&town, &pr).await[0].external_id, "job-2");
}

#[tokio::test]
async fn it_can_be_said_and_unsaid_beforehand() {
    let with = |checks| move |standin: &Standin| Settings { checks, ..as_robot(standin) };
    let (town, pr) = found_with(with(ChecksAs::Statuses)).await;
    town.github.report(&town.report(&pr, "job-1").await).await.unwrap();
    assert_eq!((town.asked("createCheckRun"), checks(&town, &pr).await.len()), (0, 1));

    let (town, pr) = found_with(with(ChecksAs::CheckRuns)).await;
    let error = town.github.report(&town.report(&pr, "job-1").await).await.unwrap_err();
    assert!(matches!(error.source, GitHubError::Forbidden(_)), "{error:?}");
    assert_eq!(given(&town, &town.head(&pr)).len(), 0);

    let an_app = |standin: &Standin| Settings { checks: ChecksAs::Statuses, ..settings(standin) };
    let (town, pr) = found_with(an_app).await;
    town.github.report(&town.report(&pr, "job-1").await).await.unwrap();
    assert_eq!(checks(&town, &pr).await.len(), 1, "its bot's");
}

#[tokio::test]
async fn a_strangers_status_of_our_name_does_not_count() {
    let (town, pr) = found().await;
    let report = town.report(&pr, "job-1").await;
    town.github.report(&report).await.unwrap();
    let ours = given(&town, &report.head).pop().unwrap();
    let copied = NewStatus {
        state: StatusState::Success,
        target_url: ours.target_url.clone(),
        description: ours.description.clone(),
        context: LINTER.to_owned(),
    };
    gives(&town, "alice", &report.head, copied).await;
    assert_eq!(checks(&town, &pr).await, [], "it hides ours, and is none");
    let listed = town.github.open_pulls(&Repository::new("acme/data").unwrap(), None).await;
    assert_eq!(listed.unwrap().pulls[0].checks, []);
    // The next word is ours again.
    town.github.report(&Report { attempt: Attempt::Again, ..report }).await.unwrap();
    assert_eq!(checks(&town, &pr).await.len(), 1);
}

#[tokio::test]
async fn what_is_shown_already_is_not_written_and_progress_is_sparingly() {
    let (town, pr) = found().await;
    let begun = of(&town, &pr, vec![check("job-1", CheckStatus::InProgress)]).await;
    for title in ["1 of 3", "2 of 3", "3 of 3"] {
        let mut report = begun.clone();
        report.checks[0].title = title.to_owned();
        let reported = town.github.report(&report).await.unwrap();
        assert_eq!(reported.checks.len(), 1, "{title}");
    }
    assert_eq!(given(&town, &begun.head).len(), 1);
    for _ in 0..3 {
        town.github.report(&of(&town, &pr, vec![check("job-1", PASSED)]).await).await.unwrap();
    }
    assert_eq!(given(&town, &begun.head).len(), 2);
    let (read, requests) = town.counted(town.github.report(&begun)).await;
    read.unwrap();
    assert_eq!(requests, 3, "what is there, the page that is none now, the status");
}

#[tokio::test]
async fn every_status_counts_for_the_limits() {
    let limits = WriteLimits { per_minute: Some(12), per_hour: None };
    let (town, pr) = found_with(|standin| Settings { limits, ..as_robot(standin) }).await;
    let report = of(&town, &pr, vec![check("job-1", PASSED)]).await;
    // The refused run, the page and the status: three are left of six at once.
    town.github.report(&report).await.unwrap();
    let named = |name: &str, status| CheckWrite {
        name: name.to_owned(),
        summary: String::new(),
        ..check("job-1", status)
    };
    let mut more = report.clone();
    more.checks = vec![named("a", CheckStatus::Queued), named(LINTER, CheckStatus::InProgress)];
    let error = town.github.report(&more).await.unwrap_err();
    assert!(matches!(error.source, GitHubError::Limited { .. }), "{error:?}");
    assert_eq!(error.written.checks.len(), 1, "what is new is waited for, progress is not");
}

#[tokio::test]
async fn a_sweep_sees_statuses_with_their_times() {
    let (town, pr) = found().await;
    let queued = of(&town, &pr, vec![check("job-1", CheckStatus::Queued)]).await;
    town.github.report(&queued).await.unwrap();
    let repository = Repository::new("acme/data").unwrap();
    let listed = async || {
        let page = town.github.open_pulls(&repository, None).await.unwrap();
        page.pulls.into_iter().next().unwrap().checks.into_iter().next().unwrap()
    };
    let open = listed().await;
    assert_eq!((open.name.as_str(), open.external_id.as_str()), (LINTER, "job-1"));
    assert_eq!((open.status, open.completed_ms), (CheckStatus::Queued, None));
    let asked_ms = open.started_ms.unwrap();
    let now_ms = sluice::clock::unix_ms(sluice::clock::Clock::now(&sluice::clock::SystemClock));
    assert!(Duration::from_millis(now_ms.abs_diff(asked_ms)) < Duration::from_secs(60));
    town.github.report(&of(&town, &pr, vec![check("job-1", PASSED)]).await).await.unwrap();
    let done = listed().await;
    assert_eq!((done.status, done.started_ms), (PASSED, Some(asked_ms)));
    assert!(done.completed_ms.is_some_and(|ms| ms >= asked_ms));
}
