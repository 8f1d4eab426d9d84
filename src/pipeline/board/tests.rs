//! Nothing is created twice, whatever became of the write before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;

use async_trait::async_trait;

use super::*;
use crate::clock::SystemClock;
use crate::github::{
    Check, DeploymentId, DeploymentWrite, GitHubError, Merge, MergeOutcome, OpenPulls, Page,
    Redelivered, Role,
};
use crate::job::JobKind;
use crate::lease::hold::{Keeper, hold};
use crate::lease::memory::MemoryLeases;
use crate::lease::{Timings, Wait, Wish};
use crate::names::{Login, PrNumber, Repository};
use crate::observe::{JobRef, Observers};
use crate::outcome::Conclusion;

/// A GitHub that answers reports as it is told to, and remembers them.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Result<Reported, ReportError>>>,
    seen: Mutex<Vec<Report>>,
}

#[async_trait]
impl GitHub for Scripted {
    async fn facts(&self, _: &Ask) -> Result<Facts, GitHubError> {
        panic!("a board reads nothing")
    }
    async fn checks(&self, _: &Ask, _: &Sha) -> Result<Vec<Check>, GitHubError> {
        panic!("a board reads nothing")
    }
    async fn report(&self, report: &Report) -> Result<Reported, ReportError> {
        self.seen.lock().unwrap().push(report.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
    async fn merge(&self, _: &Merge) -> Result<MergeOutcome, GitHubError> {
        panic!("a board merges nothing")
    }
    async fn deployment(&self, _: &DeploymentWrite) -> Result<Option<DeploymentId>, GitHubError> {
        panic!("a board deploys nothing")
    }
    async fn role(&self, _: &Ask, _: &Login) -> Result<Role, GitHubError> {
        panic!("a board asks for no role")
    }
    async fn open_pulls(&self, _: &Repository, _: Option<&Page>) -> Result<OpenPulls, GitHubError> {
        panic!("a board sweeps nothing")
    }
    async fn redeliver(&self, _: u64) -> Result<Option<Redelivered>, GitHubError> {
        panic!("a board misses no event")
    }
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn checks(ids: &[(&str, &str)]) -> Vec<(String, NodeId)> {
    ids.iter().map(|(name, id)| ((*name).to_owned(), node(id))).collect()
}

fn refused(written: Reported) -> Result<Reported, ReportError> {
    Err(ReportError { written, source: GitHubError::Forbidden("too quickly".to_owned()) })
}

/// A board that wants two checks and a comment to be shown, and shows nothing yet.
fn board(answers: Vec<Result<Reported, ReportError>>) -> (Arc<Scripted>, Shared) {
    let github = Arc::new(Scripted { answers: Mutex::new(answers.into()), ..Scripted::default() });
    let ask = Ask {
        repository: Repository::new("acme/data").unwrap(),
        pr: PrNumber(7),
        path: ".".to_owned(),
        marker: "<!-- ours -->".to_owned(),
        command: None,
        files: false,
        owners: false,
        job: None,
        urgent: false,
    };
    let names = [(CheckKind::Linter, "lint"), (CheckKind::UnitTests, "test")];
    let place = Place {
        ask,
        repository_id: node("R_1"),
        pr_id: node("PR_7"),
        head: Sha::new("a".repeat(40)).unwrap(),
        names: names.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect(),
    };
    let mut state = State { comment_wanted: Some("held".to_owned()), ..State::default() };
    for (kind, name) in names {
        let status = CheckStatus::Completed(Conclusion::Success);
        let said = Said { status, title: name.to_owned(), summary: String::new() };
        state.checks.insert(kind, Row { wanted: Some(said), ..Row::default() });
    }
    let shared = Shared {
        github: github.clone(),
        clock: Arc::new(SystemClock),
        redactor: Arc::new(Redactor::new([""; 0])),
        place,
        observer: Arc::new(Observers::default()),
        job: JobRef {
            id: JobId::new("job-1").unwrap(),
            kind: JobKind::Approval,
            project: crate::names::ProjectName::new("warehouse").unwrap(),
            pr: PrNumber(7),
            cause: "test".to_owned(),
        },
        details_url: None,
        mandate: Mandate::default(),
        urgent: Arc::default(),
        every: Duration::ZERO,
        state: Mutex::new(state),
        writing: tokio::sync::Mutex::default(),
        changed: Notify::new(),
    };
    (github, shared)
}

#[tokio::test]
async fn what_was_written_before_a_refusal_is_not_created_again() {
    let half = Reported { checks: checks(&[("lint", "CR_1")]), comment: Some(node("IC_1")) };
    let rest = Reported { checks: checks(&[("test", "CR_2")]), comment: None };
    let (github, board) = board(vec![refused(half), Ok(rest)]);
    let error = board.flush().await.unwrap_err();
    assert!(matches!(error, Stop::Broken { .. }), "{error:?}");
    board.flush().await.unwrap();
    board.flush().await.unwrap();
    let seen = github.seen.lock().unwrap();
    assert_eq!(seen.len(), 2, "all is shown");
    let names: Vec<_> = seen[1].checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!((names, &seen[1].comment), (vec!["test"], &None));
    assert_eq!((seen[0].attempt, seen[1].attempt), (Attempt::First, Attempt::Again));
    let ids: Vec<_> = board.state().checks.values().map(|row| row.id.clone()).collect();
    assert_eq!(ids, [Some(node("CR_1")), Some(node("CR_2"))]);
    assert_eq!(board.state().comment, Some(node("IC_1")));
}

#[tokio::test]
async fn a_write_that_nobody_waited_for_may_be_done() {
    let (github, board) = board(vec![]);
    for _ in 0..2 {
        let mut write = std::pin::pin!(board.flush());
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx)));
        assert!(once.await.is_pending());
    }
    let attempts: Vec<_> = github.seen.lock().unwrap().iter().map(|r| r.attempt).collect();
    assert_eq!(attempts, [Attempt::First, Attempt::Again]);
}

