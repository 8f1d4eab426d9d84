//! A wire to Redis that can lose an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Passes everything on, but for one answer.
pub(super) struct Proxy {
    port: u16,
    database: String,
    swallow: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// In front of the server at `url`, which wants no password.
    pub(super) async fn start(url: &str) -> Self {
        let (server, database) = url["redis://".len()..].split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let swallow = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(accept(listener, server.to_owned(), swallow.clone()));
        Self { port, database: database.to_owned(), swallow, task }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/{}", self.port, self.database)
    }

    /// The next answer that grants something is lost, and its connection with it.
    pub(super) fn swallow_the_next_grant(&self) {
        self.swallow.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: String, swallow: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(pass(client, server.clone(), swallow.clone()));
    }
}

async fn pass(mut client: TcpStream, server: String, swallow: Arc<AtomicBool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut asked, mut answered) = ([0; 65536], [0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                server.write_all(&asked[..length]).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                let grants = answered[..length].windows(7).any(|part| part == b"granted");
                if grants && swallow.swap(false, Ordering::SeqCst) {
                    return;
                }
                drop(client.write_all(&answered[..length]).await);
            }
        }
    }
}
