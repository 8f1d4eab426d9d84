//! One job's connection to its bridge process: requests, replies, and the process's end.
//!
//! Owns the exchange. Deadlines and cancellation are the session's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use sluice::engine::{EngineError, Fence, Used, Watch};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::server::Server;
use super::wire::{self, End, Envelope, Event, FenceAnswer, Greeting, Line, Request};

/// How long a fork may take on a machine that is busy.
const GREETING_WITHIN: Duration = Duration::from_secs(30);
/// How long the server may take to end a job's processes before it is ended itself.
const GONE_WITHIN: Duration = Duration::from_secs(6);

/// A job's process, ready for requests.
pub(super) struct Connection {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    server: Arc<Server>,
    end: oneshot::Receiver<End>,
    requests: u64,
}

/// Why an exchange brought no reply that can be used.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLMesh said why; the process serves on.
    Declared(EngineError),
    /// The process died or speaks nonsense.
    Lost(io::Error),
}

impl Connection {
    /// Has the server fork a process for this connection.
    pub(super) async fn open(server: Arc<Server>) -> Result<Self, EngineError> {
        let greeted = timeout(GREETING_WITHIN, async {
            let (reader, writer) = UnixStream::connect(server.socket()).await?.into_split();
            let mut reader = BufReader::new(reader);
            let greeting = wire::line(&mut reader).await?;
            io::Result::Ok((reader, writer, greeting))
        });
        let greeted = greeted.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match greeted {
            Ok((reader, writer, Some(Greeting::Hello { job }))) => {
                let end = server.end_of(job);
                Ok(Self { reader, writer, server, end, requests: 0 })
            }
            Ok((_, _, Some(Greeting::Busy))) => {
                Err(EngineError::Busy("the bridge runs as many jobs as it may".to_owned()))
            }
            Ok((_, _, None)) => Err(lost("starting", io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(lost("starting", error)),
        }
    }

    /// Sends a request and returns its reply; `watch` hears what comes before it.
    pub(super) async fn call<T: DeserializeOwned>(
        &mut self,
        request: &Request<'_>,
        watch: Option<&dyn Watch>,
    ) -> Result<T, Failure> {
        self.requests += 1;
        let id = self.requests;
        self.send(&Envelope { id, request }).await.map_err(Failure::Lost)?;
        loop {
            let line = wire::line(&mut self.reader).await.map_err(Failure::Lost)?;
            match line.ok_or_else(|| Failure::Lost(io::ErrorKind::UnexpectedEof.into()))? {
                Line::Event(event) => self.heed(event, watch).await.map_err(Failure::Lost)?,
                Line::Failed { id: of, err, warnings } if of == id => {
                    warn(&warnings);
                    return Err(Failure::Declared(err.into()));
                }
                Line::Done { id: of, ok, warnings } if of == id => {
                    warn(&warnings);
                    return serde_json::from_value(ok).map_err(|e| Failure::Lost(e.into()));
                }
                Line::Failed { .. } | Line::Done { .. } => {
                    let what = "it answered a question that was not asked";
                    return Err(Failure::Lost(io::Error::other(what)));
                }
            }
        }
    }

    /// Hangs up, which ends the process, and returns when it is gone with all that it started.
    pub(super) async fn hang_up(self) -> Used {
        let Self { reader, writer, server, mut end, .. } = self;
        drop((reader, writer));
        let told = match timeout(GONE_WITHIN, &mut end).await {
            Ok(told) => told,
            Err(_) => {
                tracing::warn!("a bridge does not end its job and is ended itself");
                server.stop();
                // Bounded by the server's own end, which closes the channel.
                end.await
            }
        };
        // Without a word the server is gone, and everything it started as well.
        told.map(used).unwrap_or_default()
    }

    async fn heed(&mut self, event: Event, watch: Option<&dyn Watch>) -> io::Result<()> {
        match (event, watch) {
            (Event::Progress(progress), Some(watch)) => watch.progress(progress),
            (Event::Fence { stage, n }, Some(watch)) => {
                let go = watch.may_start(&stage).await == Fence::Go;
                self.send(&FenceAnswer { fence: n, go }).await?;
            }
            // Without a watch nothing is applied, and nothing may be.
            (Event::Fence { n, .. }, None) => {
                self.send(&FenceAnswer { fence: n, go: false }).await?;
            }
            (Event::Progress(_), None) => {}
        }
        Ok(())
    }

    async fn send(&mut self, message: &impl serde::Serialize) -> io::Result<()> {
        self.writer.write_all(&wire::encode(message)?).await
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::info!(target: "sluice::bridge", "SQLMesh warns: {warning}");
    }
}

/// The error for a failure during `what`. What was printed is in the log: all of a server's jobs
/// print to one place, and another project's lines are not this one's to read.
pub(super) fn lost(what: &str, error: io::Error) -> EngineError {
    let what = format!("the bridge was lost while {what}: {error}");
    EngineError::Broken { what, source: Some(Box::new(error)) }
}

fn used(end: End) -> Used {
    tracing::debug!(pid = end.pid, status = end.status, "job's process gone");
    Used { cpu: Duration::from_millis(end.cpu_ms), peak_rss: end.peak_rss }
}
