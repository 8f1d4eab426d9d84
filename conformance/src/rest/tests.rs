//! What is found wrong with an exchange.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use sluice_sim::world::RequestKind;

use super::*;

fn asked(method: &str, path: &str, body: &str) -> Found {
    heard(method, path, body, (0, ""))
}

fn heard(method: &str, path: &str, body: &str, (status, answered): (u16, &str)) -> Found {
    let (asked, answered) = (body.as_bytes(), answered.as_bytes());
    judge(&Exchange { kind: RequestKind::Rest, method, path, asked, status, answered })
}

#[test]
fn a_path_belongs_to_the_most_literal_operation() {
    let of = |method, path| asked(method, path, "").operation;
    let comment = "GET /repos/{owner}/{repo}/issues/comments/{comment_id}";
    assert_eq!(of("GET", "/repos/a/b/issues/comments/7"), Some(comment));
    let file = "GET /repos/{owner}/{repo}/contents/{path}";
    assert_eq!(of("GET", "/repos/a/b/contents/models/orders.sql"), Some(file));
    assert_eq!(of("GET", "/repos/a/b"), Some("GET /repos/{owner}/{repo}"));
    assert_eq!(of("DELETE", "/repos/a/b"), None);
    assert_eq!(asked("GET", "/nowhere", "").asked, ["GitHub has no GET /nowhere (that we use)"]);
}

#[test]
fn a_request_is_as_described_or_wrong() {
    let changes = "/repos/a/b/activity?ref=refs%2Fheads%2Fmain&per_page=100";
    assert_eq!(asked("GET", changes, "").asked, [""; 0]);
    for (path, wrong) in [
        ("/repos/a/b/activity?branch=main", "GitHub knows no parameter branch"),
        ("/repos/a/b/activity?per_page=many", "parameter per_page: at /: \"many\" breaks type"),
        ("/repos/a/b/activity?time_period=eon", "parameter time_period: at /: \"eon\" breaks enum"),
    ] {
        let found = asked("GET", path, "").asked;
        assert!(found.len() == 1 && found[0].starts_with(wrong), "{path}: {found:?}");
    }
    let token = "/app/installations/7/access_tokens";
    assert_eq!(asked("POST", token, "{}").asked, [""; 0]);
    assert_eq!(asked("POST", token, "{\"repos\": []}").asked, ["at /repos: may not be there"]);
    assert_eq!(asked("GET", "/app", "{}").asked, ["a body, where GitHub reads none"]);
    let run = "/repos/a/b/check-runs";
    assert_eq!(asked("POST", run, "").asked, ["no body"]);
    assert!(asked("POST", run, "{}").asked.contains(&"at /: lacks head_sha".to_owned()));
}

#[test]
fn an_answer_is_as_described_or_an_exception_or_wrong() {
    let of = |status, body| heard("GET", "/repos/a/b/activity", "", (status, body)).answered;
    assert_eq!(of(200, "[]"), [""; 0]);
    assert!(of(200, "[{}]").contains(&"at /0: lacks actor".to_owned()));
    assert_eq!(of(502, "{\"message\": \"Server Error\"}"), [""; 0], "an exception");
    assert_eq!(of(502, "{\"message\": 1}"), ["at /message: 1 breaks type \"string\""]);
    assert_eq!(of(418, "{}"), ["GitHub never answers with 418 here"]);
    assert!(of(200, "<html>")[0].starts_with("200 with a body that is not JSON"));
}

#[test]
fn escapes_are_undone() {
    assert_eq!(decoded("a%2Fb+c%20d%zz"), "a/b c d%zz");
}
