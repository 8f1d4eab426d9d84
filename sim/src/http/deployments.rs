//! Deployments and what is said of them.

use super::call::Call;
use super::reply::Reply;
use crate::shape;
use crate::world::{Deployment, World, WorldError};

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let name = call.repository();
    let id = world.create_deployment(&call.by, &name, call.body()?)?;
    let (home, made) = world.deployment(&name, id)?;
    Ok(Reply::created(shape::deployment(world, home, made)))
}

/// Newest first.
pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let home = world.repository(&call.repository())?;
    let is = |asked: &str, value: &str| call.query(asked).is_none_or(|wanted| wanted == value);
    let wanted = |one: &&Deployment| {
        is("sha", one.commit.as_str())
            && is("ref", &one.reference)
            && is("task", &one.task)
            && is("environment", &one.environment)
    };
    let newest_first = home.deployments.iter().rev().filter(wanted);
    let shapes = newest_first.map(|one| shape::deployment(world, home, one)).collect();
    Ok(call.page(world, home, shapes))
}

/// Newest first.
pub(super) fn statuses(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (home, of) = world.deployment(&call.repository(), call.number("id")?)?;
    let newest_first = of.statuses.iter().rev();
    let shapes = newest_first.map(|one| shape::deployment_status(world, home, (of, one)));
    Ok(call.page(world, home, shapes.collect()))
}

pub(super) fn tell(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (name, id) = (call.repository(), call.number("id")?);
    let status = world.tell_deployment(&call.by, (&name, id), call.body()?)?;
    let (home, of) = world.deployment(&name, id)?;
    let told = of.statuses.iter().find(|one| one.id == status).ok_or(WorldError::NotFound)?;
    Ok(Reply::created(shape::deployment_status(world, home, (of, told))))
}
