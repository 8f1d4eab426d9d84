//! The root of queries.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::comment::User;
use super::node::Node;
use super::repository::Repository;
use super::scalar::DateTime;
use super::{caller, typed, with_world};
use crate::world::RepositoryName;

/// `Query`.
pub(crate) struct Query;

/// `RateLimit`.
#[derive(SimpleObject)]
pub(crate) struct RateLimit {
    limit: u64,
    cost: u64,
    remaining: u64,
    used: u64,
    node_count: u64,
    reset_at: DateTime,
}

#[Object]
impl Query {
    async fn repository(
        &self,
        context: &Context<'_>,
        owner: String,
        name: String,
    ) -> async_graphql::Result<Option<Repository>> {
        let full = RepositoryName::new(format!("{owner}/{name}"));
        let found = with_world(context, |world| {
            Ok(world.repository(&full).ok().map(|home| Repository::of(world, home)))
        })?;
        let message = || format!("Could not resolve to a Repository with the name '{full}'.");
        found.map(Some).ok_or_else(|| typed("NOT_FOUND", message()))
    }

    async fn node(&self, context: &Context<'_>, id: ID) -> async_graphql::Result<Option<Node>> {
        let viewer = caller(context)?;
        let found = with_world(context, |world| Ok(Node::find(world, &id, viewer).ok()))?;
        let message =
            || format!("Could not resolve to a node with the global id of '{}'", id.as_str());
        found.map(Some).ok_or_else(|| typed("NOT_FOUND", message()))
    }

    async fn viewer(&self, context: &Context<'_>) -> async_graphql::Result<User> {
        let viewer = caller(context)?;
        with_world(context, |world| Ok(User::viewer(world, viewer)))
    }

    async fn rate_limit(&self, context: &Context<'_>) -> async_graphql::Result<Option<RateLimit>> {
        with_world(context, |world| {
            let limit = *world.rate_limit();
            Ok(Some(RateLimit {
                limit: limit.limit,
                cost: 1,
                remaining: limit.remaining(),
                used: limit.used,
                node_count: 0,
                reset_at: DateTime(limit.reset_at),
            }))
        })
    }
}
