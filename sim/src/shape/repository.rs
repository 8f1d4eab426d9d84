//! Accounts, the application, repositories, pushes.

use serde_json::{Value, json};

use super::time;
use crate::git::Oid;
use crate::world::{
    Activity, ActivityType, Kind, NodeId, Repository, RepositoryName, World, WorldError,
};

/// An account by the login that REST shows; null when it was deleted or never was.
pub(crate) fn account(world: &World, login: &str) -> Value {
    let app = world.app();
    if login.strip_suffix("[bot]") == Some(app.slug.as_str()) {
        return account_of(world, login, (NodeId::new(Kind::Bot, app.id), "Bot"));
    }
    world.user(login).map_or(Value::Null, |user| {
        account_of(world, &user.login, (NodeId::new(Kind::User, user.id), "User"))
    })
}

fn account_of(world: &World, login: &str, (node, kind): (NodeId, &str)) -> Value {
    let url = world.url();
    json!({
        "login": login,
        "id": node.id,
        "node_id": node.to_string(),
        "avatar_url": format!("{url}/avatars/{login}"),
        "gravatar_id": "",
        "url": format!("{url}/users/{login}"),
        "html_url": format!("{url}/{login}"),
        "type": kind,
        "site_admin": false,
    })
}

/// The owner of a repository: an organization unless a user has that login.
fn owner(world: &World, name: &RepositoryName) -> Value {
    let account = account(world, name.owner());
    if !account.is_null() {
        return account;
    }
    let digest = name.owner().bytes().fold(7_u64, |sum, byte| sum * 31 % 100_003 + u64::from(byte));
    account_of(world, name.owner(), (NodeId::new(Kind::User, digest), "Organization"))
}

/// A GitHub App.
pub(crate) fn app(world: &World, slug: &str) -> Value {
    let own = world.app();
    let (id, name) = if slug == own.slug { (own.id, own.name.as_str()) } else { (15_368, slug) };
    json!({
        "id": id,
        "slug": slug,
        "name": name,
        "node_id": NodeId::new(Kind::Bot, id).to_string(),
        "description": "",
        "external_url": world.url(),
        "html_url": format!("{}/apps/{slug}", world.url()),
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z",
        "permissions": {"checks": "write", "contents": "write", "pull_requests": "write"},
        "events": ["check_run", "check_suite", "issue_comment", "pull_request"],
    })
}

/// A repository.
pub(crate) fn repository(world: &World, repository: &Repository) -> Value {
    let (url, name) = (world.url(), &repository.name);
    json!({
        "id": repository.id,
        "node_id": NodeId::new(Kind::Repository, repository.id).to_string(),
        "name": name.name(),
        "full_name": name.as_str(),
        "private": false,
        "fork": false,
        "owner": owner(world, name),
        "html_url": format!("{url}/{name}"),
        "url": format!("{url}/repos/{name}"),
        "clone_url": format!("{url}/{name}.git"),
        "default_branch": repository.default_branch,
        "archived": false,
        "disabled": false,
        "visibility": "public",
        "allow_merge_commit": true,
        "allow_squash_merge": true,
        "allow_rebase_merge": true,
    })
}

/// The particular part of a `push` webhook.
pub(crate) fn push(
    world: &World,
    repository: &Repository,
    branch: &str,
    before: &Oid,
) -> Result<Value, WorldError> {
    let after = repository.tip(branch)?;
    let commit = repository.git.commit(after)?.ok_or(WorldError::NotFound)?;
    let by = json!({"name": commit.author.name, "email": commit.author.email});
    let head = json!({
        "id": after.as_str(),
        "tree_id": commit.tree.as_str(),
        "distinct": true,
        "message": commit.message,
        "timestamp": time(commit.author.at),
        "url": format!("{}/{}/commit/{after}", world.url(), repository.name),
        "author": by,
        "committer": by,
        "added": [],
        "removed": [],
        "modified": [],
    });
    Ok(json!({
        "ref": format!("refs/heads/{branch}"),
        "before": before.as_str(),
        "after": after.as_str(),
        "created": *before == Oid::zero(),
        "deleted": false,
        "forced": repository.activity.last().is_some_and(|last| {
            last.kind == ActivityType::ForcePush
        }),
        "base_ref": null,
        "compare": format!("{}/{}/compare/{before}...{after}", world.url(), repository.name),
        "pusher": by,
        "commits": [head],
        "head_commit": head,
    }))
}

/// One entry of a repository's activity.
pub(crate) fn activity(world: &World, activity: &Activity) -> Value {
    json!({
        "id": activity.id,
        "node_id": format!("PSH_{}", activity.id),
        "before": activity.before.as_str(),
        "after": activity.after.as_str(),
        "ref": activity.reference,
        "timestamp": time(activity.at),
        "activity_type": activity.kind,
        "actor": account(world, &world.login(&activity.actor)),
    })
}
