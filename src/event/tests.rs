//! BEHAVIOUR "Events → jobs", row by row, on payloads reduced to what is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::*;
use crate::names::Repository;
use crate::project::{Approvals, OldHead, OwnersApproval, Python};

const HEAD: &str = "ab00000000000000000000000000000000000001";

fn project(name: &str, repository: &str, shares_repository: SharesRepository) -> Project {
    Project {
        name: ProjectName::new(name).unwrap(),
        repository: Repository::new(repository).unwrap(),
        path: String::new(),
        python: Python::Interpreter("python3".into()),
        also: vec![],
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository,
    }
}

fn told(event: &str, mut payload: Value, projects: &[Project]) -> Result<Translated, BadPayload> {
    let payload_has = payload.as_object_mut().unwrap();
    payload_has
        .entry("repository")
        .or_insert_with(|| json!({"id": 1, "full_name": "Acme/Warehouse"}));
    translate(event, payload.to_string().as_bytes(), projects)
}

/// Jobs in few words: `w#7 approval ab00000`.
fn of_one(event: &str, payload: Value) -> Vec<String> {
    in_words(told(event, payload, &[project("w", "acme/warehouse", SharesRepository::No)]).unwrap())
}

fn in_words(translated: Translated) -> Vec<String> {
    let words = |job: &Job| {
        let more = match job {
            Job::GateCheck(check) => {
                let head = check.head.as_ref().map_or("any head", |head| head.short());
                let again = if check.refresh == Refresh::Yes { " again" } else { "" };
                format!(" {head}{again}")
            }
            Job::Command(command) => format!(" {}", command.comment),
            Job::Deploy(_) | Job::Cleanup(_) => String::new(),
        };
        format!("{}#{} {}{more}", job.project(), job.pr(), job.kind().label())
    };
    match translated {
        Translated::Jobs(jobs) => jobs.iter().map(words).collect(),
        Translated::Spread(jobs) => jobs.iter().map(|job| format!("all: {}", words(job))).collect(),
        Translated::Ignored(ignored) => vec![ignored.label().to_owned()],
    }
}

fn pull(action: &str) -> Value {
    json!({"action": action, "pull_request": {"number": 7, "head": {"sha": HEAD}}})
}

#[test]
fn pull_requests_are_looked_at_and_cleaned_up_after() {
    for action in ["opened", "synchronize", "ready_for_review"] {
        assert_eq!(of_one("pull_request", pull(action)), ["w#7 approval ab00000"], "{action}");
    }
    assert_eq!(of_one("pull_request", pull("reopened")), ["w#7 gate ab00000 again"]);
    assert_eq!(of_one("pull_request", pull("closed")), ["w#7 cleanup"]);
    for action in ["labeled", "assigned", "converted_to_draft", "enqueued", "surprise"] {
        assert_eq!(of_one("pull_request", pull(action)), ["ignored"], "{action}");
    }
}

#[test]
fn an_edit_counts_when_it_changes_the_base() {
    let edited = |changes: Value| {
        let mut payload = pull("edited");
        payload["changes"] = changes;
        of_one("pull_request", payload)
    };
    assert_eq!(edited(json!({"base": {"ref": {"from": "old"}}})), ["w#7 approval ab00000"]);
    assert_eq!(edited(json!({"title": {"from": "old"}})), ["ignored"]);
    assert_eq!(edited(Value::Null), ["ignored"]);
}

#[test]
fn reviews_are_judged() {
    for action in ["submitted", "edited", "dismissed"] {
        let jobs = of_one("pull_request_review", pull(action));
        assert_eq!(jobs, ["w#7 approval ab00000"], "{action}");
    }
    assert_eq!(of_one("pull_request_review", pull("surprise")), ["ignored"]);
}

#[test]
fn a_comment_is_a_command_when_it_looks_like_one_and_nothing_else() {
    let comment = |action: &str, body: &str| {
        of_one(
            "issue_comment",
            json!({
                "action": action,
                "issue": {"number": 7, "pull_request": {"url": "x"}},
                "comment": {"node_id": "IC_1", "body": body},
            }),
        )
    };
    for body in ["/deploy", " /deploy \r\n", "#SQLMesh/deploy", "/gate", "x/gate 0a1b"] {
        assert_eq!(comment("created", body), ["w#7 command IC_1"], "{body:?}");
    }
    let long = format!("{}/deploy", "x".repeat(122));
    for body in ["", "please /deploy it", "/deploy now", "> x\n/deploy", "no\r/deploy", &long] {
        assert_eq!(comment("created", body), ["not_a_command"], "{body:?}");
    }
    let exact = format!("{}/deploy", "x".repeat(121));
    assert_eq!(comment("created", &exact), ["w#7 command IC_1"]);
    assert_eq!(comment("edited", "/deploy"), ["ignored"]);
    assert_eq!(comment("deleted", "/deploy"), ["ignored"]);
    let on_an_issue = json!({
        "action": "created",
        "issue": {"number": 7, "pull_request": null},
        "comment": {"node_id": "IC_1", "body": "/deploy"},
    });
    assert_eq!(of_one("issue_comment", on_an_issue), ["not_a_command"]);
}

