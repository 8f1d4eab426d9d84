//! The `Engine` port, put together: a checkout, a seat, and SQLMesh on top.
//!
//! Owns how many sessions of a project are open at once, and when Python is needed at all. Refuses
//! to know git's commands and the bridge's messages.

mod policies;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sluice::engine::{Checkout, Engine, EngineError, Session, Source};
use sluice::names::{PolicySha, ProjectName, Sha};
use sluice::policy::Policy;
use sluice::project::Project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::checkout::{Mirrors, Worktree};
use policies::Policies;

/// Who starts Python on a checkout.
#[async_trait]
pub trait Bridges: Send + Sync {
    /// Starts a session on `ground`, and keeps `ground` until every process of it is gone.
    async fn open(
        &self,
        project: Arc<Project>,
        ground: Ground,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError>;

    /// Reads approvers and bot options of the configuration in `folder`, which is a base branch's.
    async fn policy(&self, project: &Project, folder: &Path) -> Result<Policy, EngineError>;

    /// Changes when the same configuration may be read differently.
    fn version(&self, project: &Project) -> String;
}

/// What a session stands on. Its files and its seat are given back when it is dropped.
#[derive(Debug)]
pub struct Ground {
    worktree: Worktree,
    cache: PathBuf,
    confined: bool,
    _seat: OwnedSemaphorePermit,
}

impl Ground {
    /// Which tree it is.
    pub fn checkout(&self) -> &Checkout {
        self.worktree.checkout()
    }

    /// The project's folder.
    pub fn folder(&self) -> &Path {
        self.worktree.project()
    }

    /// The whole checkout, where its code is a stranger's and has to run apart.
    pub fn apart(&self) -> Option<&Path> {
        self.confined.then(|| self.worktree.root())
    }

    /// SQLMesh's `cache_dir`, which outlives the checkout. Not for what runs apart: it would be
    /// everybody's cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }
}

/// The real engine.
pub struct SqlMesh {
    mirrors: Arc<Mirrors>,
    bridges: Arc<dyn Bridges>,
    policies: Policies,
    seats: Mutex<HashMap<ProjectName, Arc<Semaphore>>>,
    patience: Duration,
}

impl SqlMesh {
    /// `patience` is how long a job waits for a seat before it is given back as busy. Policies that
    /// were read are remembered below `data`.
    pub fn new(
        mirrors: Arc<Mirrors>,
        bridges: Arc<dyn Bridges>,
        data: &Path,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let policies = Policies::new(&data.join("policies"))?;
        Ok(Self { mirrors, bridges, policies, seats: Mutex::default(), patience })
    }

    async fn seat(
        &self,
        project: &Project,
        cancel: &CancellationToken,
    ) -> Result<OwnedSemaphorePermit, EngineError> {
        let seats = {
            let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
            let count = project.max_sessions.max(1);
            seats
                .entry(project.name.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(count)))
                .clone()
        };
        let busy = || EngineError::Busy(format!("all sessions of {} are taken", project.name));
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            seat = tokio::time::timeout(self.patience, seats.acquire_owned()) => match seat {
                Ok(Ok(seat)) => Ok(seat),
                Ok(Err(_)) | Err(_) => Err(busy()),
            },
        }
    }
}

#[async_trait]
impl Engine for SqlMesh {
    async fn policy(
        &self,
        project: &Project,
        base: &Sha,
        policy: &PolicySha,
    ) -> Result<Arc<Policy>, EngineError> {
        let key = policies::key(project, policy, &self.bridges.version(project));
        let read = async || {
            // Nobody cancels this: who waits for it may go, and then git dies with the future.
            let cancel = CancellationToken::new();
            let tree = self.mirrors.configuration(project, base, &cancel).await?;
            self.bridges.policy(project, tree.project()).await
        };
        self.policies.remembered(&key, read).await
    }

    async fn open(
        &self,
        source: &Source,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        // The seat first: who waits for one need not hold a checkout.
        let seat = self.seat(&source.project, &cancel).await?;
        let worktree = self.mirrors.merged(source, &cancel).await?;
        let cache = self.mirrors.cache(&source.project).map_err(|source| EngineError::Broken {
            what: "SQLMesh's cache folder cannot be made".to_owned(),
            source: Some(Box::new(source)),
        })?;
        let ground = Ground { worktree, cache, confined: source.confined, _seat: seat };
        self.bridges.open(source.project.clone(), ground, cancel).await
    }
}
