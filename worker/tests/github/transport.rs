//! Answers that are late, lost, cut or a limit; addresses and secrets.

use sluice::clock::{Clock as _, SystemClock};
use sluice::github::{GitHub, GitHubError, Role};
use sluice::names::Login;

use crate::canned::{ask, facts, report};
use crate::scripted::{Say, Scripted, TOKEN, data, problem, status};

#[tokio::test]
async fn a_read_outlives_two_faults_of_any_kind() {
    let garbage = || Say::Answer(200, vec![], "<html>".to_owned());
    let pairs: [(Say, Say); 3] = [
        (Say::Close, status(502)),
        (Say::Nothing, garbage()),
        (status(500), Say::Answer(200, vec![], r#"{"data":null,"errors":[{}]}"#.to_owned())),
    ];
    for (first, second) in pairs {
        let town = Scripted::says(vec![first, second, data(&facts())]).await;
        town.github.facts(&ask()).await.unwrap();
        let pauses = town.pauses();
        assert_eq!(pauses.len(), 2);
        assert!(pauses[0].as_millis() >= 250 && pauses[1].as_millis() >= 500, "{pauses:?}");
        assert_eq!(town.finish().len(), 3);
    }
}

#[tokio::test]
async fn three_faults_are_enough() {
    let town = Scripted::says(vec![status(502), status(502), Say::Close]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains(TOKEN));
    assert_eq!(town.told(), [("facts", 502, None), ("facts", 502, None), ("facts", 0, None)]);
    town.finish();
}

#[tokio::test]
async fn every_disguise_of_a_limit_ends_the_call_at_once() {
    let limit = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
    let said = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
    let cases = [
        (Say::Answer(403, vec![("Retry-After", "7")], "{}".to_owned()), 7),
        (Say::Answer(429, vec![], String::new()), 60),
        (Say::Answer(403, vec![], said.to_owned()), 60),
        (Say::Answer(200, vec![("X-RateLimit-Remaining", "0")], limit.to_owned()), 60),
    ];
    for (answer, seconds) in cases {
        let town = Scripted::says(vec![answer]).await;
        match town.github.report(&report()).await.unwrap_err().source {
            GitHubError::Limited { after } => assert_eq!(after.as_secs(), seconds),
            other => panic!("{other:?}"),
        }
        assert!(town.pauses().is_empty());
        assert_eq!(town.finish().len(), 1);
    }
}

#[tokio::test]
async fn an_hour_that_is_used_up_is_one_apis_alone() {
    let limit = r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}"#;
    let in_an_hour = sluice::clock::unix_ms(SystemClock.now()) / 1000 + 3600;
    let in_an_hour: &'static str = in_an_hour.to_string().leak();
    let used_up = vec![
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", in_an_hour),
    ];
    let role = Say::Answer(200, vec![], r#"{"permission":"read"}"#.to_owned());
    let town = Scripted::says(vec![Say::Answer(200, used_up, limit.to_owned()), role]).await;
    for _ in 0..2 {
        let error = town.github.facts(&ask()).await.unwrap_err();
        assert!(matches!(error, GitHubError::Limited { after } if after.as_secs() > 3500));
    }
    town.github.role(&ask(), &Login::new("carol")).await.unwrap();
    assert_eq!(town.finish().len(), 2, "the hour of GraphQL was asked for once");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let right = serde_json::json!({ "data": facts() }).to_string();
    let endless = || Say::Answer(200, vec![], right.clone() + &" ".repeat(17 * 1024 * 1024));
    let town = Scripted::says(vec![endless(), endless(), endless()]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable { .. }), "{error:?}");
    town.finish();
}

#[tokio::test]
async fn silence_has_an_end() {
    let town = Scripted::says(vec![Say::Nothing, Say::Nothing, Say::Nothing]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(error.to_string().ends_with("no answer within 500ms"), "{error}");
    town.finish();
}

#[tokio::test]
async fn the_token_travels_in_its_header_only() {
    let town = Scripted::says(vec![data(&facts())]).await;
    town.github.facts(&ask()).await.unwrap();
    let requests = town.finish();
    assert!(requests[0].head.contains(&format!("authorization: bearer {TOKEN}")));
    assert!(!requests[0].line.contains(TOKEN) && !requests[0].body.to_string().contains(TOKEN));
}

#[tokio::test]
async fn refusals_are_told_once_and_not_repeated() {
    let bad = r#"{"message":"Bad credentials"}"#.to_owned();
    let town = Scripted::says(vec![Say::Answer(401, vec![], bad)]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert_eq!(error.to_string(), "GitHub refuses us: Bad credentials");
    town.finish();

    let gone = serde_json::json!({ "viewer": { "login": "x[bot]" }, "repository": null });
    let words = "Could not resolve to a Repository with the name 'acme/data'.";
    let town = Scripted::says(vec![problem(&gone, "NOT_FOUND", &["repository"], words)]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound(_)), "{error:?}");
    town.finish();
}

#[tokio::test]
async fn an_enterprise_server_has_its_apis_side_by_side() {
    let role = Say::Answer(200, vec![], r#"{"permission":"read"}"#.to_owned());
    let town = Scripted::at("/api/v3", None, vec![data(&facts()), role]).await;
    town.github.facts(&ask()).await.unwrap();
    town.github.role(&ask(), &Login::new("dependabot[bot]")).await.unwrap();
    let requests = town.finish();
    assert_eq!(requests[0].line, "POST /api/graphql");
    let path = "/api/v3/repos/acme/data/collaborators/dependabot%5Bbot%5D/permission";
    assert_eq!(requests[1].line, format!("GET {path}"));
    assert!(requests[1].head.contains("authorization: bearer"));
}

#[tokio::test]
async fn roles_are_exact_and_custom_ones_fall_back() {
    let cases = [
        (r#"{"permission":"write","role_name":"maintain"}"#, Role::Maintain),
        (r#"{"permission":"read","role_name":"triage"}"#, Role::Triage),
        (r#"{"permission":"write","role_name":"release-captain"}"#, Role::Write),
        (r#"{"permission":"admin"}"#, Role::Admin),
        (r#"{"permission":"none","role_name":""}"#, Role::None),
        (r#"{"permission":"emperor"}"#, Role::None),
    ];
    for (answer, role) in cases {
        let limit = vec![("x-ratelimit-remaining", "4999")];
        let town = Scripted::says(vec![Say::Answer(200, limit, answer.to_owned())]).await;
        let said = town.github.role(&ask(), &Login::new("carol")).await.unwrap();
        assert_eq!(said, role, "{answer}");
        assert_eq!(town.told(), [("role", 200, Some(4999))]);
        town.finish();
    }
}
