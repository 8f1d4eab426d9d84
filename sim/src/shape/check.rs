//! Check runs and suites.

use serde_json::{Value, json};

use super::{app, commit_summary, optional_time, repository, time};
use crate::world::{
    CheckRun, CheckSuite, Kind, NodeId, PullState, Repository, RollupState, World, WorldError,
};

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
        "details_url": run.details_url.as_deref().unwrap_or(url),
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
        "check_suite": {"id": run.suite},
        "app": app(world, &run.app),
        "pull_requests": pulls_with_head(world, home, run.commit.as_str()),
    })
}

/// The particular part of a `check_run` webhook.
pub(crate) fn check_run_event(world: &World, home: &Repository, run: &CheckRun) -> Value {
    let mut shape = check_run(world, home, run);
    if let Some(suite) = home.suites.iter().find(|suite| suite.id == run.suite) {
        shape["check_suite"] = suite_summary(world, home, suite);
    }
    json!({"check_run": shape})
}

/// A check suite.
pub(crate) fn check_suite(
    world: &World,
    home: &Repository,
    suite: &CheckSuite,
) -> Result<Value, WorldError> {
    let mut shape = suite_summary(world, home, suite);
    let runs = home.runs.values().filter(|run| run.suite == suite.id);
    shape["latest_check_runs_count"] = runs.count().into();
    shape["check_runs_url"] =
        format!("{}/repos/{}/check-suites/{}/check-runs", world.url(), home.name, suite.id).into();
    shape["head_commit"] = commit_summary(home, &suite.commit)?;
    shape["repository"] = repository(world, home);
    Ok(shape)
}

/// A check suite as a run shows it.
fn suite_summary(world: &World, home: &Repository, suite: &CheckSuite) -> Value {
    let rollup = home.rollup(&suite.commit);
    let pulls = pulls_with_head(world, home, suite.commit.as_str());
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
        "app": app(world, &suite.app),
        "pull_requests": pulls,
    })
}

/// The particular part of a `check_suite` webhook.
pub(crate) fn check_suite_event(
    world: &World,
    home: &Repository,
    suite: &CheckSuite,
) -> Result<Value, WorldError> {
    Ok(json!({"check_suite": check_suite(world, home, suite)?}))
}

/// The open pull requests with that head, in the short form of check payloads. As on GitHub, pull
/// requests from forks are not listed.
fn pulls_with_head(world: &World, home: &Repository, commit: &str) -> Value {
    let own = format!("{}/repos/{}", world.url(), home.name);
    let repo = json!({"id": home.id, "name": home.name.name(), "url": own});
    home.pulls
        .values()
        .filter(|pull| pull.state == PullState::Open && pull.head_repository.is_none())
        .filter(|pull| pull.head_oid.as_str() == commit)
        .map(|pull| {
            json!({
                "id": pull.id,
                "number": pull.number,
                "url": format!("{own}/pulls/{}", pull.number),
                "head": {"ref": pull.head, "sha": commit, "repo": repo},
                "base": {"ref": pull.base, "sha": pull.base_oid.as_str(), "repo": repo},
            })
        })
        .collect()
}
