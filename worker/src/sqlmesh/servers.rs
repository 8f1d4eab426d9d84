//! The fork servers of a worker: one per interpreter and set of passed variables.
//!
//! Owns starting on demand, again after a death, and not in a tight loop. What one project's Python
//! may see of the environment, another's does not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sluice::clock::Clock;
use sluice::engine::{EngineError, Fault};
use tokio::sync::Mutex as AsyncMutex;

use super::apart::{self, Apart};
use super::connection::Connection;
use super::server::{Launch, Server, StartError};

/// What a project's Python needs to find programs, its language and its proxies. Nothing here is a
/// secret of the worker's. Its home is not the worker's either, unless `HOME` is passed by name.
const ALLOWED: &[&str] = &[
    "PATH",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "MAX_FORK_WORKERS",
];

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What all fork servers share.
pub(super) struct Common {
    /// The folder that only this worker reads and writes: the package, and the sockets.
    pub(super) folder: PathBuf,
    pub(super) max_jobs: usize,
    pub(super) start_within: Duration,
    pub(super) idle: Duration,
    pub(super) silence: Duration,
}

/// One kind of fork server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) python: PathBuf,
    pub(super) pass_env: BTreeSet<String>,
}

/// The fork servers by kind.
pub(super) struct Servers {
    common: Common,
    clock: Arc<dyn Clock>,
    places: Mutex<HashMap<Kind, Arc<AsyncMutex<Place>>>>,
    started: AtomicU64,
}

/// Where one kind's server is, or why it is not there.
#[derive(Default)]
struct Place {
    server: Option<Arc<Server>>,
    failures: u32,
    not_before: Option<Instant>,
}

impl Servers {
    pub(super) fn new(common: Common, clock: Arc<dyn Clock>) -> Self {
        Self { common, clock, places: Mutex::default(), started: AtomicU64::new(0) }
    }

    /// A new job's process. A server that ended since it was last used is started again, once.
    pub(super) async fn connect(&self, kind: &Kind) -> Result<Connection, EngineError> {
        let server = self.server(kind).await?;
        match Connection::open(server.clone()).await {
            Err(EngineError::Broken { .. }) if server.is_over() => {
                Connection::open(self.server(kind).await?).await
            }
            outcome => outcome,
        }
    }

    /// A job's process in a server of its own, which runs a stranger's code apart. It ends with the
    /// connection.
    pub(super) async fn connect_apart(
        &self,
        python: &Path,
        checkout: &Path,
    ) -> Result<Connection, EngineError> {
        apart::can_run_apart().await.map_err(|why| {
            // Another try would find the same: somebody is to be told.
            let message = format!("this worker cannot run the code of a fork: {why}");
            EngineError::Declared { class: Fault::Load, message, traceback: None }
        })?;
        let in_the_way = |error| broken("a socket's folder", error);
        let door = tempfile::Builder::new().prefix("door-").tempdir_in(&self.common.folder);
        let door = door.map_err(in_the_way)?;
        let apart = Apart::new(checkout, door.path()).map_err(|error| broken("bwrap", error))?;
        let launch = Launch {
            python: python.to_owned(),
            scripts: self.common.folder.clone(),
            socket: door.path().join("sock"),
            environment: apart::environment(),
            max_jobs: 1,
            start_within: self.common.start_within,
            idle: self.common.idle,
            silence: self.common.silence,
            apart: Some(apart),
        };
        let server = Server::start(&launch).await;
        let server = server.map_err(|error| broken("a Python apart", error))?;
        let connection = Connection::open(server).await?;
        // Nothing of the project has run yet, and none of it finds a folder of ours to write to.
        door.close().map_err(in_the_way)?;
        Ok(connection)
    }

    async fn server(&self, kind: &Kind) -> Result<Arc<Server>, EngineError> {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.entry(kind.clone()).or_default().clone()
        };
        // Held over the start: whoever else wants this server waits for it.
        let mut place = place.lock().await;
        if let Some(server) = place.server.as_ref().filter(|server| !server.is_over()) {
            return Ok(server.clone());
        }
        place.server = None;
        let pause = place.not_before.map(|at| at.saturating_duration_since(self.clock.instant()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            let what = format!(
                "{} failed to start {} times; tried again in {} s",
                kind.python.display(),
                place.failures,
                pause.as_secs() + 1
            );
            return Err(EngineError::Broken { what, source: None });
        }
        let started = match self.launch(kind) {
            Ok(launch) => Server::start(&launch).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(server) => {
                *place = Place { server: Some(server.clone()), ..Place::default() };
                Ok(server)
            }
            Err(error) => {
                let pause = Duration::from_secs(1 << place.failures.min(6)).min(LONGEST_PAUSE);
                place.failures += 1;
                place.not_before = Some(self.clock.instant() + pause);
                Err(EngineError::Broken { what: error.to_string(), source: Some(Box::new(error)) })
            }
        }
    }

    fn launch(&self, kind: &Kind) -> Result<Launch, StartError> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let home = self.common.folder.join(format!("{number}.home"));
        std::fs::create_dir(&home)
            .map_err(|source| StartError::Home { home: home.clone(), source })?;
        Ok(Launch {
            python: kind.python.clone(),
            scripts: self.common.folder.clone(),
            socket: self.common.folder.join(format!("{number}.sock")),
            environment: environment(&kind.pass_env, &home),
            max_jobs: self.common.max_jobs,
            start_within: self.common.start_within,
            idle: self.common.idle,
            silence: self.common.silence,
            apart: None,
        })
    }
}

fn broken(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Broken { what: format!("{what}: {error}"), source: Some(Box::new(error)) }
}

/// SQLMesh reads a personal configuration from its home. Each worker's may be another one, and its
/// models are cached for all of them, so there is none, whoever's `HOME` was passed.
fn environment(passed: &BTreeSet<String>, home: &Path) -> Vec<(OsString, OsString)> {
    let own = [("HOME", home.to_owned()), ("SQLMESH_HOME", home.join(".sqlmesh"))];
    let names = ALLOWED.iter().copied().chain(passed.iter().map(String::as_str));
    let passed = names.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let mut all: BTreeMap<OsString, OsString> = passed.collect();
    for (name, value) in own {
        if name != "HOME" || !all.contains_key(OsStr::new(name)) {
            all.insert(name.into(), value.into());
        }
    }
    all.into_iter().collect()
}
