//! Accounts, limits and repositories.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::call::Call;
use super::reply::Reply;
use crate::git::Oid;
use crate::shape;
use crate::world::{Identity, World, WorldError};

pub(super) fn rate_limit(world: &mut World, _: &Call) -> Result<Reply, WorldError> {
    let limit = *world.rate_limit();
    let core = json!({
        "limit": limit.limit,
        "used": limit.used,
        "remaining": limit.remaining(),
        "reset": limit.reset_epoch_seconds(),
    });
    Ok(Reply::ok(json!({"resources": {"core": core, "graphql": core}, "rate": core})))
}

pub(super) fn user(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    match &call.by {
        Identity::App => {
            Err(WorldError::Forbidden("Resource not accessible by integration".to_owned()))
        }
        Identity::User(login) => Ok(Reply::ok(shape::account(world, login))),
    }
}

pub(super) fn app(world: &mut World, _: &Call) -> Result<Reply, WorldError> {
    Ok(Reply::ok(shape::app(world, &world.app().slug)))
}

pub(super) fn show(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    Ok(Reply::ok(shape::repository(world, home)))
}

/// Newest first; `ref` is a full reference or a branch.
pub(super) fn activity(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let reference = call.query("ref").map(|name| {
        let full = name.starts_with("refs/");
        if full { name.to_owned() } else { format!("refs/heads/{name}") }
    });
    let wanted =
        home.activity.iter().rev().filter(|entry| {
            reference.as_ref().is_none_or(|reference| entry.reference == *reference)
        });
    let entries = wanted.map(|entry| shape::activity(world, entry)).collect();
    Ok(call.page(world, home, entries))
}

pub(super) fn permission(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let login = call.text("login")?;
    let user = world.user(login).ok_or(WorldError::NotFound)?;
    let role = home.role_of(&user.login);
    let mut account = shape::account(world, &user.login);
    account["role_name"] = json!(role);
    Ok(Reply::ok(json!({
        "permission": role.coarse(),
        "role_name": role,
        "user": account,
    })))
}

pub(super) fn contents(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let path = call.text("path")?;
    let revision = call.query("ref").unwrap_or(&home.default_branch);
    let object = home.git.object(&format!("{revision}:{path}"))?.ok_or(WorldError::NotFound)?;
    Ok(Reply::ok(json!({
        "type": "file",
        "encoding": "base64",
        "size": object.content.len(),
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": object.oid.as_str(),
        "content": STANDARD.encode(&object.content),
    })))
}

pub(super) fn commit(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let revision = call.text("sha")?;
    let oid = home.branches.get(revision).cloned().unwrap_or_else(|| Oid::new(revision));
    let commit = home
        .git
        .commit(&oid)?
        .ok_or_else(|| WorldError::Unprocessable(format!("No commit found for SHA: {revision}")))?;
    let parents: Vec<_> =
        commit.parents.iter().map(|parent| json!({"sha": parent.as_str()})).collect();
    Ok(Reply::ok(json!({
        "sha": commit.oid.as_str(),
        "parents": parents,
        "commit": {
            "message": commit.message,
            "tree": {"sha": commit.tree.as_str()},
            "author": {
                "name": commit.author.name,
                "email": commit.author.email,
                "date": shape::time(commit.author.at),
            },
        },
    })))
}
