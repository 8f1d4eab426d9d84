//! The bridge of the scripted engine: the process that changes environments, in place of Python.
//!
//! Owns the locks while it works, and its own end: when its worker is gone, or silent for too long,
//! it ends at once, as the bridge of SQLMesh does. It blocks, and knows nothing of sluice.
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: it blocks, and ends wherever it is when its worker is gone"
)]

use std::io::{self, BufRead as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::history::{ApplyLine, Happened, History};
use crate::warehouse::{Stands, Warehouse};

/// The evaluator's stages, in order.
pub const STAGES: [&str; 4] = ["physical layer", "backfill", "promote", "finalize"];

/// What a worker says, one line each. An empty line says that it lives.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Change an environment.
    Apply(Box<Apply>),
    /// The next stage may start.
    Go,
    /// It may not.
    Halt,
}

/// A plan to apply.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Apply {
    /// Which, for the history.
    pub line: ApplyLine,
    /// The plan that the environment stood at when this one was built.
    pub previous: Option<String>,
    /// What it will stand at.
    pub stands: Stands,
    /// The snapshot versions to build.
    pub builds: Vec<String>,
    /// How long each stage takes, in milliseconds.
    pub stage_ms: u64,
    /// Why it fails in the backfill, if it does.
    pub fails: Option<String>,
}

/// What a bridge says, one line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// May this stage start?
    May(String),
    /// This stage is done.
    Did(String),
    /// The environment stands at the plan.
    Applied,
    /// Another plan came first.
    Conflict,
    /// The worker said no before this stage.
    Halted(String),
    /// It failed, for this reason.
    Failed(String),
}

/// Serves one session until its worker closes the connection, or is silent for `silence`.
///
/// # Errors
/// The warehouse or the history cannot be used.
pub fn serve(folder: &Path, silence: Duration) -> anyhow::Result<()> {
    let (orders, heard) = channel();
    std::thread::spawn(move || listen(&orders, silence));
    let bridge = Bridge {
        warehouse: Warehouse::at(folder)?,
        history: History::open(folder, "bridge")?,
        orders: heard,
    };
    while let Ok(order) = bridge.orders.recv() {
        if let Order::Apply(apply) = order {
            bridge.apply(&apply)?;
        }
    }
    Ok(())
}

/// Reads what the worker says. Its end, or its silence, is ours.
fn listen(orders: &Sender<Order>, silence: Duration) {
    let mut input = io::BufReader::new(io::stdin());
    let mut line = String::new();
    loop {
        if input.buffer().is_empty() && !speaks(silence) {
            std::process::exit(3);
        }
        line.clear();
        if input.read_line(&mut line).unwrap_or_default() == 0 {
            std::process::exit(2);
        }
        if let Ok(order) = serde_json::from_str(&line)
            && orders.send(order).is_err()
        {
            std::process::exit(0);
        }
    }
}

/// Whether the worker says something, or hangs up, within `silence`.
fn speaks(silence: Duration) -> bool {
    let stdin = io::stdin();
    let mut watched = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(silence).unwrap_or(PollTimeout::MAX);
    !matches!(poll(&mut watched, limit), Ok(0))
}

struct Bridge {
    warehouse: Warehouse,
    history: History,
    orders: Receiver<Order>,
}

impl Bridge {
    /// Applies a plan under the locks of its environment and of all versions that it builds.
    fn apply(&self, apply: &Apply) -> anyhow::Result<()> {
        let environment = format!("environment {}", apply.line.environment);
        let versions = apply.builds.iter().map(|version| format!("version {version}"));
        let mut held = Vec::new();
        for lock in std::iter::once(environment).chain(versions) {
            let got = self.warehouse.lock(&lock)?;
            if got.is_none() {
                self.history.append(Happened::Overlap { lock });
            }
            held.push(got);
        }
        self.history.append(Happened::ApplyBegan(apply.line.clone()));
        let word = self.stages(apply)?;
        let outcome = format!("{word:?}");
        self.history.append(Happened::ApplyEnded { apply: apply.line.clone(), outcome });
        drop(held);
        say(&word)
    }

    /// Goes through the stages, asking before each.
    fn stages(&self, apply: &Apply) -> anyhow::Result<Word> {
        for stage in STAGES {
            say(&Word::May(stage.to_owned()))?;
            if !matches!(self.orders.recv(), Ok(Order::Go)) {
                return Ok(Word::Halted(stage.to_owned()));
            }
            if let Some(word) = self.stage(stage, apply)? {
                return Ok(word);
            }
            say(&Word::Did(stage.to_owned()))?;
        }
        Ok(Word::Applied)
    }

    /// Works on one stage; says why it is the last, if it is.
    fn stage(&self, stage: &str, apply: &Apply) -> anyhow::Result<Option<Word>> {
        match stage {
            "backfill" => {
                if let Some(why) = &apply.fails {
                    return Ok(Some(Word::Failed(why.clone())));
                }
                for version in &apply.builds {
                    self.history.append(Happened::BuildBegan { version: version.clone() });
                }
                std::thread::sleep(Duration::from_millis(apply.stage_ms));
                for version in &apply.builds {
                    self.history.append(Happened::BuildEnded { version: version.clone() });
                }
            }
            "promote" => {
                std::thread::sleep(Duration::from_millis(apply.stage_ms));
                let (name, previous) = (&apply.line.environment, apply.previous.clone());
                if !self.warehouse.promote(name, previous.as_deref(), &apply.stands)? {
                    return Ok(Some(Word::Conflict));
                }
                self.history.append(Happened::Promoted { apply: apply.line.clone(), previous });
            }
            _ => std::thread::sleep(Duration::from_millis(apply.stage_ms)),
        }
        Ok(None)
    }
}

/// Says something to the worker. One that is gone shows at its own end of the connection.
fn say(word: &Word) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    let mut line = serde_json::to_string(word)?;
    line.push('\n');
    match output.write_all(line.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// What a bridge is told on its command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    /// Where the warehouse and the history are.
    pub folder: PathBuf,
    /// How long a worker may be silent, in milliseconds.
    pub silence_ms: u64,
}
