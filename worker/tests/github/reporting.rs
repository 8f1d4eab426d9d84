//! Each effect once, whatever happens to the answer.

use serde_json::{Value, json};
use sluice::github::{Attempt, CommentWrite, GitHub, GitHubError, Report};

use crate::canned::{MARKER, comment, node, report, suite, written};
use crate::scripted::{Say, Scripted, data, problem, status};

fn with_comment() -> Report {
    let body = format!("{MARKER}\nheld");
    Report { comment: Some(CommentWrite { id: None, body }), ..report() }
}

fn check_made() -> Value {
    json!({ "checkRun": { "id": "CR_1" } })
}

fn comment_made() -> Value {
    json!({ "commentEdge": { "node": { "id": "IC_1" } } })
}

#[tokio::test]
async fn a_whole_report_is_one_request_without_text_in_its_document() {
    let mut report = Report { eyes: Some(node("IC_9")), ..with_comment() };
    report.checks[0].title = "} evil: addComment(".to_owned();
    let mut second = report.checks[0].clone();
    (second.id, second.name) = (Some(node("CR_2")), "SQLMesh - Run Unit Tests".to_owned());
    report.checks.push(second);
    let answer = json!({
        "w0": { "reaction": { "content": "EYES" } }, "w1": check_made(),
        "w2": { "checkRun": { "id": "CR_2" } }, "w3": comment_made(),
    });
    let town = Scripted::says(vec![data(&answer)]).await;
    let reported = town.github.report(&report).await.unwrap();
    let ids: Vec<_> = reported.checks.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!((ids, reported.comment), (vec!["CR_1", "CR_2"], Some(node("IC_1"))));
    let requests = town.finish();
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].document().contains("evil"));
    let input = |place: &str| &requests[0].body["variables"][place];
    assert_eq!(input("w1")["output"]["title"], "} evil: addComment(");
    assert_eq!(
        (&input("w1")["status"], &input("w1")["conclusion"]),
        (&json!("COMPLETED"), &json!("SUCCESS"),)
    );
    assert!(input("w1")["headSha"].is_string() && input("w1")["checkRunId"].is_null());
    assert!(input("w2")["headSha"].is_null() && input("w2")["checkRunId"] == "CR_2");
}

#[tokio::test]
async fn nothing_to_report_is_no_request() {
    let town = Scripted::says(vec![]).await;
    let nothing = Report { checks: vec![], ..report() };
    assert_eq!(town.github.report(&nothing).await.unwrap(), Default::default());
    town.finish();
}

#[tokio::test]
async fn a_lost_answer_is_read_back_instead_of_repeated() {
    for lost in [status(500), Say::Close, Say::Nothing] {
        let exists = written(
            &json!([suite("sluice", 12, "CR_5", "job-1")]),
            &json!([comment("IC_5", &format!("{MARKER}\nheld"), true)]),
        );
        let town = Scripted::says(vec![lost, data(&exists)]).await;
        let reported = town.github.report(&with_comment()).await.unwrap();
        assert_eq!(reported.checks[0].1, node("CR_5"));
        assert_eq!(reported.comment, Some(node("IC_5")));
        assert_eq!(town.finish().len(), 2);
    }
}

#[tokio::test]
async fn only_what_is_missing_is_written_again() {
    let exists = written(&json!([suite("sluice", 12, "CR_5", "job-1")]), &json!([]));
    let made = json!({ "w1": comment_made() });
    let town = Scripted::says(vec![status(502), data(&exists), data(&made)]).await;
    let reported = town.github.report(&with_comment()).await.unwrap();
    assert_eq!(reported.checks[0].1, node("CR_5"));
    let again = town.finish().pop().unwrap();
    assert!(again.document().contains("addComment") && !again.document().contains("CheckRun"));
}

#[tokio::test]
async fn what_exists_in_an_older_state_is_rewritten() {
    let mut old = suite("sluice", 12, "CR_5", "job-1");
    old["checkRuns"]["nodes"][0]["status"] = json!("QUEUED");
    let exists = written(&json!([old]), &json!([comment("IC_5", MARKER, true)]));
    let made = json!({
        "w0": { "checkRun": { "id": "CR_5" } }, "w1": { "issueComment": { "id": "IC_5" } },
    });
    let town = Scripted::says(vec![status(502), data(&exists), data(&made)]).await;
    town.github.report(&with_comment()).await.unwrap();
    let again = town.finish().pop().unwrap();
    assert_eq!(again.body["variables"]["w0"]["checkRunId"], "CR_5");
    assert_eq!(again.body["variables"]["w1"]["id"], "IC_5");
}

#[tokio::test]
async fn strangers_and_other_jobs_are_not_adopted() {
    let exists = written(
        &json!([
            suite("lookalike", 666, "CR_forged", "job-1"),
            suite("sluice", 12, "CR_0", "job-0"),
        ]),
        &json!([comment("IC_quote", &format!("> {MARKER}\nheld"), false)]),
    );
    let made = json!({ "w0": check_made(), "w1": comment_made() });
    let town = Scripted::says(vec![status(502), data(&exists), data(&made)]).await;
    let reported = town.github.report(&with_comment()).await.unwrap();
    assert_eq!((&reported.checks[0].1, reported.comment), (&node("CR_1"), Some(node("IC_1"))));
    assert!(town.finish()[2].document().contains("createCheckRun"));
}

