//! What is said on a bridge's connection: JSON lines, each bounded.
//!
//! Owns the shape of requests and replies. Knows no process.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice::engine::{EngineError, Fault, PlanRequest, Progress, Purpose};
use sluice::names::Environment;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line that is read; the Python side refuses to send one.
const MAX_LINE: u64 = 8 * 1024 * 1024 + 1024;

/// One request with its number.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) request: &'a Request<'a>,
}

/// What is asked of the bridge.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Request<'a> {
    Policy { path: &'a str },
    Load { path: &'a str, gateway: Option<&'a str>, cache_dir: &'a str },
    Lint,
    Test,
    Plan(&'a PlanRequest),
    Apply { purpose: Purpose, plan_id: &'a str },
    Invalidate { environment: &'a Environment },
    Environment { environment: &'a Environment },
    Bye,
}

impl Request<'_> {
    /// The operation in words.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Policy { .. } => "reading the configuration",
            Self::Load { .. } => "loading the project",
            Self::Lint => "the linter",
            Self::Test => "the unit tests",
            Self::Plan(_) => "planning",
            Self::Apply { .. } => "applying the plan",
            Self::Invalidate { .. } => "invalidating the environment",
            Self::Environment { .. } => "reading the environment",
            Self::Bye => "closing the project",
        }
    }
}

/// The answer before a stage.
#[derive(Serialize)]
pub(super) struct FenceAnswer {
    pub(super) fence: u64,
    pub(super) go: bool,
}

/// The first line of a connection.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Greeting {
    /// A job's process is there.
    Hello {
        /// The server's number of it.
        job: u64,
    },
    /// As many jobs as the server allows are running.
    Busy,
}

/// Any later line. With a key too many it is none of these: an error that cannot be read must not
/// be taken for the success that stands beside it.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Line {
    /// In the middle of an operation.
    Event(Event),
    /// An operation failed.
    Failed {
        /// The request's number.
        id: u64,
        /// How.
        err: Declared,
        /// What SQLMesh warned of before.
        #[serde(default)]
        warnings: Vec<String>,
    },
    /// An operation is done.
    Done {
        /// The request's number.
        id: u64,
        /// Its result.
        ok: Value,
        /// What SQLMesh warned of meanwhile.
        #[serde(default)]
        warnings: Vec<String>,
    },
}

/// What a bridge says on its own while it works.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// It waits for an answer.
    Fence {
        /// Before which stage of SQLMesh's.
        stage: String,
        /// The number of the question.
        n: u64,
    },
}

/// An error that the Python side declares.
#[derive(Debug, Deserialize)]
pub struct Declared {
    class: String,
    message: String,
    traceback: Option<String>,
}

impl From<Declared> for EngineError {
    fn from(declared: Declared) -> Self {
        let Declared { class, message, traceback } = declared;
        match class.as_str() {
            "conflict" => Self::Conflict(message),
            "busy" => Self::Busy(message),
            "halted" => Self::Halted(message),
            // An operation that has no fault of its own names itself.
            _ => {
                let class = serde_json::from_value(Value::String(class)).unwrap_or(Fault::Other);
                Self::Declared { class, message, traceback }
            }
        }
    }
}

/// What the server says on its own descriptor.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// It takes jobs.
    Ready {
        /// The version of what is spoken here.
        protocol: u64,
        /// SQLMesh's version.
        sqlmesh: String,
        /// Python's version.
        python: String,
    },
    /// It takes none.
    Failed {
        /// Why.
        message: String,
    },
    /// A job's process has ended.
    Gone(End),
}

/// How a job's process ended; nothing that it started is left.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct End {
    /// The server's number of it.
    pub job: u64,
    /// Its process.
    pub pid: i32,
    /// Its exit code, or minus the signal that killed it.
    pub status: i32,
    /// The time that it took of a processor, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that it had, in bytes.
    pub peak_rss: u64,
}

/// The next line as `T`; `None` at the end. A longer line, and one that is no `T`, are errors.
pub async fn line<T, R>(reader: &mut R) -> io::Result<Option<T>>
where
    T: for<'de> Deserialize<'de>,
    R: AsyncBufRead + Unpin,
{
    let mut bytes = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut bytes).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a line was cut off"));
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// A message as one line.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(b'\n');
    Ok(bytes)
}
