//! The history: what every process did, one line of JSON each, in one file that only grows.
//!
//! Owns the words. A line is one write to a file opened for appending, so that lines of many
//! processes do not mix, and what a process did before it was killed is there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice::clock::{Clock as _, SystemClock, unix_ms};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which process, by name.
    pub who: String,
    /// Its process id.
    pub pid: u32,
    /// What happened.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Happened {
    /// A worker process began to work.
    WorkerStarted,
    /// A worker process is gone.
    WorkerEnded {
        /// Its process id.
        worker: u32,
    },
    /// Something was done to the parts from outside.
    Fault {
        /// What, for people.
        what: String,
    },
    /// Something that was done from outside is over.
    Over {
        /// What, for people.
        what: String,
    },
    /// A process reached an armed point, and dies or stops there.
    Reached {
        /// Which.
        point: String,
    },
    /// A job is about to be stored.
    Publishing(JobLine),
    /// A job is stored.
    Published(JobLine),
    /// A message was handed to a worker.
    Delivered(JobLine),
    /// A message is about to be settled.
    Settling {
        /// Of which job.
        job: JobLine,
        /// The disposition's label.
        disposition: String,
    },
    /// Its settlement was confirmed.
    Settled {
        /// Of which job.
        job: JobLine,
        /// The disposition's label.
        disposition: String,
    },
    /// A message was not ours any more when it was to be settled: it comes back.
    Lost {
        /// Of which job.
        job: JobLine,
    },
    /// A process comes by an effect for the first time: what sorts there are.
    Passed {
        /// Which.
        effect: String,
    },
    /// Prod's lease is about to be asked for.
    Asked {
        /// By which job.
        job: String,
    },
    /// Leases were given.
    Granted {
        /// What is held.
        keys: Vec<String>,
        /// The fencing token.
        epoch: u64,
        /// To which job.
        job: String,
        /// Of which pull request.
        pr: u64,
    },
    /// Leases were given back.
    Released {
        /// What was held.
        keys: Vec<String>,
        /// The fencing token.
        epoch: u64,
        /// `Free` or `Reserve`.
        how: String,
    },
    /// A lease was lost, and the work under it has ended or was given up.
    LeaseLost {
        /// What was held, as a label.
        key: String,
        /// By which job.
        job: String,
        /// Of which pull request.
        pr: u64,
    },
    /// GitHub said that it merged, or had merged.
    Merged {
        /// Which pull request.
        pr: u64,
    },
    /// A bridge was started for a session.
    BridgeStarted {
        /// Its process id.
        bridge: u32,
        /// For which pull request.
        pr: u64,
        /// With which head.
        head: String,
    },
    /// A bridge whose worker is gone, or lost the lease under which it worked, is gone as well.
    BridgeGone {
        /// Its process id.
        bridge: u32,
        /// How long it outlived that, at most.
        after_ms: u64,
    },
    /// A bridge begins to change an environment. Written under the environment's lock.
    ApplyBegan(ApplyLine),
    /// It has ended, whatever came of it. Written under the environment's lock.
    ApplyEnded {
        /// Which.
        apply: ApplyLine,
        /// What came of it.
        outcome: String,
    },
    /// An environment stands at a plan now.
    Promoted {
        /// Which apply did that.
        apply: ApplyLine,
        /// What it stood at before.
        previous: Option<String>,
    },
    /// A bridge begins to build a snapshot version. Written under the version's lock.
    BuildBegan {
        /// Which.
        version: String,
    },
    /// It has ended. Written under the version's lock.
    BuildEnded {
        /// Which.
        version: String,
    },
    /// The exclusive lock on an environment or a snapshot version was taken: two work at once.
    Overlap {
        /// On what.
        lock: String,
    },
}

/// A job, as the history names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLine {
    /// Its id.
    pub job: String,
    /// Its kind.
    pub kind: String,
    /// The pull request it concerns.
    pub pr: u64,
    /// The message that carries it, when it is one.
    pub message: Option<String>,
}

/// An apply, as the history names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyLine {
    /// To which environment.
    pub environment: String,
    /// The plan's id.
    pub plan: String,
    /// For which pull request.
    pub pr: u64,
    /// Which head was planned.
    pub head: String,
    /// The merged tree that was planned.
    pub tree: String,
}

/// Writes lines of one process. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct History {
    file: Arc<File>,
    who: String,
}

/// The history's name in its folder.
const FILE: &str = "history.jsonl";

impl History {
    /// Opens the history in `folder` for the process that is called `who`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(folder: &Path, who: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
        Ok(Self { file: Arc::new(file), who: who.to_owned() })
    }

    /// Appends a line.
    ///
    /// # Panics
    /// When it cannot: a history with a gap proves nothing.
    #[expect(clippy::expect_used, reason = "a history with a gap proves nothing")]
    pub fn append(&self, what: Happened) {
        let at_ms = unix_ms(SystemClock.now());
        let line = Line { at_ms, who: self.who.clone(), pid: std::process::id(), what };
        let mut text = serde_json::to_string(&line).expect("a line is JSON");
        text.push('\n');
        (&*self.file).write_all(text.as_bytes()).expect("the history can be written");
    }
}

/// Everything in the history of `folder`, in the order of writing.
///
/// # Errors
/// It cannot be read, or holds a line that is none.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Line>> {
    Reader::of(folder).news()
}

/// Reads a history as it grows.
pub(crate) struct Reader {
    path: PathBuf,
    read: u64,
}

impl Reader {
    /// From the beginning of the history of `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { path: folder.join(FILE), read: 0 }
    }

    /// The lines since the last time.
    pub(crate) fn news(&mut self) -> anyhow::Result<Vec<Line>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line is one write; what does not end yet is read the next time.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        text[..whole].lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}
