//! SQLMesh behind the `Engine` port: fork servers in the projects' own Python, one forked process per
//! job.
//!
//! Owns Python: its environments, its processes, what is said to them. Refuses to know GitHub, and
//! gets its checkouts made. The Python half lies in `sluice_bridge/`.
//!
//! Three things end what a job started: the fork server, when the job's connection or the worker's
//! lifeline ends; the kernel, when the server itself dies; and this module, which finds by a mark in
//! their environment what both could not reach.

mod connection;
mod ground;
mod linux;
mod script;
mod server;
mod servers;
mod session;
mod tail;
mod venv;
mod wire;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice::clock::Clock;
use sluice::engine::EngineError;
use sluice::names::ProjectName;
use sluice::policy::Policy;
use sluice::project::{Project, Python};
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use servers::{Common, Kind, Servers};
use session::Terms;
pub use session::{BridgeSession, Limits, Site};
pub use venv::{Environments, REQUIREMENTS, Told, VenvError, default_folder};
use wire::Request;

/// What bridges need to know.
#[derive(Clone)]
pub struct Settings {
    /// Where Python environments are made.
    pub environments: Environments,
    /// How long operations may take.
    pub limits: Limits,
    /// How long a session waits for another one of its project before it is told busy.
    pub wait: Duration,
    /// How long an interpreter may take to import SQLMesh.
    pub start_within: Duration,
    /// After how long without a job a fork server ends.
    pub idle: Duration,
    /// How many jobs of one interpreter run at once.
    pub max_jobs: usize,
}

impl Settings {
    /// The defaults around a place for environments.
    pub fn new(environments: Environments) -> Self {
        Self {
            environments,
            limits: Limits::default(),
            wait: Duration::from_secs(60),
            start_within: Duration::from_secs(120),
            idle: Duration::from_secs(15 * 60),
            max_jobs: 16,
        }
    }
}

/// All bridges of a worker. Dropping it ends every process.
pub struct Bridges {
    settings: Settings,
    servers: Servers,
    /// How many more sessions each project may open.
    free: Mutex<HashMap<ProjectName, Arc<Semaphore>>>,
    /// Private to this worker; removed with it.
    _folder: TempDir,
}

impl Bridges {
    /// Writes the Python package to a folder of its own. Starts nothing yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sluice-").tempdir()?;
        script::write(folder.path())?;
        let common = Common {
            folder: folder.path().to_owned(),
            max_jobs: settings.max_jobs,
            start_within: settings.start_within,
            idle: settings.idle,
        };
        let servers = Servers::new(common, clock);
        Ok(Self { settings, servers, free: Mutex::default(), _folder: folder })
    }

    /// Starts a process for one job of `project`.
    ///
    /// # Errors
    /// [`EngineError::Busy`] when the project has as many sessions as it may for longer than the
    /// settings' `wait`; [`EngineError::Cancelled`]; [`EngineError::Broken`].
    pub async fn open(
        &self,
        project: &Project,
        site: Site,
        cancel: CancellationToken,
    ) -> Result<BridgeSession, EngineError> {
        let opened = async {
            let slot = self.slot(project).await?;
            let connection = self.servers.connect(&self.kind(project).await?).await?;
            Ok::<_, EngineError>((slot, connection))
        };
        let (slot, connection) = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(EngineError::Cancelled),
            opened = opened => opened?,
        };
        let terms =
            Terms { gateway: project.gateway.clone(), limits: self.settings.limits, cancel };
        Ok(BridgeSession::new(connection, site, terms, slot))
    }

    /// Approvers and bot options of the configuration in `folder`, a checkout of the base branch.
    ///
    /// # Errors
    /// [`EngineError::Declared`] with SQLMesh's own words when the configuration is not valid.
    pub async fn policy(&self, project: &Project, folder: &Path) -> Result<Policy, EngineError> {
        // Opens no warehouse, so it needs no slot.
        let mut connection = Some(self.servers.connect(&self.kind(project).await?).await?);
        let request = Request::Policy { path: session::text(folder)? };
        let control = (self.settings.limits.load, &CancellationToken::new());
        let policy = session::ask(&mut connection, &request, control, None).await;
        if let Some(connection) = connection {
            connection.hang_up().await;
        }
        policy
    }

    async fn slot(&self, project: &Project) -> Result<OwnedSemaphorePermit, EngineError> {
        let free = {
            let mut all = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let semaphore = || Arc::new(Semaphore::new(project.max_sessions.max(1)));
            all.entry(project.name.clone()).or_insert_with(semaphore).clone()
        };
        match timeout(self.settings.wait, free.acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => {
                let sessions = project.max_sessions;
                let what = format!("{sessions} SQLMesh sessions of {} are open", project.name);
                Err(EngineError::Busy(what))
            }
        }
    }

    async fn kind(&self, project: &Project) -> Result<Kind, EngineError> {
        let python = match &project.python {
            Python::Interpreter(path) => absolute(path)?,
            Python::Requirements(path) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|e| broken(path, e))?;
                let made = self.settings.environments.interpreter(&text).await;
                absolute(&made.map_err(|e| broken(path, e))?)?
            }
        };
        Ok(Kind { python, pass_env: project.pass_env.iter().cloned().collect() })
    }
}

/// Not resolved: an environment is known by the path of its interpreter, which is a link.
fn absolute(path: &Path) -> Result<PathBuf, EngineError> {
    std::path::absolute(path).map_err(|error| broken(path, error))
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Broken {
        what: format!("{}: {error}", path.display()),
        source: Some(Box::new(error)),
    }
}
