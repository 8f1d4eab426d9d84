//! Commit statuses.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};

use super::check::required;
use super::comment::Actor;
use super::scalar::{DateTime, Uri};
use super::with_world;
use super::words::StatusState;
use crate::git::Oid;
use crate::world::{self, Kind, NodeId, RepositoryName, World};

/// `Status`: the newest status of each context of a commit.
#[derive(SimpleObject)]
pub(crate) struct Status {
    state: StatusState,
    contexts: Vec<StatusContext>,
}

impl Status {
    /// The statuses of a commit; `None` when it has none.
    pub(crate) fn of_commit(world: &World, home: &world::Repository, commit: &Oid) -> Option<Self> {
        use world::StatusState as State;
        let latest = home.latest_statuses(commit);
        let any = |state: State| latest.iter().any(|status| status.state == state);
        let state = match () {
            () if latest.is_empty() => return None,
            () if any(State::Failure) || any(State::Error) => StatusState::Failure,
            () if any(State::Pending) => StatusState::Pending,
            () => StatusState::Success,
        };
        let contexts = latest.iter().map(|status| StatusContext::of(world, &home.name, status));
        Some(Self { state, contexts: contexts.collect() })
    }
}

/// `StatusContext`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct StatusContext {
    id: ID,
    context: String,
    state: StatusState,
    description: Option<String>,
    target_url: Option<Uri>,
    creator: Option<Actor>,
    created_at: DateTime,
    #[graphql(skip)]
    home: RepositoryName,
}

impl StatusContext {
    pub(crate) fn of(world: &World, home: &RepositoryName, status: &world::CommitStatus) -> Self {
        Self {
            id: NodeId::new(Kind::StatusContext, status.id).to_string().into(),
            context: status.context.clone(),
            state: status.state.into(),
            description: status.description.clone(),
            target_url: status.target_url.clone().map(Uri),
            creator: Actor::of(world, &status.creator),
            created_at: DateTime(status.created_at),
            home: home.clone(),
        }
    }
}

#[ComplexObject]
impl StatusContext {
    async fn is_required(
        &self,
        context: &Context<'_>,
        pull_request_id: Option<ID>,
        pull_request_number: Option<u64>,
    ) -> async_graphql::Result<bool> {
        let subject = (pull_request_id, pull_request_number);
        with_world(context, |world| required(world, &self.home, subject, &self.context))
    }
}
