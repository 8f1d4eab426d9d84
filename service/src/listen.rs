//! Listening: bounded connections, slow clients cut off, and an end that drops no request.
//!
//! Owns sockets and their time limits. Refuses to know what is said over them.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long accepting rests after the system refused a connection (out of descriptors, mostly).
const REST: Duration = Duration::from_millis(100);

/// The bounds on connections.
#[derive(Debug, Clone)]
pub struct Connections {
    /// How many are open at once; more wait in the kernel's backlog.
    pub most: usize,
    /// How long a request's head may take.
    pub head_within: Duration,
    /// How long requests may take to end once connections are being closed.
    pub close_within: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 256,
            head_within: Duration::from_secs(5),
            close_within: Duration::from_secs(10),
        }
    }
}

/// It cannot be listened on this address; correct the configuration or free the port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ServeError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// A socket that is listened on already, so that its address is known before anything is served.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Listens on `address`; port 0 takes any that is free.
    ///
    /// # Errors
    /// The address is in use, or not this machine's.
    pub async fn new(address: SocketAddr) -> Result<Self, ServeError> {
        let error = |source| ServeError { address, source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `closing`; then closes idle connections, and returns when the last request has
    /// ended or its time is up.
    pub async fn serve(
        self,
        router: Router,
        limits: Connections,
        closing: impl Future<Output = ()>,
    ) {
        let server = Server {
            router,
            limits,
            closing: CancellationToken::new(),
            connections: TaskTracker::new(),
        };
        tokio::select! {
            () = closing => {}
            () = server.accept(&self.listener) => {}
        }
        drop(self.listener);
        server.close().await;
    }
}

struct Server {
    router: Router,
    limits: Connections,
    closing: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    /// Accepts for ever.
    async fn accept(&self, listener: &TcpListener) {
        let room = Arc::new(Semaphore::new(self.limits.most));
        // The semaphore is never closed, so this ends with the future only.
        while let Ok(permit) = room.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.connections.spawn(self.connection(stream, permit));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<> {
        let service = TowerToHyperService::new(self.router.clone());
        let Connections { head_within, close_within, .. } = self.limits;
        let closing = self.closing.clone();
        async move {
            let _permit = permit;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(head_within)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => Ok(ended),
                () = closing.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    timeout(close_within, connection).await
                }
            };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
                Err(_) => tracing::warn!("a connection is cut off: its request did not end"),
            }
        }
    }

    /// Returns when all connections have ended, each at the latest when its time is up.
    async fn close(&self) {
        self.closing.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}
