//! The last lines that a program wrote, for the message when it fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

const MAX_LINES: usize = 30;
const MAX_LINE_BYTES: u64 = 2_000;

/// The last lines of a program's output. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Reads `output` to its end; each line, cut at a bound, is also given to `told`.
    pub(super) async fn follow(self, output: impl AsyncRead + Unpin, told: impl Fn(&str)) {
        let mut reader = BufReader::new(output);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return tracing::debug!(%error, "output ended"),
            }
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            told(&line);
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == MAX_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }

    /// What was written last.
    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