#[tokio::test]
async fn once_all_is_written_nothing_is_read_any_more() {
    let all = || Reported {
        checks: checks(&[("lint", "CR_1"), ("test", "CR_2")]),
        comment: Some(node("IC_1")),
    };
    let (github, board) = board(vec![refused(Reported::default()), Ok(all()), Ok(all())]);
    board.flush().await.unwrap_err();
    board.flush().await.unwrap();
    board.state().comment_wanted = Some("deployed".to_owned());
    board.flush().await.unwrap();
    let attempts: Vec<_> = github.seen.lock().unwrap().iter().map(|r| r.attempt).collect();
    assert_eq!(attempts, [Attempt::First, Attempt::Again, Attempt::First]);
}

#[tokio::test]
async fn nothing_is_written_once_the_lease_is_gone() {
    let (github, board) = board(vec![Ok(Reported::default())]);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keeper = Keeper {
        leases: Arc::new(MemoryLeases::new(clock.clone())),
        clock,
        observer: Arc::new(Observers::default()),
        timings: Timings::default(),
        host: "worker-1".to_owned(),
    };
    let job = board.job.clone();
    let cancel = tokio_util::sync::CancellationToken::new();
    let turn = hold(&keeper, Wish::turn(&job, Wait::No, &cancel), async |turn| {
        board.mandate.bind(turn);
        assert!(board.mandate.stands());
        Ok(())
    });
    turn.await.unwrap();
    let late = board.flush().await;
    assert!(matches!(late, Err(Stop::Interrupted(_))), "{late:?}");
    assert!(github.seen.lock().unwrap().is_empty(), "somebody else may have gone on");
    board.mandate.unbind();
    board.flush().await.unwrap();
    assert_eq!(github.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_that_is_a_word_of_our_marks_leaves_them_whole() {
    use base64::Engine as _;
    let (_, mut board) = board(vec![]);
    board.redactor = Arc::new(Redactor::new(["warehouse", "analytics"]));
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let seal = format!("<!-- sluice:gate:v1 {}.abc -->", engine.encode("{analytics.orders}"));
    let mark = "<!-- sluice:comment project=warehouse -->";
    let text = format!("{seal}\n`analytics.orders`\n{mark}\nof warehouse");
    let left = format!("{seal}\n`[redacted].orders`\n{mark}\nof [redacted]");
    assert_eq!(board.redacted(&text), left);
    let no_mark = "<!-- sluice:plan --> of warehouse -->\n a <!-- sluice:warehouse -->";
    assert!(!board.redacted(no_mark).contains("warehouse"), "{}", board.redacted(no_mark));
    // What is shown is what was wanted: nothing is written anew each time.
    assert_eq!(board.redacted(&left), left);
}

#[tokio::test]
async fn no_secret_is_shown_wherever_it_stands() {
    let (github, shared) = board(vec![Ok(Reported::default())]);
    let redactor = Arc::new(Redactor::new(["hunter2hunter2"]));
    let shared = Arc::new(Shared { redactor, ..shared });
    let pacer = tokio::spawn(std::future::pending::<()>()).abort_handle();
    let board = Board { shared, pacer };
    let text = "no entry with hunter2hunter2".to_owned();
    let status = CheckStatus::Completed(Conclusion::Failure);
    let said = Said { status, title: text.clone(), summary: String::new() };
    board.say(CheckKind::Linter, said.clone());
    let said = Said { title: String::new(), summary: text.clone(), ..said };
    board.say(CheckKind::UnitTests, said);
    board.comment(text);
    board.flush().await.unwrap();
    let seen = github.seen.lock().unwrap();
    let shown = format!("{:?} {:?}", seen[0].checks, seen[0].comment);
    assert_eq!(shown.matches("no entry with").count(), 3, "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
