//! The points at which a worker can be made to die: before and after every effect.
//!
//! Owns their names. A point is armed by a file, which the first worker that reaches it takes; so
//! one worker of many dies there once.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::history::{Happened, History};

/// Every effect that a pull request's life has on its way from its opening to prod and away, by
/// port and verb; what a test may arm with [`When`].
pub const EFFECTS: &[&str] = &[
    "queue.publish.approval",
    "queue.publish.gate",
    "queue.publish.deploy",
    "queue.settle.approval",
    "queue.settle.command",
    "queue.settle.gate",
    "queue.settle.deploy",
    "queue.settle.cleanup",
    "lease.acquire.turn",
    "lease.acquire.environment",
    "lease.acquire.prod",
    "lease.acquire.snapshots",
    "lease.acquire.sweep",
    "lease.renew",
    "lease.release.turn",
    "lease.release.environment",
    "lease.release.prod",
    "lease.release.snapshots",
    "github.report",
    "github.merge",
    "github.deployment",
    "engine.open",
    "engine.apply.environment",
    "engine.apply.prod",
    "engine.stage.physical layer",
    "engine.stage.backfill",
    "engine.stage.promote",
    "engine.stage.finalize",
    "engine.invalidate",
    "ledger.undertake_cleanup",
    "ledger.begin",
    "ledger.end",
    "ledger.hear",
    "ledger.see",
    "ledger.looked",
];

/// On which side of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It has not happened.
    Before,
    /// It has happened, and nobody was told.
    After,
}

/// Both sides.
pub const WHENS: [When; 2] = [When::Before, When::After];

/// What happens at an armed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The process kills itself (SIGKILL).
    Die,
    /// It stops itself (SIGSTOP); somebody else continues it.
    Freeze,
}

/// The points of the processes that work in one folder.
#[derive(Debug, Clone)]
pub struct Points {
    folder: PathBuf,
    history: History,
    passed: Arc<Mutex<BTreeSet<String>>>,
}

impl Points {
    /// Those of `folder`.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn at(folder: &Path, history: History) -> io::Result<Self> {
        let folder = folder.join("points");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, history, passed: Arc::default() })
    }

    /// Arms a point: it acts when it is reached the next time, or after it was passed `passes`
    /// times.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn arm(&self, effect: &str, when: When, act: Act, passes: u32) -> io::Result<()> {
        let _held = self.held()?;
        std::fs::write(self.file(effect, when), format!("{passes} {act:?}"))
    }

    /// Whether a point that was armed has not acted yet.
    #[must_use]
    pub fn is_armed(&self, effect: &str, when: When) -> bool {
        self.file(effect, when).exists()
    }

    /// Takes a point's arms away.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn disarm(&self, effect: &str, when: When) -> io::Result<()> {
        let _held = self.held()?;
        match std::fs::remove_file(self.file(effect, when)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A process is at a point: nothing, or the end of it.
    pub fn reach(&self, effect: &str, when: When) {
        let is_new = {
            let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
            passed.insert(effect.to_owned())
        };
        if is_new {
            self.history.append(Happened::Passed { effect: effect.to_owned() });
        }
        let file = self.file(effect, when);
        if file.exists()
            && let Err(error) = self.act(effect, when, &file)
        {
            tracing::error!(%error, effect, "a point could not act");
        }
    }

    fn act(&self, effect: &str, when: When, file: &Path) -> io::Result<()> {
        let held = self.held()?;
        let text = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text?,
        };
        let (passes, act) = text.split_once(' ').unwrap_or(("0", "Die"));
        let passes: u32 = passes.parse().unwrap_or_default();
        if let Some(left) = passes.checked_sub(1) {
            return std::fs::write(file, format!("{left} {act}"));
        }
        std::fs::remove_file(file)?;
        drop(held);
        self.history.append(Happened::Reached { point: format!("{effect} {when:?}") });
        let signal = if act == "Freeze" { Signal::SIGSTOP } else { Signal::SIGKILL };
        Ok(kill(Pid::this(), signal)?)
    }

    fn held(&self) -> io::Result<Flock<std::fs::File>> {
        let lock = self.folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
    }

    fn file(&self, effect: &str, when: When) -> PathBuf {
        self.folder.join(format!("{effect} {when:?}"))
    }
}
