//! One job's SQLMesh: every call under a deadline and the job's cancellation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use sluice::engine::{
    Applied, Checkout, EngineError, EnvironmentState, LintReport, Loaded, Plan, PlanRequest,
    Session, TestReport, Used, Watch,
};
use sluice::names::Environment;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Connection, Failure};
use super::wire::Request;

/// How long each operation may take before its processes are killed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Loading a project, and reading its configuration.
    pub load: Duration,
    /// The linter.
    pub lint: Duration,
    /// The unit tests.
    pub test: Duration,
    /// Building a plan.
    pub plan: Duration,
    /// Applying one.
    pub apply: Duration,
    /// Reading the state, invalidating an environment, closing.
    pub state: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            load: minutes(15),
            lint: minutes(15),
            test: minutes(60),
            plan: minutes(30),
            apply: minutes(24 * 60),
            state: minutes(2),
        }
    }
}

/// What a session stands on.
pub struct Site {
    /// The project's folder on disk.
    pub folder: PathBuf,
    /// Where SQLMesh keeps its cache of that project.
    pub cache: PathBuf,
    /// What is checked out there.
    pub checkout: Checkout,
    /// Keeps the folder for as long as the session lives.
    pub keep: Option<Box<dyn Send + Sync>>,
}

/// What a session goes by.
pub(super) struct Terms {
    /// The SQLMesh gateway, when not the default.
    pub(super) gateway: Option<String>,
    /// How long things may take.
    pub(super) limits: Limits,
    /// Ends the session.
    pub(super) cancel: CancellationToken,
}

/// A session over a real bridge process.
pub struct BridgeSession {
    connection: Option<Connection>,
    site: Site,
    terms: Terms,
}

impl BridgeSession {
    pub(super) fn new(connection: Connection, site: Site, terms: Terms) -> Self {
        Self { connection: Some(connection), site, terms }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        request: Request<'_>,
        within: Duration,
        watch: Option<&dyn Watch>,
    ) -> Result<T, EngineError> {
        ask(&mut self.connection, &request, (within, &self.terms.cancel), watch).await
    }
}

impl Drop for BridgeSession {
    /// Checkout and seat stay taken until the processes are gone.
    fn drop(&mut self) {
        let (connection, keep) = (self.connection.take(), self.site.keep.take());
        let (Some(connection), Ok(runtime)) = (connection, Handle::try_current()) else { return };
        runtime.spawn(async move {
            connection.hang_up().await;
            drop(keep);
        });
    }
}

/// One exchange. After anything but a reply or a declared error the process is gone, with all that
/// it started, and so is the connection.
pub(super) async fn ask<T: DeserializeOwned>(
    connection: &mut Option<Connection>,
    request: &Request<'_>,
    (within, cancel): (Duration, &CancellationToken),
    watch: Option<&dyn Watch>,
) -> Result<T, EngineError> {
    let Some(open) = connection.as_mut() else {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let what = "the session has ended".to_owned();
        return Err(EngineError::Broken { what, source: None });
    };
    let what = request.what();
    let error = tokio::select! {
        biased;
        () = cancel.cancelled() => EngineError::Cancelled,
        reply = timeout(within, open.call(request, watch)) => match reply {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Failure::Declared(error))) => return Err(error),
            Ok(Err(Failure::Lost(error))) => connection::lost(what, error),
            Err(_) => EngineError::Timeout { what: what.to_owned(), after: within },
        },
    };
    if let Some(lost) = connection.take() {
        lost.hang_up().await;
    }
    Err(error)
}

/// A path as the Python side is told it.
pub(super) fn text(path: &Path) -> Result<&str, EngineError> {
    path.to_str().ok_or_else(|| EngineError::Broken {
        what: format!("{} is not UTF-8", path.display()),
        source: None,
    })
}

#[async_trait]
impl Session for BridgeSession {
    fn checkout(&self) -> &Checkout {
        &self.site.checkout
    }

    async fn load(&mut self) -> Result<Loaded, EngineError> {
        let request = Request::Load {
            path: text(&self.site.folder)?,
            gateway: self.terms.gateway.as_deref(),
            cache_dir: text(&self.site.cache)?,
        };
        ask(&mut self.connection, &request, (self.terms.limits.load, &self.terms.cancel), None)
            .await
    }

    async fn lint(&mut self) -> Result<LintReport, EngineError> {
        self.ask(Request::Lint, self.terms.limits.lint, None).await
    }

    async fn test(&mut self) -> Result<TestReport, EngineError> {
        self.ask(Request::Test, self.terms.limits.test, None).await
    }

    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, EngineError> {
        self.ask(Request::Plan(request), self.terms.limits.plan, None).await
    }

    async fn apply(&mut self, plan: &Plan, watch: &dyn Watch) -> Result<Applied, EngineError> {
        let request = Request::Apply { purpose: plan.purpose, plan_id: &plan.plan_id };
        self.ask(request, self.terms.limits.apply, Some(watch)).await
    }

    async fn invalidate(&mut self, environment: &Environment) -> Result<(), EngineError> {
        self.ask(Request::Invalidate { environment }, self.terms.limits.state, None).await
    }

    async fn environment(
        &mut self,
        environment: &Environment,
    ) -> Result<Option<EnvironmentState>, EngineError> {
        self.ask(Request::Environment { environment }, self.terms.limits.state, None).await
    }

    async fn close(mut self: Box<Self>) -> Result<Used, EngineError> {
        self.ask::<()>(Request::Bye, self.terms.limits.state, None).await?;
        match self.connection.take() {
            Some(connection) => Ok(connection.hang_up().await),
            None => Ok(Used::default()),
        }
    }
}
