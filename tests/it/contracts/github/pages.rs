//! Statuses and their pages in trouble: edited, deleted, quoted, lost, written at once. What two
//! places say differently is nothing.

use std::time::Duration;

use sluice::github::{CheckStatus, CheckWrite, GitHub, GitHubError, Report};
use sluice::outcome::Conclusion;
use sluice_sim::faults::Answer;
use sluice_sim::world::{Identity, StatusState};

use super::statuses::{LINTER, MARK, PASSED, checks, found, given, of, pages, posts_fail};
use super::town::{MARKER, check};

#[tokio::test]
async fn a_quoted_page_is_nobodys() {
    let (town, pr) = found().await;
    let report = of(&town, &pr, vec![check("job-1", PASSED)]).await;
    let real = town.pr("customers").await;
    town.github.report(&of(&town, &real, report.checks.clone()).await).await.unwrap();
    let (_, quoted) = pages(&town, &real).unwrap();
    let forged = quoted.replace("All well.", "All is better.");
    town.alice.comments(&pr, &forged).await.unwrap();
    town.github.report(&report).await.unwrap();
    assert_eq!(checks(&town, &pr).await[0].summary, "All well.");
    let authors: Vec<_> =
        town.standin.pr(&pr).unwrap().comments.into_iter().map(|one| one.author).collect();
    assert_eq!(authors, [Identity::user("alice"), Identity::user("robot")]);
}

#[tokio::test]
async fn a_page_that_somebody_edited_makes_a_concluded_check_nothing_and_an_open_one_no_less() {
    let (town, pr) = found().await;
    let open = CheckWrite {
        name: "SQLMesh - Prod Environment Synced".to_owned(),
        summary: MARK.to_owned(),
        ..check("job-1", CheckStatus::Queued)
    };
    let report = of(&town, &pr, vec![check("job-1", PASSED), open]).await;
    town.github.report(&report).await.unwrap();
    let (id, body) = pages(&town, &pr).unwrap();
    let edited = body.replace("All well.", "All is better.").replace("IC_1", "IC_2");
    town.alice.edits_comment(&pr, id, &edited).await.unwrap();
    let read = checks(&town, &pr).await;
    let [open] = &read[..] else { panic!("{read:#?}") };
    assert_eq!((open.status, open.summary.as_str()), (CheckStatus::Queued, ""));
    // An older page that was ours is no better: the status names the newer one.
    let newer = CheckWrite { summary: "Not so well.".to_owned(), ..check("job-1", PASSED) };
    town.github.report(&of(&town, &pr, vec![newer]).await).await.unwrap();
    let (id, _) = pages(&town, &pr).unwrap();
    town.alice.edits_comment(&pr, id, &body).await.unwrap();
    assert_eq!(checks(&town, &pr).await.len(), 1);
    // Whoever says it again mends it.
    town.github.report(&report).await.unwrap();
    assert_eq!(checks(&town, &pr).await.len(), 2);
}

#[tokio::test]
async fn pages_that_were_deleted_are_made_anew() {
    let (town, pr) = found().await;
    let report = of(&town, &pr, vec![check("job-1", PASSED)]).await;
    town.github.report(&report).await.unwrap();
    let (id, _) = pages(&town, &pr).unwrap();
    town.bob.deletes_comment(&pr, id).await.unwrap();
    assert_eq!(checks(&town, &pr).await, []);
    town.github.report(&report).await.unwrap();
    assert_eq!(checks(&town, &pr).await.len(), 1);
    assert!(pages(&town, &pr).is_some_and(|(other, _)| other != id));
}

