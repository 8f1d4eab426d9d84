//! What an answer says, and what a cunning or half one does not.

use serde_json::{Value, json};
use sluice::github::{Facts, GitHub, GitHubError, MergeState, MergedCommit, PrState, ReviewState};
use sluice::names::Login;

use crate::canned::{MARKER, ask, comment, contexts, facts, head, node, object, pr, sha, suite};
use crate::scripted::{Say, Scripted, data, problem};

async fn read(answer: &Value) -> Facts {
    let town = Scripted::says(vec![data(answer)]).await;
    let facts = town.github.facts(&ask()).await.unwrap();
    assert_eq!(town.finish().len(), 1);
    facts
}

#[tokio::test]
async fn one_request_tells_everything() {
    let town = Scripted::says(vec![data(&facts())]).await;
    let facts = town.github.facts(&ask()).await.unwrap();
    assert_eq!((facts.id, facts.repository_id), (node("PR_7"), node("R_1")));
    assert_eq!((facts.head, facts.base), (sha('a'), sha('b')));
    assert_eq!(facts.base_project_tree, Some(sha('2')));
    assert_eq!((facts.state, facts.draft, facts.fork), (PrState::Open, false, false));
    assert_eq!(facts.author, Some(Login::new("alice")));
    assert_eq!(facts.merge_state, MergeState::Clean);
    assert_eq!(facts.reviews[0].state, ReviewState::Approved);
    assert_eq!(facts.reviews[0].commit, Some(sha('a')));
    let requests = town.finish();
    assert_eq!(requests.len(), 1);
    let variables = &requests[0].body["variables"];
    assert_eq!(variables["config_yaml"], "warehouse/config.yaml");
    assert_eq!((&variables["withCommand"], &variables["suites"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn a_project_at_the_root_is_the_whole_tree() {
    let mut answer = facts();
    let target = &mut pr(&mut answer)["baseRef"]["target"];
    target.as_object_mut().unwrap().remove("folder");
    pr(&mut answer)["state"] = json!("MERGED");
    pr(&mut answer)["mergeCommit"] = json!({ "oid": sha('c').as_str(), "tree": object('d') });
    let town = Scripted::says(vec![data(&answer)]).await;
    let at_root = sluice::github::Ask { path: ".".to_owned(), ..ask() };
    let facts = town.github.facts(&at_root).await.unwrap();
    assert_eq!(facts.base_project_tree, Some(sha('1')));
    let tree = sha('d');
    let commit = MergedCommit {
        sha: sha('c'),
        tree: tree.clone(),
        project_tree: Some(tree),
        into: "main".to_owned(),
        at_ms: None,
    };
    assert_eq!(facts.state, PrState::Merged(commit));
    assert_eq!(town.finish()[0].body["variables"]["inFolder"], json!(false));
}

#[tokio::test]
async fn what_is_not_known_holds_back() {
    let mut answer = facts();
    pr(&mut answer)["mergeStateStatus"] = json!("SOMETHING_NEW");
    pr(&mut answer)["reviews"]["nodes"] = json!([
        { "state": "APPROVED", "author": null, "commit": null },
    ]);
    let facts = read(&answer).await;
    assert_eq!(facts.merge_state, MergeState::Unknown);
    assert_eq!((&facts.reviews[0].author, &facts.reviews[0].commit), (&None, &None));
}

#[tokio::test]
async fn a_quoted_marker_is_nobodys_sticky_comment() {
    let mut answer = facts();
    pr(&mut answer)["oldest"]["nodes"] = json!([
        comment("IC_1", &format!("> {MARKER}"), false),
        comment("IC_2", "ours, of another project", true),
    ]);
    assert_eq!(read(&answer).await.comment, None);
    pr(&mut answer)["newest"]["nodes"] = json!([comment("IC_3", &format!("x {MARKER}"), true)]);
    assert_eq!(read(&answer).await.comment.unwrap().id, node("IC_3"));
}

#[tokio::test]
async fn another_apps_runs_are_not_ours_whatever_they_say() {
    let mut answer = facts();
    head(&mut answer)["checkSuites"]["nodes"] = json!([
        suite("sluice-lookalike", 666, "CR_forged", "job-1"),
        suite("sluice", 12, "CR_ours", "job-1"),
    ]);
    let town = Scripted::says(vec![data(&answer), data(&answer)]).await;
    for _ in 0..2 {
        let facts = town.github.facts(&ask()).await.unwrap();
        let ids: Vec<_> = facts.checks.iter().map(|check| check.id.as_str()).collect();
        assert_eq!(ids, ["CR_ours"]);
    }
    let asked: Vec<_> =
        town.finish().iter().map(|r| r.body["variables"]["suites"].clone()).collect();
    assert_eq!(asked, [Value::Null, json!({ "appId": 12 })]);
}

#[tokio::test]
async fn the_configured_app_counts_more_than_a_name() {
    let mut answer = facts();
    head(&mut answer)["checkSuites"]["nodes"] = json!([suite("sluice", 12, "CR_1", "job-1")]);
    let town = Scripted::at("", Some(99), vec![data(&answer)]).await;
    assert_eq!(town.github.facts(&ask()).await.unwrap().checks, []);
    town.finish();
}

#[tokio::test]
async fn a_required_check_that_nobody_reported_is_pending() {
    let mut answer = facts();
    let run = |name, conclusion, required| {
        json!({ "__typename": "CheckRun", "name": name, "status": "COMPLETED",
                "conclusion": conclusion, "isRequired": required })
    };
    let status = |state| {
        json!({ "__typename": "StatusContext", "context": "ci/old", "state": state,
                "isRequired": true })
    };
    head(&mut answer)["statusCheckRollup"] = contexts(&json!([
        run("build", "SUCCESS", true),
        run("flaky", "FAILURE", false),
        run("docs", "SKIPPED", true),
        run("test", "FAILURE", true),
        status("PENDING"),
    ]));
    let base = &mut pr(&mut answer)["baseRef"];
    base["refUpdateRule"] = json!({ "requiredStatusCheckContexts": ["build", "classic", "docs"] });
    base["rules"]["nodes"] = json!([
        { "parameters": {} },
        { "parameters": null },
        { "parameters": { "requiredStatusChecks": [{ "context": "ruleset" }] } },
    ]);
    assert_eq!(read(&answer).await.required_pending, ["ci/old", "classic", "ruleset", "test"]);
}

#[tokio::test]
async fn rules_that_may_not_be_read_are_not_taken_for_none() {
    let mut answer = facts();
    pr(&mut answer)["baseRef"]["rules"] = Value::Null;
    let path = ["repository", "pullRequest", "baseRef", "rules"];
    let town = Scripted::says(vec![problem(&answer, "FORBIDDEN", &path, "no")]).await;
    let pending = town.github.facts(&ask()).await.unwrap().required_pending;
    assert_eq!(pending, ["the base branch's rules, which this account may not read"]);
    town.finish();
}

#[tokio::test]
async fn checks_beyond_the_first_page_count() {
    let page = |name: &str, more: bool| {
        json!({ "contexts": {
            "pageInfo": { "hasNextPage": more, "endCursor": "c100" },
            "nodes": [{ "__typename": "CheckRun", "name": name, "status": "IN_PROGRESS",
                        "conclusion": null, "isRequired": true }],
        } })
    };
    let mut answer = facts();
    head(&mut answer)["statusCheckRollup"] = page("one", true);
    let second = json!({ "statusCheckRollup": page("two", false) });
    let second = json!({ "repository": { "object": second } });
    let town = Scripted::says(vec![data(&answer), data(&second)]).await;
    assert_eq!(town.github.facts(&ask()).await.unwrap().required_pending, ["one", "two"]);
    assert_eq!(town.finish()[1].body["variables"]["after"], "c100");
}

#[tokio::test]
async fn a_list_of_commits_that_lags_is_not_believed() {
    let mut answer = facts();
    head(&mut answer)["oid"] = json!(sha('f').as_str());
    head(&mut answer)["checkSuites"]["nodes"] = json!([suite("sluice", 12, "CR_old", "job-0")]);
    let suites = json!([suite("sluice", 12, "CR_new", "job-1")]);
    let by_id = crate::canned::written(&suites, &json!([]));
    let town = Scripted::says(vec![data(&answer), data(&by_id)]).await;
    let facts = town.github.facts(&ask()).await.unwrap();
    assert_eq!(facts.checks[0].id, node("CR_new"));
    assert_eq!(town.finish()[1].body["variables"]["head"], sha('a').as_str());
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_fact_and_anything_else_is_none() {
    let mut answer = facts();
    pr(&mut answer)["baseRef"]["target"]["config_yaml"] = Value::Null;
    let at = |name| ["repository", "pullRequest", "baseRef", "target", name];
    let town = Scripted::says(vec![problem(&answer, "NOT_FOUND", &at("config_yaml"), "no")]).await;
    let without = town.github.facts(&ask()).await.unwrap().policy;
    town.finish();
    assert_ne!(without, read(&facts()).await.policy);

    let lost = || problem(&answer, "INTERNAL", &at("config_yaml"), "oops");
    let town = Scripted::says(vec![lost(), lost(), lost()]).await;
    let error = town.github.facts(&ask()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable { .. }), "{error:?}");
    town.finish();
}

fn with_command(pr_id: &str) -> Value {
    let mut answer = facts();
    answer["command"] = json!({
        "id": "IC_9", "body": "/deploy", "createdAt": "2024-05-01T10:00:00Z",
        "lastEditedAt": "2024-05-01T10:01:00Z", "author": null, "pullRequest": { "id": pr_id },
    });
    answer
}

#[tokio::test]
async fn a_command_is_read_with_the_push_that_it_followed() {
    let change = |after, minute| {
        let timestamp = format!("2024-05-01T09:{minute}:00Z");
        json!({ "after": sha(after).as_str(), "timestamp": timestamp })
    };
    let changes = json!([change('f', 30), change('a', 20), change('a', 10)]).to_string();
    let script = vec![data(&with_command("PR_7")), Say::Answer(200, vec![], changes)];
    let town = Scripted::says(script).await;
    let asked = sluice::github::Ask { command: Some(node("IC_9")), ..ask() };
    let command = town.github.facts(&asked).await.unwrap().command.unwrap();
    assert_eq!((command.author, command.edited), (None, true));
    assert_eq!(command.created_ms, 1_714_557_600_000);
    assert_eq!(command.head_pushed_ms, Some(1_714_555_200_000));
    let line = &town.finish()[1].line;
    let query = "ref=refs%2Fheads%2Ffeature%2Fa%20b&per_page=100";
    assert_eq!(*line, format!("GET /repos/acme/data/activity?{query}"));
}

#[tokio::test]
async fn a_command_elsewhere_or_gone_is_none() {
    let asked = sluice::github::Ask { command: Some(node("IC_9")), ..ask() };
    let mut gone = facts();
    gone["command"] = Value::Null;
    let answers =
        [data(&with_command("PR_8")), problem(&gone, "NOT_FOUND", &["command"], "no node")];
    for answer in answers {
        let town = Scripted::says(vec![answer]).await;
        assert_eq!(town.github.facts(&asked).await.unwrap().command, None);
        town.finish();
    }
}