#[tokio::test]
async fn nothing_is_repeated_before_it_was_read_back() {
    let exists = written(&json!([suite("sluice", 12, "CR_5", "job-1")]), &json!([]));
    let town = Scripted::says(vec![status(500), status(500), data(&exists)]).await;
    town.github.report(&report()).await.unwrap();
    let mutations = town.finish().iter().filter(|r| r.document().contains("mutation")).count();
    assert_eq!(mutations, 1);
}

#[tokio::test]
async fn what_succeeded_in_half_an_answer_is_not_repeated() {
    let half = json!({ "w0": check_made(), "w1": null });
    let script = vec![
        problem(&half, "INTERNAL", &["w1"], "oops"),
        data(&written(&json!([]), &json!([]))),
        data(&json!({ "w1": comment_made() })),
    ];
    let town = Scripted::says(script).await;
    let reported = town.github.report(&with_comment()).await.unwrap();
    assert_eq!(reported.checks[0].1, node("CR_1"));
    assert!(!town.finish()[2].document().contains("w0"));
}

#[tokio::test]
async fn a_comment_that_somebody_deleted_is_made_anew() {
    let body = format!("{MARKER}\nheld");
    let comment = Some(CommentWrite { id: Some(node("IC_gone")), body });
    let report = Report { checks: vec![], comment, ..report() };
    let script = vec![
        problem(&json!({ "w0": null }), "NOT_FOUND", &["w0"], "no node"),
        data(&written(&json!([]), &json!([]))),
        data(&json!({ "w0": comment_made() })),
    ];
    let town = Scripted::says(script).await;
    assert_eq!(town.github.report(&report).await.unwrap().comment, Some(node("IC_1")));
    assert!(town.finish()[2].document().contains("addComment"));
}

#[tokio::test]
async fn a_command_that_is_gone_needs_no_reaction() {
    let report = Report { eyes: Some(node("IC_9")), ..report() };
    let half = json!({ "w0": null, "w1": check_made() });
    let town = Scripted::says(vec![problem(&half, "NOT_FOUND", &["w0"], "no node")]).await;
    town.github.report(&report).await.unwrap();
    assert_eq!(town.finish().len(), 1);
}

#[tokio::test]
async fn a_refused_write_is_not_repeated() {
    let none = json!({ "w0": null });
    let town = Scripted::says(vec![problem(&none, "FORBIDDEN", &["w0"], "not an App")]).await;
    let error = town.github.report(&report()).await.unwrap_err();
    assert!(matches!(error.source, GitHubError::Forbidden(_)), "{error:?}");
    assert_eq!(town.finish().len(), 1);
}

fn half_limited() -> Say {
    let half = json!({ "w0": check_made(), "w1": null });
    let message = "You have exceeded a secondary rate limit.";
    problem(&half, "RATE_LIMITED", &["w1"], message)
}

#[tokio::test]
async fn what_was_written_is_told_with_the_refusal_of_the_rest() {
    let half = json!({ "w0": check_made(), "w1": null });
    let refused = |kind| problem(&half, kind, &["w1"], "was submitted too quickly");
    for answer in [refused("FORBIDDEN"), refused("UNPROCESSABLE"), half_limited()] {
        let town = Scripted::says(vec![answer]).await;
        let error = town.github.report(&with_comment()).await.unwrap_err();
        assert_eq!(error.written.checks, [("SQLMesh - Linter".to_owned(), node("CR_1"))]);
        assert_eq!(error.written.comment, None);
        assert_eq!(town.finish().len(), 1);
    }
}

#[tokio::test]
async fn a_limit_that_came_with_data_is_still_a_limit() {
    let town = Scripted::says(vec![half_limited()]).await;
    let error = town.github.report(&with_comment()).await.unwrap_err();
    assert!(matches!(error.source, GitHubError::Limited { .. }), "{error:?}");
    town.finish();
}

#[tokio::test]
async fn another_attempt_reads_before_it_creates() {
    let exists = written(&json!([suite("sluice", 12, "CR_1", "job-1")]), &json!([]));
    let made = json!({ "w1": comment_made() });
    let half = json!({ "w0": check_made(), "w1": null });
    let refused = problem(&half, "FORBIDDEN", &["w1"], "was submitted too quickly");
    let town = Scripted::says(vec![refused, data(&exists), data(&made)]).await;
    town.github.report(&with_comment()).await.unwrap_err();
    let again = Report { attempt: Attempt::Again, ..with_comment() };
    let reported = town.github.report(&again).await.unwrap();
    assert_eq!((&reported.checks[0].1, reported.comment), (&node("CR_1"), Some(node("IC_1"))));
    let requests = town.finish();
    let creates = requests.iter().filter(|r| r.document().contains("createCheckRun")).count();
    assert_eq!(creates, 1);
}

#[tokio::test]
async fn another_attempt_that_creates_nothing_reads_nothing() {
    let mut again = Report { attempt: Attempt::Again, ..report() };
    again.checks[0].id = Some(node("CR_1"));
    let town = Scripted::says(vec![data(&json!({ "w0": check_made() }))]).await;
    town.github.report(&again).await.unwrap();
    assert_eq!(town.finish().len(), 1);
}