#[tokio::test]
async fn a_status_and_a_page_that_disagree_are_no_result() {
    // The page was written, and the status was not.
    let (town, pr) = found().await;
    town.github.report(&of(&town, &pr, vec![check("job-1", PASSED)]).await).await.unwrap();
    let failed = CheckWrite {
        summary: "Something is wrong.".to_owned(),
        ..check("job-2", CheckStatus::Completed(Conclusion::Failure))
    };
    let next = of(&town, &pr, vec![failed]).await;
    posts_fail(&town, "/statuses/", 1, Answer::Status(403)).await;
    let error = town.github.report(&next).await.unwrap_err();
    assert!(matches!(error.source, GitHubError::Forbidden(_)), "{error:?}");
    assert_eq!(error.written, Default::default());
    assert_eq!(town.standin.pr(&pr).unwrap().status(LINTER).unwrap().state, StatusState::Success);
    assert_eq!(checks(&town, &pr).await, [], "what GitHub shows is not what was found");
    town.github.report(&next).await.unwrap();
    assert_eq!(checks(&town, &pr).await[0].summary, "Something is wrong.");

    // The page was not written: then no status is.
    let passed = of(&town, &pr, vec![check("job-3", PASSED)]).await;
    town.spoil("updateIssueComment", 9, Answer::Status(502)).await;
    town.github.report(&passed).await.unwrap_err();
    let state = town.standin.pr(&pr).unwrap().status(LINTER).unwrap().state;
    assert_eq!(state, StatusState::Failure);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_changes_nothing() {
    for answer in [Answer::StatusAfterEffect(502), Answer::Status(500)] {
        let (town, pr) = found().await;
        let report = town.report(&pr, "job-1").await;
        posts_fail(&town, "/statuses/", 1, answer).await;
        let reported = town.github.report(&report).await.unwrap();
        let read = checks(&town, &pr).await;
        assert_eq!(reported.checks, [(LINTER.to_owned(), read[0].id.clone())]);
        assert_eq!(given(&town, &report.head).len(), 1, "it was seen before it was repeated");
        assert_eq!(town.standin.pr(&pr).unwrap().comments.len(), 2);
    }
    let (town, pr) = found().await;
    town.github.report(&town.report(&pr, "job-1").await).await.unwrap();
    let other = town.pr("customers").await;
    let report = of(&town, &other, vec![check("job-1", PASSED)]).await;
    town.spoil("addComment", 1, Answer::StatusAfterEffect(500)).await;
    town.github.report(&report).await.unwrap();
    assert_eq!(town.standin.pr(&other).unwrap().comments.len(), 1, "the pages are there once");
}

#[tokio::test]
async fn an_old_heads_checks_leave_the_new_heads_pages_alone() {
    let (town, pr) = found().await;
    let old = of(&town, &pr, vec![check("job-1", PASSED)]).await;
    town.github.report(&old).await.unwrap();
    town.alice.pushes(&pr, &[("warehouse/models/c.sql", Some("SELECT 5"))]).await.unwrap();
    let new = of(&town, &pr, vec![check("job-2", PASSED)]).await;
    assert_ne!(new.head, old.head);
    town.github.report(&new).await.unwrap();
    let (_, body) = pages(&town, &pr).unwrap();
    assert!(body.contains(new.head.as_str()) && !body.contains(old.head.as_str()), "{body}");
    let cancelled = CheckStatus::Completed(Conclusion::Cancelled);
    let left = Report { checks: vec![check("job-3", cancelled)], ..old.clone() };
    town.github.report(&left).await.unwrap();
    assert_eq!(pages(&town, &pr).unwrap().1, body);
    assert_eq!(given(&town, &old.head).last().unwrap().state, StatusState::Error);
    assert_eq!(checks(&town, &pr).await[0].external_id, "job-2");
    // What was found there and has no page any more is no result.
    town.github
        .report(&Report { checks: vec![check("job-4", PASSED)], ..old.clone() })
        .await
        .unwrap();
    assert_eq!(town.github.checks(&town.ask(&pr), &old.head).await.unwrap(), []);
}

#[tokio::test]
async fn two_reports_at_once_keep_both_their_pages() {
    let (town, pr) = found().await;
    town.github.report(&of(&town, &pr, vec![check("job-0", PASSED)]).await).await.unwrap();
    let named = |name: &str| CheckWrite { name: name.to_owned(), ..check("job-1", PASSED) };
    let reports = [of(&town, &pr, vec![named("a")]).await, of(&town, &pr, vec![named("b")]).await];
    // Whoever writes first is late, so that the other one would have read what was before.
    town.spoil("updateIssueComment", 1, Answer::Slow(Duration::from_millis(300))).await;
    let both = futures_util::future::join_all(reports.iter().map(|one| town.github.report(one)));
    both.await.into_iter().for_each(|written| drop(written.unwrap()));
    assert_eq!(checks(&town, &pr).await.len(), 3);
}

#[tokio::test]
async fn pages_cannot_be_made_the_sticky_comment() {
    let (town, pr) = found().await;
    town.github.report(&of(&town, &pr, vec![check("job-1", PASSED)]).await).await.unwrap();
    let (id, body) = pages(&town, &pr).unwrap();
    town.alice.edits_comment(&pr, id, &format!("{body}\n{MARKER}")).await.unwrap();
    let made = town.github.report(&town.report(&pr, "job-1").await).await.unwrap();
    let facts = town.facts(&pr).await;
    assert_eq!(facts.comment.map(|comment| comment.id), made.comment);
    assert_eq!(facts.checks.len(), 1, "what is beside a page changes none");
}
