//! From an opaque id to the thing it names.

use async_graphql::{ID, Interface};

use super::check::CheckRun;
use super::comment::IssueComment;
use super::pull::PullRequest;
use super::repository::Repository;
use crate::world::{Identity, Kind, NodeId, Pr, RepositoryName, World, WorldError};

/// `Node`.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID"))]
pub(crate) enum Node {
    /// A repository.
    Repository(Box<Repository>),
    /// A pull request.
    PullRequest(Box<PullRequest>),
    /// A comment.
    IssueComment(Box<IssueComment>),
    /// A check run.
    CheckRun(Box<CheckRun>),
}

impl Node {
    pub(crate) fn find(world: &World, id: &str, viewer: &Identity) -> Result<Self, WorldError> {
        let node = NodeId::parse(id).ok_or(WorldError::NotFound)?;
        Ok(match node.kind {
            Kind::Repository => {
                let name = repository(world, id)?;
                Self::Repository(Box::new(Repository::of(world, world.repository(&name)?)))
            }
            Kind::PullRequest => {
                Self::PullRequest(Box::new(PullRequest::of(world, &pull(world, id)?)?))
            }
            Kind::IssueComment => {
                let (name, comment) = comment(world, id)?;
                let comment = world.repository(&name)?.comment(comment)?;
                Self::IssueComment(Box::new(IssueComment::of(world, &name, comment, viewer)))
            }
            Kind::CheckRun => {
                let homes = world.repositories().iter();
                let mut found =
                    homes.filter_map(|home| Some((&home.name, home.runs.get(&node.id)?)));
                let (name, run) = found.next().ok_or(WorldError::NotFound)?;
                Self::CheckRun(Box::new(CheckRun::of(name, run)))
            }
            _ => return Err(WorldError::NotFound),
        })
    }
}

fn typed(id: &str, kind: Kind) -> Result<u64, WorldError> {
    let node = NodeId::parse(id).filter(|node| node.kind == kind);
    node.map(|node| node.id).ok_or(WorldError::NotFound)
}

/// The repository of a node id.
pub(crate) fn repository(world: &World, id: &str) -> Result<RepositoryName, WorldError> {
    let id = typed(id, Kind::Repository)?;
    let found = world.repositories().iter().find(|home| home.id == id);
    found.map(|home| home.name.clone()).ok_or(WorldError::NotFound)
}

/// The pull request of a node id.
pub(crate) fn pull(world: &World, id: &str) -> Result<Pr, WorldError> {
    let id = typed(id, Kind::PullRequest)?;
    let mut found = world.repositories().iter().filter_map(|home| {
        let pull = home.pulls.values().find(|pull| pull.id == id)?;
        Some(Pr::new(home.name.clone(), pull.number))
    });
    found.next().ok_or(WorldError::NotFound)
}

/// The repository and database id of a comment's node id.
pub(crate) fn comment(world: &World, id: &str) -> Result<(RepositoryName, u64), WorldError> {
    let id = typed(id, Kind::IssueComment)?;
    let found = world.repositories().iter().find(|home| home.comments.contains_key(&id));
    found.map(|home| (home.name.clone(), id)).ok_or(WorldError::NotFound)
}

/// The database id of a check run's node id.
pub(crate) fn check_run(id: &str) -> Result<u64, WorldError> {
    typed(id, Kind::CheckRun)
}
