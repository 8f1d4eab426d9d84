//! A session's bridge process, as its worker holds it.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::Surroundings;
use crate::bridge::{Order, Place, Word};

/// Several times within the silence that a bridge bears.
const BEATS: u32 = 6;

/// A bridge. It ends with this, and with its worker.
pub(crate) struct Connection {
    child: Child,
    words: Lines<BufReader<ChildStdout>>,
    orders: Arc<Mutex<ChildStdin>>,
    beating: tokio::task::JoinHandle<()>,
}

impl Connection {
    /// Starts one, and tells it again and again that its worker lives.
    pub(crate) fn start(place: &Surroundings) -> io::Result<Self> {
        let silence_ms = u64::try_from(place.silence.as_millis()).unwrap_or(u64::MAX);
        let told = Place { folder: place.folder.clone(), silence_ms };
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bridge")
            .arg(serde_json::to_string(&told)?)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(orders), Some(words)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("its pipes were not made"));
        };
        let orders = Arc::new(Mutex::new(orders));
        let beating = tokio::spawn(beat(Arc::clone(&orders), place.silence / BEATS));
        Ok(Self { child, words: BufReader::new(words).lines(), orders, beating })
    }

    /// The process id; 0 when it is gone.
    pub(crate) fn bridge(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Says something. A bridge that is gone shows at the next word.
    pub(crate) async fn say(&self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        match self.orders.lock().await.write_all(line.as_bytes()).await {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// What it says next; `None` when it is gone.
    pub(crate) async fn word(&mut self) -> io::Result<Option<Word>> {
        let line = self.words.next_line().await?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// Kills it and returns when it is reaped.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.beating.abort();
        self.child.kill().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

async fn beat(orders: Arc<Mutex<ChildStdin>>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if orders.lock().await.write_all(b"\n").await.is_err() {
            return;
        }
    }
}
