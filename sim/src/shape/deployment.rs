//! Deployments and their statuses.

use serde_json::{Value, json};

use super::{account, app, time};
use crate::world::{Deployment, DeploymentStatus, Identity, Kind, NodeId, Repository, World};

/// A deployment. It does not say where it stands: its statuses do.
pub(crate) fn deployment(world: &World, home: &Repository, one: &Deployment) -> Value {
    let repository = format!("{}/repos/{}", world.url(), home.name);
    let url = format!("{repository}/deployments/{}", one.id);
    let changed = one.statuses.last().map_or(one.created_at, |status| status.created_at);
    json!({
        "url": url,
        "id": one.id,
        "node_id": NodeId::new(Kind::Deployment, one.id).to_string(),
        "sha": one.commit.as_str(),
        "ref": one.reference,
        "task": one.task,
        "payload": one.payload,
        "original_environment": one.environment,
        "environment": one.environment,
        "description": one.description,
        "creator": account(world, &world.login(&one.creator)),
        "created_at": time(one.created_at),
        "updated_at": time(changed),
        "statuses_url": format!("{url}/statuses"),
        "repository_url": repository,
        "transient_environment": one.transient,
        "production_environment": one.production,
        "performed_via_github_app": via(world, &one.creator),
    })
}

/// What was said of a deployment.
pub(crate) fn deployment_status(
    world: &World,
    home: &Repository,
    (of, one): (&Deployment, &DeploymentStatus),
) -> Value {
    let repository = format!("{}/repos/{}", world.url(), home.name);
    let deployment = format!("{repository}/deployments/{}", of.id);
    json!({
        "url": format!("{deployment}/statuses/{}", one.id),
        "id": one.id,
        "node_id": NodeId::new(Kind::DeploymentStatus, one.id).to_string(),
        "state": one.state,
        "creator": account(world, &world.login(&one.creator)),
        "description": one.description,
        "environment": of.environment,
        "target_url": one.log_url,
        "created_at": time(one.created_at),
        "updated_at": time(one.created_at),
        "deployment_url": deployment,
        "repository_url": repository,
        "environment_url": one.environment_url,
        "log_url": one.log_url,
        "performed_via_github_app": via(world, &one.creator),
    })
}

fn via(world: &World, creator: &Identity) -> Value {
    match creator {
        Identity::App => app(world, &world.app().slug),
        Identity::User(_) => Value::Null,
    }
}
