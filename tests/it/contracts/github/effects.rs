//! Each effect of a report is on GitHub once, whatever became of the answers.

use sluice::github::{CheckStatus, CommentWrite, GitHub, Report};
use sluice::names::NodeId;
use sluice::outcome::Conclusion;
use sluice_sim::faults::Answer;
use sluice_sim::world::{CheckRunChange, Identity, Kind, NewCheckRun, ReactionContent};

use super::town::{MARKER, Town, check};

#[tokio::test]
async fn a_report_is_one_request_and_is_found_again() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let command = town.bob.comments(&pr, "/deploy").await.unwrap();
    let id = sluice_sim::world::NodeId::new(Kind::IssueComment, command).to_string();
    let eyes = Some(NodeId::new(id).unwrap());
    let report = Report { eyes, ..town.report(&pr, "job-1").await };
    let (reported, requests) = town.counted(town.github.report(&report)).await;
    assert_eq!(requests, 1);
    let reported = reported.unwrap();
    let facts = town.facts(&pr).await;
    assert_eq!(facts.checks.len(), 1);
    let ours = &facts.checks[0];
    assert_eq!(reported.checks, [(ours.name.clone(), ours.id.clone())]);
    assert_eq!((ours.external_id.as_str(), ours.title.as_str()), ("job-1", "Linter passed"));
    assert_eq!(ours.status, CheckStatus::Completed(Conclusion::Success));
    assert_eq!(ours.summary, "All well.");
    let comment = facts.comment.unwrap();
    assert_eq!(Some(comment.id), reported.comment);
    assert_eq!(comment.body, format!("{MARKER}\nheld for now"));
    let seen = town.standin.pr(&pr).unwrap();
    assert_eq!(seen.comments[0].reactions, [(Identity::App, ReactionContent::Eyes)]);
    assert_eq!(seen.checks[0].details_url.as_deref(), Some("https://sluice.example/jobs/1"));
}

#[tokio::test]
async fn a_second_report_rewrites_the_first() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let first = town.report(&pr, "job-1").await;
    let made = town.github.report(&first).await.unwrap();
    let mut again = check("job-2", CheckStatus::InProgress);
    again.id = Some(made.checks[0].1.clone());
    let comment = CommentWrite { id: made.comment.clone(), body: format!("{MARKER}\ndeployed") };
    let second = Report { checks: vec![again], comment: Some(comment), ..first };
    assert_eq!(town.github.report(&second).await.unwrap(), made);
    let facts = town.facts(&pr).await;
    assert_eq!((facts.checks.len(), facts.checks[0].status), (1, CheckStatus::InProgress));
    assert_eq!(facts.checks[0].external_id, "job-2");
    assert!(facts.comment.unwrap().body.ends_with("deployed"));
    assert_eq!(town.standin.pr(&pr).unwrap().comments.len(), 1);
}

#[tokio::test]
async fn an_effect_whose_answer_was_lost_is_adopted() {
    for status in [500, 502] {
        let town = Town::found().await;
        let pr = town.pr("orders").await;
        let report = town.report(&pr, "job-1").await;
        town.spoil("createCheckRun", 1, Answer::StatusAfterEffect(status)).await;
        let reported = town.github.report(&report).await.unwrap();
        assert_eq!((town.asked("createCheckRun"), town.asked("addComment")), (1, 1));
        let facts = town.facts(&pr).await;
        assert_eq!(reported.checks[0].1, facts.checks[0].id);
        assert_eq!(reported.comment, facts.comment.map(|comment| comment.id));
        assert_eq!(town.standin.pr(&pr).unwrap().comments.len(), 1);
        let runs = |world: &sluice_sim::World| {
            let home = world.repository(&town.repository).unwrap();
            home.runs_of(&sluice_sim::Oid::new(facts.head.as_str())).count()
        };
        assert_eq!(town.standin.world(runs), 1);
    }
}

#[tokio::test]
async fn an_effect_that_did_not_happen_is_made() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let report = town.report(&pr, "job-1").await;
    town.spoil("createCheckRun", 1, Answer::Status(502)).await;
    town.github.report(&report).await.unwrap();
    assert_eq!(town.standin.pr(&pr).unwrap().checks.len(), 1);
    assert_eq!(town.standin.pr(&pr).unwrap().comments.len(), 1);
}

#[tokio::test]
async fn strangers_are_neither_adopted_nor_rewritten() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let report = town.report(&pr, "job-1").await;
    let forged = format!("{MARKER}\nheld for now");
    town.mallory.comments(&pr, &forged).await.unwrap();
    let (name, commit) = (town.repository.clone(), report.head.as_str().to_owned());
    let change =
        CheckRunChange { external_id: Some("job-1".to_owned()), ..CheckRunChange::default() };
    let run = NewCheckRun { name: "SQLMesh - Linter".to_owned(), commit, change };
    town.standin.change(move |world| world.report_check("lookalike", &name, run)).await.unwrap();
    town.spoil("createCheckRun", 1, Answer::Status(500)).await;
    let reported = town.github.report(&report).await.unwrap();
    let facts = town.facts(&pr).await;
    assert_eq!((facts.checks.len(), &facts.checks[0].id), (1, &reported.checks[0].1));
    let comments = town.standin.pr(&pr).unwrap().comments;
    let authors: Vec<_> = comments.into_iter().map(|comment| comment.author).collect();
    assert_eq!(authors, [Identity::user("mallory"), Identity::App]);
}

#[tokio::test]
async fn texts_beyond_githubs_limits_arrive_cut() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let mut report = town.report(&pr, "job-1").await;
    let long = "a line of a very long plan\n".repeat(5_000);
    report.checks[0].title = "ä".repeat(400);
    report.checks[0].summary = long.clone();
    let body = format!("{long}{MARKER}");
    report.comment = Some(CommentWrite { id: None, body });
    town.github.report(&report).await.unwrap();
    let facts = town.facts(&pr).await;
    assert!(facts.comment.is_some(), "the marker was cut off");
    assert!(facts.checks[0].summary.contains("was cut"));
}

#[tokio::test]
async fn a_comment_that_was_deleted_is_made_anew() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let report = town.report(&pr, "job-1").await;
    let made = town.github.report(&report).await.unwrap();
    let comment = town.standin.pr(&pr).unwrap().comments[0].id;
    town.bob.deletes_comment(&pr, comment).await.unwrap();
    let body = format!("{MARKER}\ndeployed");
    let comment = Some(CommentWrite { id: made.comment.clone(), body });
    let again = Report { checks: vec![], comment, ..report };
    let remade = town.github.report(&again).await.unwrap();
    assert_ne!(remade.comment, made.comment);
    assert_eq!(town.facts(&pr).await.comment.map(|comment| comment.id), remade.comment);
}
