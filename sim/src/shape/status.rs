//! Commit statuses.

use serde_json::{Value, json};

use super::{account, commit, time};
use crate::world::{CommitStatus, Kind, NodeId, Repository, World, WorldError};

/// A status as REST shows it.
pub(crate) fn status(world: &World, home: &Repository, one: &CommitStatus) -> Value {
    let creator = account(world, &world.login(&one.creator));
    json!({
        "url": format!("{}/repos/{}/statuses/{}", world.url(), home.name, one.commit),
        "avatar_url": creator["avatar_url"],
        "id": one.id,
        "node_id": NodeId::new(Kind::StatusContext, one.id).to_string(),
        "state": one.state,
        "description": one.description,
        "target_url": one.target_url,
        "context": one.context,
        "created_at": time(one.created_at),
        "updated_at": time(one.created_at),
        "creator": creator,
    })
}

/// The particular part of a `status` webhook.
pub(crate) fn status_event(
    world: &World,
    home: &Repository,
    one: &CommitStatus,
) -> Result<Value, WorldError> {
    let of = home.git.commit(&one.commit)?.ok_or(WorldError::NotFound)?;
    let mut of = commit(world, home, &of);
    of["commit"]["verification"] = json!({
        "verified": false,
        "reason": "unsigned",
        "signature": null,
        "payload": null,
        "verified_at": null,
    });
    let tips = home.branches.iter().filter(|(_, tip)| **tip == one.commit);
    let branches: Vec<Value> = tips
        .map(|(branch, tip)| {
            let url = format!("{}/repos/{}/commits/{tip}", world.url(), home.name);
            json!({"name": branch, "commit": {"sha": tip.as_str(), "url": url}, "protected": false})
        })
        .collect();
    Ok(json!({
        "id": one.id,
        "sha": one.commit.as_str(),
        "name": home.name.as_str(),
        "target_url": one.target_url,
        "avatar_url": account(world, &world.login(&one.creator))["avatar_url"],
        "context": one.context,
        "description": one.description,
        "state": one.state,
        "commit": of,
        "branches": branches,
        "created_at": time(one.created_at),
        "updated_at": time(one.created_at),
    }))
}
