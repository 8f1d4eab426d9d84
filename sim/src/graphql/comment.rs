//! Accounts that write, and what they write.

use async_graphql::{ComplexObject, Context, ID, Interface, SimpleObject};

use super::pull::PullRequest;
use super::scalar::{DateTime, Uri};
use super::with_world;
use super::words::ReactionContent;
use crate::world::{self, Identity, Kind, NodeId, Pr, RepositoryName, World};

/// `Actor`: whoever can write. Null where the account is gone.
#[derive(Interface)]
#[graphql(field(name = "login", ty = "&String"))]
pub(crate) enum Actor {
    /// A person.
    User(User),
    /// An application's account.
    Bot(Bot),
}

/// `User`.
#[derive(SimpleObject)]
pub(crate) struct User {
    id: ID,
    pub(crate) login: String,
    database_id: u64,
}

/// `Bot`. Its login has no `[bot]` here, unlike in REST.
#[derive(SimpleObject)]
pub(crate) struct Bot {
    id: ID,
    pub(crate) login: String,
    database_id: u64,
}

impl User {
    /// What `viewer` shows: an installation's is its bot's account, here *with* the suffix.
    pub(crate) fn viewer(world: &World, viewer: &Identity) -> Self {
        let (kind, database_id) = match viewer {
            Identity::App => (Kind::Bot, world.app().id),
            Identity::User(login) => (Kind::User, world.user(login).map_or(0, |user| user.id)),
        };
        let id = NodeId::new(kind, database_id).to_string().into();
        Self { id, login: world.login(viewer), database_id }
    }
}

impl Actor {
    /// The account behind an identity.
    pub(crate) fn of(world: &World, identity: &Identity) -> Option<Self> {
        match identity {
            Identity::App => {
                let app = world.app();
                let id = NodeId::new(Kind::Bot, app.id).to_string().into();
                Some(Self::Bot(Bot { id, login: app.slug.clone(), database_id: app.id }))
            }
            Identity::User(login) => Self::by_login(world, login),
        }
    }

    /// The account of a login as the world keeps it.
    pub(crate) fn by_login(world: &World, login: &str) -> Option<Self> {
        if login == world.login(&Identity::App) {
            return Self::of(world, &Identity::App);
        }
        let user = world.user(login)?;
        let id = NodeId::new(Kind::User, user.id).to_string().into();
        Some(Self::User(User { id, login: user.login.clone(), database_id: user.id }))
    }
}

/// `Reaction`.
#[derive(SimpleObject)]
pub(crate) struct Reaction {
    id: ID,
    database_id: u64,
    content: ReactionContent,
}

impl Reaction {
    pub(crate) fn of(reaction: &world::Reaction) -> Self {
        Self {
            id: NodeId::new(Kind::Reaction, reaction.id).to_string().into(),
            database_id: reaction.id,
            content: reaction.content.into(),
        }
    }
}

/// `IssueComment`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct IssueComment {
    pub(crate) id: ID,
    database_id: u64,
    body: String,
    created_at: DateTime,
    last_edited_at: Option<DateTime>,
    updated_at: DateTime,
    author: Option<Actor>,
    viewer_did_author: bool,
    url: Uri,
    #[graphql(skip)]
    pr: Pr,
}

impl IssueComment {
    pub(crate) fn of(
        world: &World,
        home: &RepositoryName,
        comment: &world::Comment,
        viewer: &Identity,
    ) -> Self {
        let number = comment.number;
        Self {
            id: NodeId::new(Kind::IssueComment, comment.id).to_string().into(),
            database_id: comment.id,
            body: comment.body.clone(),
            created_at: DateTime(comment.created_at),
            last_edited_at: comment.edited_at.map(DateTime),
            updated_at: DateTime(comment.edited_at.unwrap_or(comment.created_at)),
            author: Actor::of(world, &comment.author),
            viewer_did_author: comment.author == *viewer,
            url: Uri(format!("{}/{home}/pull/{number}#issuecomment-{}", world.url(), comment.id)),
            pr: Pr::new(home.clone(), number),
        }
    }
}

#[ComplexObject]
impl IssueComment {
    async fn pull_request(&self, context: &Context<'_>) -> async_graphql::Result<PullRequest> {
        with_world(context, |world| PullRequest::of(world, &self.pr))
    }
}
