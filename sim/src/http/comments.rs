//! Comments and reactions.

use serde::Deserialize;

use super::call::Call;
use super::reply::Reply;
use crate::shape;
use crate::world::{ReactionContent, ReactionTarget, World, WorldError};

#[derive(Deserialize)]
struct CommentBody {
    body: String,
}

#[derive(Deserialize)]
struct ReactionBody {
    content: ReactionContent,
}

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (home, pull) = world.pull(&call.pr()?)?;
    let comments = home.comments_of(pull.number).map(|one| shape::comment(world, home, one));
    Ok(call.page(world, home, comments.collect()))
}

pub(super) fn show(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    comment(world, call, call.number("id")?).map(Reply::ok)
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let body: CommentBody = call.body()?;
    let id = world.comment(&call.by, &call.pr()?, &body.body)?;
    comment(world, call, id).map(Reply::created)
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (id, body): (u64, CommentBody) = (call.number("id")?, call.body()?);
    world.edit_comment(&call.by, &call.repository(), id, &body.body)?;
    comment(world, call, id).map(Reply::ok)
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    world.delete_comment(&call.by, &call.repository(), call.number("id")?)?;
    Ok(Reply::no_content())
}

fn comment(world: &World, call: &Call, id: u64) -> Result<serde_json::Value, WorldError> {
    let home = world.repository(&call.repository())?;
    Ok(shape::comment(world, home, home.comment(id)?))
}

pub(super) fn react_to_pull(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    react(world, call, &ReactionTarget::Pull(call.pr()?))
}

pub(super) fn react_to_comment(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    react(world, call, &ReactionTarget::Comment(call.repository(), call.number("id")?))
}

fn react(world: &mut World, call: &Call, target: &ReactionTarget) -> Result<Reply, WorldError> {
    let body: ReactionBody = call.body()?;
    let (reaction, new) = world.react(&call.by, target, body.content)?;
    let shape = shape::reaction(world, &reaction);
    Ok(if new { Reply::created(shape) } else { Reply::ok(shape) })
}
