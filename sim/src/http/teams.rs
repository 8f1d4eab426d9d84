//! Teams of organizations.

use super::call::Call;
use super::reply::Reply;
use crate::shape;
use crate::world::{World, WorldError};

/// Members of the team and of the teams below it.
pub(super) fn members(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (organization, slug) = (call.text("org")?, call.text("team")?);
    let members = world.members_of(&call.by, organization, slug)?;
    let shown = members.iter().map(|login| shape::account(world, login));
    Ok(call.page_at(&format!("{}{}", world.url(), call.path()), shown.collect()))
}
