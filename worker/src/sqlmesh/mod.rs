//! SQLMesh behind the `Bridges` of the engine: fork servers in the projects' own Python, one forked
//! process per job.
//!
//! Owns Python: its environments, its processes, what is said to them. Refuses to know GitHub and
//! git. The Python half lies in `sluice_bridge/`.
//!
//! Three things end what a job started: the fork server, when the job's connection or the worker's
//! lifeline ends; the kernel, when the server itself dies; and this module, which finds by a mark
//! in their environment what both could not reach.

mod apart;
mod connection;
mod ground;
mod interpreter;
mod linux;
mod script;
mod server;
mod servers;
mod session;
mod tail;
mod venv;
mod version;
pub mod wire;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice::clock::Clock;
use sluice::engine::EngineError;
use sluice::policy::Policy;
use sluice::project::{Project, Python};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub use apart::can_run_apart;
use connection::Connection;
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
    /// How long an interpreter may take to import SQLMesh.
    pub start_within: Duration,
    /// After how long without a job a fork server ends.
    pub idle: Duration,
    /// How many jobs of one interpreter run at once.
    pub max_jobs: usize,
    /// After how long without word of this worker its jobs are ended: it may be stopped, and its
    /// leases gone. With the time after which a lease is fenced it must be less than the lease's
    /// TTL and lock-delay.
    pub silence: Duration,
}

impl Settings {
    /// The defaults around a place for environments.
    pub fn new(environments: Environments) -> Self {
        Self {
            environments,
            limits: Limits::default(),
            start_within: Duration::from_secs(120),
            idle: Duration::from_secs(15 * 60),
            max_jobs: 16,
            silence: Duration::from_secs(30),
        }
    }
}

/// All bridges of a worker. Dropping it ends every process.
pub struct Bridges {
    settings: Settings,
    servers: Servers,
    /// The interpreters by what they are configured as.
    located: Mutex<HashMap<PathBuf, PathBuf>>,
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
            silence: settings.silence,
        };
        let servers = Servers::new(common, clock);
        Ok(Self { settings, servers, located: Mutex::default(), _folder: folder })
    }

    /// Starts a process for one job of `project`.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`]; [`EngineError::Broken`] when Python cannot be started;
    /// [`EngineError::Busy`] when as many jobs run as the settings allow.
    pub async fn session(
        &self,
        project: &Project,
        site: Site,
        cancel: CancellationToken,
    ) -> Result<BridgeSession, EngineError> {
        let connected = async { self.servers.connect(&self.kind(project).await?).await };
        self.begun(connected, (project, site), cancel).await
    }

    /// Starts a process for one job of `project` that runs a stranger's code, in `checkout`: it
    /// sees nothing else of this worker, and reaches no network.
    ///
    /// # Errors
    /// As [`Bridges::session`]; [`EngineError::Declared`] where this machine has no walls for it.
    pub async fn session_apart(
        &self,
        project: &Project,
        site: Site,
        checkout: &Path,
        cancel: CancellationToken,
    ) -> Result<BridgeSession, EngineError> {
        let connected = async {
            let Kind { python, .. } = self.kind(project).await?;
            self.servers.connect_apart(&python, checkout).await
        };
        let site = Site { cache: apart::CACHE.into(), ..site };
        self.begun(connected, (project, site), cancel).await
    }

    async fn begun(
        &self,
        connected: impl Future<Output = Result<Connection, EngineError>>,
        (project, site): (&Project, Site),
        cancel: CancellationToken,
    ) -> Result<BridgeSession, EngineError> {
        let connection = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(EngineError::Cancelled),
            connected = connected => connected?,
        };
        let terms =
            Terms { gateway: project.gateway.clone(), limits: self.settings.limits, cancel };
        Ok(BridgeSession::new(connection, site, terms))
    }

    /// Approvers and bot options of the configuration in `folder`, a checkout of the base branch.
    ///
    /// # Errors
    /// [`EngineError::Declared`] with SQLMesh's own words when the configuration is not valid.
    pub async fn policy(&self, project: &Project, folder: &Path) -> Result<Policy, EngineError> {
        let mut connection = Some(self.servers.connect(&self.kind(project).await?).await?);
        let request = Request::Policy { path: session::text(folder)? };
        let terms = (self.settings.limits.load, &CancellationToken::new());
        let policy = session::ask(&mut connection, &request, terms, None).await;
        if let Some(connection) = connection {
            connection.hang_up().await;
        }
        policy
    }

    async fn kind(&self, project: &Project) -> Result<Kind, EngineError> {
        let python = match &project.python {
            Python::Interpreter(path) => self.located(path)?,
            Python::Requirements(path) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|e| broken(path, e))?;
                let made = self.settings.environments.interpreter(&text).await;
                std::path::absolute(made.map_err(|e| broken(path, e))?)
                    .map_err(|e| broken(path, e))?
            }
        };
        Ok(Kind { python, pass_env: project.pass_env.iter().cloned().collect() })
    }

    /// Looked up once: another program of the same name does not take over while a worker runs.
    fn located(&self, configured: &Path) -> Result<PathBuf, EngineError> {
        let mut located = self.located.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = located.get(configured) {
            return Ok(path.clone());
        }
        let path = interpreter::locate(configured).map_err(|error| broken(configured, error))?;
        located.insert(configured.to_owned(), path.clone());
        Ok(path)
    }
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    let what = format!("{}: {error}", path.display());
    EngineError::Broken { what, source: Some(Box::new(error)) }
}
