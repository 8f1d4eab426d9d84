//! What the App asks as itself, with its own signature: where it is installed, and tokens.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::shape;
use crate::world::{World, WorldError};

/// Whether a path takes the App's signature, and no token.
pub(super) fn is_for_the_app(path: &str) -> bool {
    let of_repository = path.starts_with("/repos/") && path.ends_with("/installation");
    path == "/app" || path.starts_with("/app/") || of_repository
}

/// What sluice asks its App to be given.
fn permissions(world: &World) -> Value {
    let mut granted = json!({
        "checks": "write",
        "contents": "write",
        "deployments": "write",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "write",
    });
    if world.app_reads_members() {
        granted["members"] = "read".into();
    }
    granted
}

pub(super) fn show(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let (app, account) = (world.app(), shape::repository(world, home)["owner"].take());
    let (id, url) = (world.installation_of(home.name.owner()), world.url());
    Ok(Reply::ok(json!({
        "id": id,
        "account": account,
        "repository_selection": "all",
        "access_tokens_url": format!("{url}/app/installations/{id}/access_tokens"),
        "repositories_url": format!("{url}/installation/repositories"),
        "html_url": format!("{url}/settings/installations/{id}"),
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": account["id"],
        "target_type": account["type"],
        "permissions": permissions(world),
        "events": [
            "check_run", "check_suite", "issue_comment", "pull_request", "pull_request_review",
        ],
        "created_at": "2024-01-01T00:00:00Z",
        "updated_at": "2024-01-01T00:00:00Z",
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": null,
        "suspended_at": null,
    })))
}

pub(super) fn make_token(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let minted = world.mint(call.number("installation")?)?;
    Ok(Reply::created(json!({
        "token": minted.token,
        "expires_at": shape::time(minted.ends),
        "permissions": permissions(world),
        "repository_selection": "all",
    })))
}
