//! Pull requests, their reviews, files and merge.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::shape;
use crate::world::{MergeMethod, MergeRequest, PullState, World, WorldError};

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let state = call.query("state").unwrap_or("open");
    let base = call.query("base");
    let wanted = home.pulls.values().rev().filter(|pull| {
        let open = pull.state == PullState::Open;
        let state_fits = match state {
            "all" => true,
            "closed" => !open,
            _ => open,
        };
        state_fits && base.is_none_or(|base| pull.base == base)
    });
    let pulls =
        wanted.map(|pull| shape::pull(world, home, pull)).collect::<Result<Vec<Value>, _>>();
    Ok(call.page(world, home, pulls?))
}

/// Answers with what is known, and only then has mergeability computed.
pub(super) fn show(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let pr = call.pr()?;
    let (home, pull) = world.pull(&pr)?;
    let shape = shape::pull(world, home, pull)?;
    world.read_merge_state(&pr)?;
    Ok(Reply::ok(shape))
}

pub(super) fn reviews(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (home, pull) = world.pull(&call.pr()?)?;
    let reviews = pull.reviews.iter().map(|one| shape::review(world, home, pull, one)).collect();
    Ok(call.page(world, home, reviews))
}

pub(super) fn files(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let pr = call.pr()?;
    let (files, (home, pull)) = (world.changed_files(&pr)?, world.pull(&pr)?);
    let at = (home, &pull.head_oid);
    let files = files.iter().map(|file| shape::changed_file(world, at, file)).collect();
    Ok(call.page(world, home, files))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MergeBody {
    sha: Option<String>,
    merge_method: Option<MergeMethod>,
    commit_title: Option<String>,
    commit_message: Option<String>,
}

pub(super) fn merge(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let body: MergeBody = call.body::<Option<MergeBody>>()?.unwrap_or_default();
    let request = MergeRequest {
        method: body.merge_method.unwrap_or_default(),
        expected_head: body.sha,
        headline: body.commit_title,
        body: body.commit_message,
    };
    let commit = world.merge(&call.by, &call.pr()?, &request)?;
    Ok(Reply::ok(json!({
        "sha": commit.as_str(),
        "merged": true,
        "message": "Pull Request successfully merged",
    })))
}
