//! A session and the switch that kills it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::{EngineError, Loaded, Session, Source};
use crate::github::Facts;
use crate::outcome::{Reason, Stop};
use crate::pipeline::cx::{Cx, Ended, stop_of_engine};

/// One job's SQLMesh on its own checkout.
pub(crate) struct Bridge {
    pub(crate) session: Box<dyn Session>,
    /// Kills every process of the session; also fires when the job is cancelled.
    pub(crate) kill: CancellationToken,
}

impl Ended for Bridge {}

impl Bridge {
    /// Head merged into the base of these facts, with a bridge on it.
    pub(crate) async fn open(cx: &Cx<'_>, facts: &Facts) -> Result<Self, Stop> {
        let source = Source {
            project: Arc::clone(&cx.project),
            pr: facts.number,
            base_branch: facts.base_branch.clone(),
            base: facts.base.clone(),
            head: facts.head.clone(),
            confined: facts.fork,
        };
        Self::of(cx, &source).await
    }

    /// A bridge on a source.
    pub(crate) async fn of(cx: &Cx<'_>, source: &Source) -> Result<Self, Stop> {
        let kill = cx.cancel.child_token();
        let opened = cx.deps.engine.open(source, kill.clone()).await;
        let session = opened.map_err(|error| stop_of_engine(error, Reason::GateFailed))?;
        Ok(Self { session, kill })
    }

    /// Loads the project.
    pub(crate) async fn load(&mut self) -> Result<Loaded, Stop> {
        self.session.load().await.map_err(|error| stop_of_engine(error, Reason::GateFailed))
    }

    /// Ends the session in order. What it was for is done: trouble now is worth a log line, not a
    /// retry, unless the job itself was cancelled.
    pub(crate) async fn close(self) -> Result<(), Stop> {
        match self.session.close().await {
            Ok(used) => tracing::debug!(
                cpu_ms = u64::try_from(used.cpu.as_millis()).unwrap_or(u64::MAX),
                peak_rss_bytes = used.peak_rss,
                "the session is closed"
            ),
            Err(error @ EngineError::Cancelled) => {
                return Err(stop_of_engine(error, Reason::GateFailed));
            }
            Err(error) => tracing::warn!(%error, "the session did not end in order"),
        }
        Ok(())
    }
}
