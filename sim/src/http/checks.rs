//! Check runs and suites, and commit statuses.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::reply::Reply;
use crate::git::Oid;
use crate::shape;
use crate::world::{
    CheckConclusion, CheckRunChange, CheckStatus, NewCheckRun, Output, World, WorldError,
};

#[derive(Deserialize)]
struct CheckRunBody {
    name: Option<String>,
    head_sha: Option<String>,
    status: Option<CheckStatus>,
    conclusion: Option<CheckConclusion>,
    external_id: Option<String>,
    details_url: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    output: Option<OutputBody>,
    #[serde(default)]
    actions: Vec<ActionBody>,
}

#[derive(Deserialize)]
struct OutputBody {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    #[serde(default)]
    annotations: Vec<Value>,
}

#[derive(Deserialize)]
struct ActionBody {
    label: String,
    description: String,
    identifier: String,
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let body: CheckRunBody = call.body()?;
    let missing = |what| WorldError::Unprocessable(format!("Invalid request.\n\n{what} missing"));
    let new = NewCheckRun {
        name: body.name.clone().ok_or_else(|| missing("name"))?,
        commit: body.head_sha.clone().ok_or_else(|| missing("head_sha"))?,
        change: body.change()?,
    };
    let id = world.create_check_run(&call.by, &call.repository(), new)?;
    run(world, call, id).map(Reply::created)
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (id, body): (u64, CheckRunBody) = (call.number("id")?, call.body()?);
    world.update_check_run(&call.by, &call.repository(), id, body.change()?)?;
    run(world, call, id).map(Reply::ok)
}

pub(super) fn show(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    run(world, call, call.number("id")?).map(Reply::ok)
}

fn run(world: &World, call: &Call, id: u64) -> Result<Value, WorldError> {
    let (home, run) = world.check_run(&call.repository(), id)?;
    Ok(shape::check_run(world, home, run))
}

/// The latest of each name unless `filter=all`, newest first.
pub(super) fn of_commit(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let commit = commit(call, home)?;
    let runs = match call.query("filter") {
        Some("all") => home.runs_of(&commit).collect(),
        _ => home.latest_runs(&commit),
    };
    let name = call.query("check_name");
    let wanted = runs.into_iter().rev().filter(|run| name.is_none_or(|name| run.name == name));
    let shapes = wanted.map(|run| shape::check_run(world, home, run)).collect();
    Ok(call.counted_page((world, home), "check_runs", shapes))
}

pub(super) fn suites_of_commit(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let commit = commit(call, home)?;
    let wanted = home.suites.iter().filter(|suite| suite.commit == commit);
    let shapes = wanted.map(|suite| shape::check_suite(world, home, suite));
    let shapes = shapes.collect::<Result<Vec<_>, _>>()?;
    Ok(call.counted_page((world, home), "check_suites", shapes))
}

pub(super) fn give_status(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (name, sha) = (call.repository(), Oid::new(call.text("sha")?));
    let id = world.create_status(&call.by, (&name, &sha), call.body()?)?;
    let (home, given) = world.status(&name, id)?;
    Ok(Reply::created(shape::status(world, home, given)))
}

fn commit(call: &Call, home: &crate::world::Repository) -> Result<Oid, WorldError> {
    let revision = call.text("sha")?;
    let oid = home.branches.get(revision).cloned().unwrap_or_else(|| Oid::new(revision));
    match home.git.commit(&oid)? {
        Some(commit) => Ok(commit.oid),
        None => Err(WorldError::Unprocessable(format!("No commit found for SHA: {revision}"))),
    }
}

impl CheckRunBody {
    fn change(self) -> Result<CheckRunChange, WorldError> {
        check_actions(&self.actions)?;
        Ok(CheckRunChange {
            name: self.name,
            status: self.status,
            conclusion: self.conclusion,
            external_id: self.external_id,
            details_url: self.details_url,
            started_at: self.started_at.as_deref().map(moment).transpose()?,
            completed_at: self.completed_at.as_deref().map(moment).transpose()?,
            output: self.output.map(|output| Output {
                title: output.title,
                summary: output.summary,
                text: output.text,
                annotations: output.annotations.len(),
            }),
        })
    }
}

/// GitHub's limits for the buttons of a check run.
fn check_actions(actions: &[ActionBody]) -> Result<(), WorldError> {
    let fits = |text: &str, most: usize| text.chars().count() <= most;
    let all_fit = actions.iter().all(|action| {
        fits(&action.label, 20) && fits(&action.description, 40) && fits(&action.identifier, 20)
    });
    if actions.len() <= 3 && all_fit {
        return Ok(());
    }
    Err(WorldError::Unprocessable("Invalid request.\n\nactions are too many or too long".into()))
}

fn moment(text: &str) -> Result<SystemTime, WorldError> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| WorldError::Unprocessable(format!("Invalid request.\n\n{text} is no time")))
}
