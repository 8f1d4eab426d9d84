//! Finding processes by a mark in their environment, and ending them.
//!
//! The fork server ends what its jobs started. Should the server itself be killed, this finds what
//! it could not: every process inherits its environment, whatever group or session it moved to.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often the process table is read until nothing marked is left.
const SWEEPS: u32 = 100;
const BETWEEN_SWEEPS: Duration = Duration::from_millis(50);

/// A name and value that no other process has in its environment.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) value: String,
}

/// The variable that carries a mark.
pub(super) const MARK: &str = "SLUICE_BRIDGE";

impl Mark {
    /// One that was not used before.
    pub(super) fn new() -> Self {
        Self { value: format!("{:032x}", rand::random::<u128>()) }
    }
}

/// Kills every process with the mark until none is left; false when some would not go.
pub(super) async fn end_marked(mark: Mark) -> bool {
    for _ in 0..SWEEPS {
        let mark = mark.clone();
        // A panic or a shutdown inside leaves nothing known: look again.
        let alive = tokio::task::spawn_blocking(move || kill_marked(&mark)).await.unwrap_or(1);
        if alive == 0 {
            return true;
        }
        tokio::time::sleep(BETWEEN_SWEEPS).await;
    }
    false
}

/// Signals every process with the mark, and says how many there were.
fn kill_marked(mark: &Mark) -> usize {
    let wanted = format!("{MARK}={}", mark.value);
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let marked = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        // Empty for a zombie, unreadable for other users' processes: neither is ours to end.
        let environment = fs::read(entry.path().join("environ")).ok()?;
        environment.split(|byte| *byte == 0).any(|item| item == wanted.as_bytes()).then_some(pid)
    });
    marked
        .map(|pid| {
            if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGKILL) {
                let kind = std::io::Error::from(error).kind();
                tracing::debug!(pid, ?kind, gone = kind == ErrorKind::NotFound, "not signalled");
            }
        })
        .count()
}
