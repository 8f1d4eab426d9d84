//! A token that may not even read check runs: what it can read counts, and nothing is guessed.

use serde_json::{Value, json};
use sluice::github::{CheckStatus, GitHub, GitHubError};
use sluice::outcome::Conclusion;

use crate::canned::{ask, contexts, facts, head, pr, report, sha};
use crate::scripted::{Say, Scripted, data};

const REFUSED: &str = "Resource not accessible by personal access token";

/// An answer with these problems, as GitHub words them.
fn with(data: &Value, paths: &[Value], message: &str) -> Say {
    let problem = |path| json!({ "type": "FORBIDDEN", "path": path, "message": message });
    let errors: Vec<Value> = paths.iter().map(problem).collect();
    Say::Answer(200, vec![], json!({ "data": data, "errors": errors }).to_string())
}

fn suites() -> Value {
    json!(["repository", "pullRequest", "commits", "nodes", 0, "commit", "checkSuites"])
}

fn context(place: usize) -> Value {
    let commit = ["repository", "pullRequest", "commits", "nodes", "0", "commit"];
    let mut path: Vec<Value> = commit.iter().map(|name| json!(name)).collect();
    path[4] = json!(0);
    path.extend([json!("statusCheckRollup"), json!("contexts"), json!("nodes"), json!(place)]);
    json!(path)
}

/// The facts as a fine-grained token reads them.
fn half_read() -> Value {
    let mut answer = facts();
    answer["viewer"]["login"] = json!("robot");
    let commit = head(&mut answer);
    commit["checkSuites"] = Value::Null;
    commit["statusCheckRollup"] = contexts(&json!([null]));
    commit["status"] = json!({ "contexts": [{
        "id": "SC_1", "context": "SQLMesh - Linter", "state": "SUCCESS",
        "description": "Linter passed", "createdAt": "2026-01-01T00:00:00Z",
        "targetUrl": "https://h/?sluice=1.skipped.6553f100.0.job-1",
        "creator": { "__typename": "User", "login": "robot" },
    }] });
    answer
}

fn written() -> Value {
    json!({
        "viewer": { "login": "robot" },
        "repository": {
            "object": { "oid": sha('a').as_str(), "statusCheckRollup": null, "status": null },
            "pullRequest": {
                "url": "https://github.example/acme/data/pull/7", "headRefOid": sha('a').as_str(),
                "oldest": {
                    "totalCount": 0, "nodes": [],
                    "pageInfo": { "hasNextPage": false, "endCursor": null },
                },
                "newest": { "nodes": [] },
            },
        },
    })
}

#[tokio::test]
async fn what_may_not_be_read_is_not_taken_for_passed_and_shows_the_way() {
    let answer = half_read();
    let page = json!({ "pages": { "commentEdge": { "node": {
        "id": "IC_1", "url": "https://github.example/acme/data/pull/7#issuecomment-1",
    } } } });
    let given = json!({ "node_id": "SC_2" }).to_string();
    let town = Scripted::says(vec![
        with(&answer, &[suites(), context(0)], REFUSED),
        data(&written()),
        data(&page),
        Say::Answer(201, vec![], given),
    ])
    .await;
    let facts = town.github.facts(&ask()).await.unwrap();
    assert_eq!(facts.required_pending, ["check runs of others, which this token may not read"]);
    let [linter] = &facts.checks[..] else { panic!("{facts:#?}") };
    assert_eq!(linter.status, CheckStatus::Completed(Conclusion::Skipped));
    assert_eq!((linter.external_id.as_str(), linter.title.as_str()), ("job-1", "Linter passed"));
    assert_eq!(linter.started_ms, Some(1_700_000_000_000));
    // No check run is tried: that they cannot be read says enough.
    let reported = town.github.report(&report()).await.unwrap();
    assert_eq!(reported.checks[0].1.as_str(), "SC_2");
    let requests = town.finish();
    let asked = &requests[1].body["variables"];
    assert_eq!((&asked["withRuns"], &asked["withStatuses"]), (&json!(false), &json!(true)));
    let status = &requests[3];
    assert_eq!(status.line, format!("POST /repos/acme/data/statuses/{}", sha('a')));
    let target = status.body["target_url"].as_str().unwrap();
    assert!(target.ends_with("#issuecomment-1"), "{target}");
    assert_eq!(
        (&status.body["state"], &status.body["context"]),
        (&json!("success"), &json!("SQLMesh - Linter"))
    );
}

#[tokio::test]
async fn an_app_that_may_not_read_check_runs_is_told_so() {
    let town =
        Scripted::says(vec![with(&facts(), &[suites()], "Resource not accessible by integration")])
            .await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Forbidden(_)), "{error:?}");
    town.finish();
}

#[tokio::test]
async fn an_app_that_may_not_write_check_runs_writes_no_statuses() {
    let data = json!({ "w0": null });
    let refused = with(&data, &[json!(["w0"])], "Resource not accessible by integration");
    let town = Scripted::says(vec![refused]).await;
    let error = town.github.report(&report()).await.unwrap_err();
    assert!(matches!(error.source, GitHubError::Forbidden(_)), "{error:?}");
    assert_eq!(town.finish().len(), 1);
}

#[tokio::test]
async fn what_else_is_refused_is_no_reason_to_read_less() {
    let mut answer = facts();
    pr(&mut answer)["reviews"] = Value::Null;
    let path = json!(["repository", "pullRequest", "reviews"]);
    let town = Scripted::says(vec![with(&answer, &[path], REFUSED)]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Forbidden(_)), "{error:?}");
    town.finish();
}