fn check(action: &str, name: &str, pull_requests: Value) -> Value {
    json!({"action": action, "check_run": {"name": name, "pull_requests": pull_requests}})
}

#[test]
fn our_checks_are_run_again_when_somebody_asks() {
    let prs = json!([{"number": 7, "head": {"sha": HEAD}}, {"number": 7}, {"number": 8}]);
    for action in ["rerequested", "requested_action"] {
        let jobs = of_one("check_run", check(action, "SQLMesh - Linter", prs.clone()));
        assert_eq!(jobs, ["w#7 gate ab00000 again", "w#8 gate any head again"], "{action}");
    }
    // Our own writes come back as these.
    for action in ["created", "completed"] {
        let jobs = of_one("check_run", check(action, "SQLMesh - Linter", prs.clone()));
        assert_eq!(jobs, ["ignored"], "{action}");
    }
    assert_eq!(of_one("check_run", check("rerequested", "build", prs)), ["other_check"]);
    let suite = |action: &str, prs: Value| {
        let suite = json!({"action": action, "check_suite": {"pull_requests": prs}});
        of_one("check_suite", suite)
    };
    assert_eq!(suite("rerequested", json!([{"number": 9}])), ["w#9 gate any head again"]);
    assert_eq!(suite("completed", json!([{"number": 9}])), ["ignored"]);
    assert_eq!(suite("rerequested", Value::Null), ["no_pull_request"]);
    let elsewhere = json!([{"number": 9, "base": {"repo": {"id": 2}}}]);
    assert_eq!(suite("rerequested", elsewhere), ["no_pull_request"]);
}

#[test]
fn one_event_is_one_job_for_all_projects_of_its_repository() {
    let projects = [
        project("one", "acme/warehouse", SharesRepository::Yes),
        project("two", "ACME/warehouse", SharesRepository::Yes),
        project("three", "acme/other", SharesRepository::No),
    ];
    let jobs = |event, payload| in_words(told(event, payload, &projects).unwrap());
    assert_eq!(jobs("pull_request", pull("opened")), ["all: one#7 approval ab00000"]);
    let suite = json!({
        "action": "rerequested",
        "check_suite": {"pull_requests": [{"number": 7}, {"number": 8}]},
    });
    let all = ["all: one#7 gate any head again", "all: one#8 gate any head again"];
    assert_eq!(jobs("check_suite", suite), all);
    let prs = json!([{"number": 7}]);
    let clicked = check("rerequested", "SQLMesh - Linter (two)", prs.clone());
    assert_eq!(jobs("check_run", clicked), ["two#7 gate any head again"]);
    assert_eq!(jobs("check_run", check("rerequested", "SQLMesh - X", prs)), ["other_check"]);
}

#[test]
fn everything_else_is_counted_and_comes_to_nothing() {
    assert_eq!(of_one("push", json!({"ref": "refs/heads/main"})), ["push"]);
    let group = |action: &str, branch: &str| {
        let head_ref = format!("refs/heads/{branch}");
        json!({"action": action, "merge_group": {"head_sha": HEAD, "head_ref": head_ref}})
    };
    let branch = format!("gh-readonly-queue/release/1.0/pr-7-{HEAD}");
    let told = of_one("merge_group", group("checks_requested", &branch));
    assert_eq!(told, ["w#7 approval ab00000"]);
    assert_eq!(of_one("merge_group", group("destroyed", &branch)), ["merge_group"]);
    for odd in ["main", "gh-readonly-queue/main/7", "gh-readonly-queue/main/pr-x-y"] {
        assert_eq!(of_one("merge_group", group("checks_requested", odd)), ["merge_group"], "{odd}");
    }
    assert_eq!(of_one("ping", json!({"zen": "…"})), ["ignored"]);
    assert_eq!(of_one("star", json!({"action": "created"})), ["ignored"]);
    let mut elsewhere = pull("opened");
    elsewhere["repository"] = json!({"full_name": "acme/elsewhere"});
    assert_eq!(of_one("pull_request", elsewhere), ["other_repository"]);
    assert_eq!((label("push"), label("'; drop")), ("push", "other"));
}

#[test]
fn a_payload_that_lacks_what_its_event_carries_is_bad() {
    let projects = [project("w", "acme/warehouse", SharesRepository::No)];
    assert!(translate("pull_request", b"{", &projects).is_err());
    assert!(translate("star", b"not json", &projects).is_err());
    let bad = [
        json!({"action": "opened"}),
        json!({"action": "opened", "pull_request": {"number": "7", "head": {"sha": HEAD}}}),
        json!({"action": "opened", "pull_request": {"number": 7, "head": {"sha": "--x"}}}),
    ];
    for payload in bad {
        assert!(told("pull_request", payload.clone(), &projects).is_err(), "{payload}");
    }
}
