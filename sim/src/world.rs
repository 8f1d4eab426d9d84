//! The world: every user, repository, pull request and check of the stand-in, and the rules by
//! which they change. Pure state: it does no I/O but git plumbing on its own bare repositories,
//! and does not know that HTTP, GraphQL or webhooks' transport exist.

mod check;
mod comment;
mod delivery;
mod deployment;
mod error;
mod identity;
mod installation;
mod merge;
mod mergeability;
mod node;
mod protection;
mod pull;
mod push;
mod queue;
mod repository;
mod request;
mod review;
mod team;
mod time;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

pub use check::{
    CheckConclusion, CheckRun, CheckRunChange, CheckStatus, CheckSuite, CommitStatus, NewCheckRun,
    NewStatus, Output, RollupState, StatusState,
};
pub use comment::{Comment, Reaction, ReactionContent, ReactionTarget};
pub use delivery::{Delivery, DeliveryLog, DeliveryStatus};
pub use deployment::{
    Deployment, DeploymentState, DeploymentStatus, NewDeployment, NewDeploymentStatus,
};
pub use error::WorldError;
pub use identity::{App, Identity, Role, User};
pub use installation::Minted;
pub use merge::{MergeMethod, MergeRequest, Merged};
pub use mergeability::{MergeState, Mergeable, ReviewDecision};
pub use node::{Kind, NodeId};
pub use protection::{Origin, Protection};
pub use pull::{Pr, PullRequest, PullSpec, PullState, Size};
pub use push::{Activity, ActivityType, Push};
pub use queue::{EnqueueRequest, QueueEntry};
pub use repository::{Files, Repository, RepositoryName};
pub use request::{RateLimit, RequestKind, RequestLog, RequestRecord};
pub use review::{Review, ReviewState};
pub use team::Team;
pub use time::Clock;

use crate::faults::Faults;

/// The whole state of the stand-in. Every verb takes who acts, checks what GitHub checks, changes
/// the state and emits the webhooks that GitHub would send.
#[derive(Debug)]
pub struct World {
    /// What goes wrong next; set by tests and the demo.
    pub faults: Faults,
    clock: Clock,
    root: PathBuf,
    url: String,
    app: App,
    users: BTreeMap<String, User>,
    tokens: HashMap<String, Identity>,
    /// When a token ends that does.
    token_ends: HashMap<String, std::time::SystemTime>,
    /// Which installation a token was made for.
    token_installations: HashMap<String, u64>,
    repositories: Vec<Repository>,
    teams: Vec<Team>,
    app_reads_members: bool,
    last_id: u64,
    deliveries: DeliveryLog,
    requests: RequestLog,
    rate_limit: RateLimit,
}

impl World {
    /// An empty world whose bare repositories will be made in `root`.
    #[must_use]
    pub fn new(root: PathBuf, app: App, clock: Clock) -> Self {
        let started = clock.now();
        let mut world = Self {
            faults: Faults::default(),
            clock,
            root,
            url: "http://127.0.0.1".to_owned(),
            app,
            users: BTreeMap::new(),
            tokens: HashMap::new(),
            token_ends: HashMap::new(),
            token_installations: HashMap::new(),
            repositories: Vec::new(),
            teams: Vec::new(),
            app_reads_members: true,
            last_id: 1_000,
            deliveries: DeliveryLog::new(started),
            requests: RequestLog::default(),
            rate_limit: RateLimit::starting(started),
        };
        world.tokens.insert(world.app.token.clone(), Identity::App);
        world
    }

    /// The address that links in answers and webhooks begin with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn set_url(&mut self, url: String) {
        self.url = url;
    }

    /// The application that sluice is installed as.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The clock, to read or to set.
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// The time that everything that happens now is stamped with.
    #[must_use]
    pub fn now(&self) -> std::time::SystemTime {
        self.clock.now()
    }

    /// Where the bare repositories lie, as `owner/name.git`.
    #[must_use]
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Every webhook that was sent, is waiting, or was lost.
    #[must_use]
    pub fn deliveries(&self) -> &DeliveryLog {
        &self.deliveries
    }

    /// Like [`World::deliveries`], for the sender.
    pub fn deliveries_mut(&mut self) -> &mut DeliveryLog {
        &mut self.deliveries
    }

    /// Every request that was made, oldest first.
    #[must_use]
    pub fn requests(&self) -> &RequestLog {
        &self.requests
    }

    /// Like [`World::requests`], for the router.
    pub fn requests_mut(&mut self) -> &mut RequestLog {
        &mut self.requests
    }

    /// How much of the hourly request budget is left.
    pub fn rate_limit(&mut self) -> &mut RateLimit {
        &mut self.rate_limit
    }

    /// All repositories, in the order they were made.
    #[must_use]
    pub fn repositories(&self) -> &[Repository] {
        &self.repositories
    }

    /// The repository of that name, in any letter case, or one that had it before it was renamed.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is none.
    pub fn repository(&self, name: &RepositoryName) -> Result<&Repository, WorldError> {
        let place = self.place_of(name).ok_or(WorldError::NotFound)?;
        self.repositories.get(place).ok_or(WorldError::NotFound)
    }

    pub(crate) fn repository_mut(
        &mut self,
        name: &RepositoryName,
    ) -> Result<&mut Repository, WorldError> {
        let place = self.place_of(name).ok_or(WorldError::NotFound)?;
        self.repositories.get_mut(place).ok_or(WorldError::NotFound)
    }

    fn place_of(&self, name: &RepositoryName) -> Option<usize> {
        let has = |place: &Repository| place.name == *name;
        let had = |place: &Repository| place.former_names.contains(name);
        let all = &self.repositories;
        all.iter().position(has).or_else(|| all.iter().position(had))
    }

    /// Gives a repository another name. Its old one goes on leading to it, but in webhooks.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is none of that name.
    pub fn rename(&mut self, from: &RepositoryName, to: RepositoryName) -> Result<(), WorldError> {
        let home = self.repository_mut(from)?;
        let former = std::mem::replace(&mut home.name, to);
        home.former_names.push(former);
        Ok(())
    }

    /// The pull request, with the repository it is in.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is none.
    pub fn pull(&self, pr: &Pr) -> Result<(&Repository, &PullRequest), WorldError> {
        let repository = self.repository(&pr.repository)?;
        let pull = repository.pulls.get(&pr.number).ok_or(WorldError::NotFound)?;
        Ok((repository, pull))
    }

    pub(crate) fn pull_mut(&mut self, pr: &Pr) -> Result<&mut PullRequest, WorldError> {
        let repository = self.repository_mut(&pr.repository)?;
        repository.pulls.get_mut(&pr.number).ok_or(WorldError::NotFound)
    }

    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
