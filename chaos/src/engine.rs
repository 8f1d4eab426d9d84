//! The scripted engine: real git underneath, a SQLMesh of a few lines on top, and for everything
//! that changes an environment a process of its own.
//!
//! A project is its `models/*.sql`. What goes wrong is written into the files themselves, as SQL
//! comments (`-- takes 3000 ms`), so that a round's pull requests say what they do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sluice::engine::{Engine, EngineError, Fault, Session, Source};
use sluice::names::{PolicySha, Sha};
use sluice::policy::Policy;
use sluice::project::Project;
use sluice_worker::checkout::Mirrors;
use tokio_util::sync::CancellationToken;

use crate::history::{Happened, History};
use crate::points::{Points, When};
use crate::warehouse::{Models, Warehouse};

mod connection;
mod session;

use connection::Connection;
use session::Open;

/// The engine of a worker process.
pub struct Scripted {
    mirrors: Arc<Mirrors>,
    place: Arc<Surroundings>,
    policies: Mutex<BTreeMap<PolicySha, Arc<Policy>>>,
}

/// What all sessions of a worker share.
pub(crate) struct Surroundings {
    /// The folder of the warehouse and the history.
    pub(crate) folder: PathBuf,
    pub(crate) warehouse: Warehouse,
    pub(crate) history: History,
    pub(crate) points: Points,
    /// After how long without a word of its worker a bridge ends.
    pub(crate) silence: Duration,
    /// Whether a bridge does what it is told.
    pub(crate) fence: Fences,
}

/// Whether applies stop when they are told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    /// They do.
    Kept,
    /// They ask nobody and hear nothing: for the test of the tests.
    Broken,
}

impl Scripted {
    pub(crate) fn new(mirrors: Arc<Mirrors>, place: Surroundings) -> Self {
        Self { mirrors, place: Arc::new(place), policies: Mutex::default() }
    }
}

#[async_trait]
impl Engine for Scripted {
    async fn policy(
        &self,
        project: &Project,
        base: &Sha,
        policy: &PolicySha,
    ) -> Result<Arc<Policy>, EngineError> {
        let known = |policies: &Mutex<BTreeMap<_, _>>| {
            policies.lock().unwrap_or_else(PoisonError::into_inner).get(policy).cloned()
        };
        if let Some(known) = known(&self.policies) {
            return Ok(known);
        }
        let cancel = CancellationToken::new();
        let files = self.mirrors.configuration(project, base, &cancel).await?;
        let text = std::fs::read_to_string(files.project().join("config.yaml")).map_err(broken)?;
        let read: Policy =
            serde_json::from_str(&text).map_err(|error| declared(Fault::Config, error))?;
        let read = Arc::new(read);
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        policies.insert(policy.clone(), read.clone());
        Ok(read)
    }

    async fn open(
        &self,
        source: &Source,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        self.place.points.reach("engine.open", When::Before);
        let worktree = self.mirrors.merged(source, &cancel).await?;
        let mut models = Models::new();
        for file in std::fs::read_dir(worktree.project().join("models")).map_err(broken)? {
            let path = file.map_err(broken)?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            models.insert(name, std::fs::read_to_string(&path).map_err(broken)?);
        }
        let connection = Connection::start(&self.place).map_err(broken)?;
        self.place.history.append(Happened::BridgeStarted {
            bridge: connection.bridge(),
            pr: source.pr.0,
            head: source.head.to_string(),
        });
        self.place.points.reach("engine.open", When::After);
        Ok(Box::new(Open {
            checkout: worktree.checkout().clone(),
            source: source.clone(),
            models,
            place: Arc::clone(&self.place),
            connection,
            cancel,
            previous: BTreeMap::new(),
        }))
    }
}

pub(crate) fn declared(class: Fault, message: impl ToString) -> EngineError {
    EngineError::Declared { class, message: message.to_string(), traceback: None }
}

pub(crate) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Broken { what: error.to_string(), source: Some(Box::new(error)) }
}
