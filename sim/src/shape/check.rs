//! Check runs and suites.

use serde_json::{Value, json};

use super::{app, optional_time, time};
use crate::world::{CheckRun, CheckSuite, Kind, NodeId, PullState, Repository, RollupState, World};

/// A check run.
pub(crate) fn check_run(world: &World, home: &Repository, run: &CheckRun) -> Value {
    let (url, name) = (world.url(), &home.name);
    json!({
        "id": run.id,
        "node_id": NodeId::new(Kind::CheckRun, run.id).to_string(),
        "name": run.name,
        "head_sha": run.commit.as_str(),
        "external_id": run.external_id.as_deref().unwrap_or(""),
        "url": format!("{url}/repos/{name}/check-runs/{}", run.id),
        "html_url": format!("{url}/{name}/runs/{}", run.id),
        "details_url": run.details_url,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": time(run.started_at),
        "completed_at": optional_time(run.completed_at),
        "output": {
            "title": run.output.title,
            "summary": run.output.summary,
            "text": run.output.text,
            "annotations_count": run.output.annotations,
            "annotations_url": format!("{url}/repos/{name}/check-runs/{}/annotations", run.id),
        },
        "check_suite": {"id": run.suite, "head_sha": run.commit.as_str()},
        "app": app(world, &run.app),
        "pull_requests": pulls_with_head(home, run.commit.as_str()),
    })
}

/// The particular part of a `check_run` webhook.
pub(crate) fn check_run_event(world: &World, home: &Repository, run: &CheckRun) -> Value {
    json!({"check_run": check_run(world, home, run)})
}

/// A check suite.
pub(crate) fn check_suite(world: &World, home: &Repository, suite: &CheckSuite) -> Value {
    let runs = home.runs.values().filter(|run| run.suite == suite.id);
    let rollup = home.rollup(&suite.commit);
    let pulls = pulls_with_head(home, suite.commit.as_str());
    json!({
        "id": suite.id,
        "node_id": NodeId::new(Kind::CheckSuite, suite.id).to_string(),
        "head_branch": pulls.get(0).map(|pull| pull["head"]["ref"].clone()),
        "head_sha": suite.commit.as_str(),
        "status": match rollup {
            None => "queued",
            Some(RollupState::Pending) => "in_progress",
            Some(RollupState::Failure | RollupState::Success) => "completed",
        },
        "conclusion": match rollup {
            Some(RollupState::Success) => Some("success"),
            Some(RollupState::Failure) => Some("failure"),
            Some(RollupState::Pending) | None => None,
        },
        "url": format!("{}/repos/{}/check-suites/{}", world.url(), home.name, suite.id),
        "before": null,
        "after": suite.commit.as_str(),
        "created_at": time(suite.created_at),
        "updated_at": time(suite.created_at),
        "latest_check_runs_count": runs.count(),
        "app": app(world, &suite.app),
        "pull_requests": pulls,
    })
}

/// The particular part of a `check_suite` webhook.
pub(crate) fn check_suite_event(world: &World, home: &Repository, suite: &CheckSuite) -> Value {
    json!({"check_suite": check_suite(world, home, suite)})
}

/// The open pull requests with that head, in the short form of check payloads. As on GitHub, pull
/// requests from forks are not listed.
fn pulls_with_head(home: &Repository, commit: &str) -> Value {
    let repo = json!({"id": home.id, "name": home.name.name(), "url": home.name.as_str()});
    home.pulls
        .values()
        .filter(|pull| pull.state == PullState::Open && pull.head_repository.is_none())
        .filter(|pull| pull.head_oid.as_str() == commit)
        .map(|pull| {
            json!({
                "id": pull.id,
                "number": pull.number,
                "url": format!("{}/pulls/{}", home.name, pull.number),
                "head": {"ref": pull.head, "sha": commit, "repo": repo},
                "base": {"ref": pull.base, "sha": pull.base_oid.as_str(), "repo": repo},
            })
        })
        .collect()
}
