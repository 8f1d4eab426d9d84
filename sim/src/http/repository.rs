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
    Ok(Reply::ok(json!({
        "resources": {"core": core, "search": core, "graphql": core},
        "rate": core,
    })))
}

pub(super) fn user(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    match &call.by {
        Identity::App => {
            Err(WorldError::Forbidden("Resource not accessible by integration".to_owned()))
        }
        Identity::User(login) => Ok(Reply::ok(shape::profile(world, login))),
    }
}

pub(super) fn app(world: &mut World, _: &Call) -> Result<Reply, WorldError> {
    Ok(Reply::ok(shape::app(world, &world.app().slug)))
}

pub(super) fn show(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    Ok(Reply::ok(shape::full_repository(world, home)))
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
    let (url, name) = (world.url(), &home.name);
    let own = format!("{url}/repos/{name}/contents/{path}?ref={revision}");
    let blob = format!("{url}/repos/{name}/git/blobs/{}", object.oid);
    let page = format!("{url}/{name}/blob/{revision}/{path}");
    Ok(Reply::ok(json!({
        "type": "file",
        "encoding": "base64",
        "size": object.content.len(),
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": object.oid.as_str(),
        "content": STANDARD.encode(&object.content),
        "download_url": format!("{url}/{name}/raw/{revision}/{path}"),
        "_links": {"self": own, "git": blob, "html": page},
        "url": own,
        "git_url": blob,
        "html_url": page,
    })))
}

pub(super) fn blob(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let sha = call.text("sha")?;
    let object = home.git.object(sha)?.filter(|object| object.oid.as_str() == sha);
    let object = object.ok_or(WorldError::NotFound)?;
    Ok(Reply::ok(json!({
        "sha": sha,
        "node_id": format!("B_{sha}"),
        "size": object.content.len(),
        "url": format!("{}/repos/{}/git/blobs/{sha}", world.url(), home.name),
        "content": in_lines(&STANDARD.encode(&object.content)),
        "encoding": "base64",
    })))
}

/// As GitHub breaks it.
fn in_lines(text: &str) -> String {
    let lines = text.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line) + "\n");
    lines.collect()
}

pub(super) fn commit(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let revision = call.text("sha")?;
    let oid = home.branches.get(revision).cloned().unwrap_or_else(|| Oid::new(revision));
    let commit = home
        .git
        .commit(&oid)?
        .ok_or_else(|| WorldError::Unprocessable(format!("No commit found for SHA: {revision}")))?;
    Ok(Reply::ok(shape::commit(world, home, &commit)))
}

/// A branch; its rules, where rulesets demand them.
pub(super) fn branch(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    Ok(Reply::ok(shape::branch(world, home, call.text("branch")?)?))
}

pub(super) fn branch_rules(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    Ok(Reply::ok(shape::branch_rules(home, call.text("branch")?)))
}
