//! One fork server: its start, its end, and word of the jobs that ended.
//!
//! Owns the process. It is told to end by the end of its standard input, so that it also ends when
//! this worker is killed, and by silence there, so that it also ends when this worker is stopped;
//! only when it does not is it killed, and what its jobs had started is then
//! found by its mark.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::apart::Apart;
use super::linux::{self, MARK, Mark};
use super::script;
use super::tail::Tail;
use super::wire::{self, End, Notice};

/// How long an orderly end may take; the server itself gives its jobs 8 s.
const ORDERLY_END: Duration = Duration::from_secs(9);

/// One word that is late, or two, are not silence.
const WORDS_PER_SILENCE: u32 = 5;

/// How a fork server is started.
pub(super) struct Launch {
    /// The project's interpreter.
    pub(super) python: PathBuf,
    /// Where the package was written.
    pub(super) scripts: PathBuf,
    /// Where it listens.
    pub(super) socket: PathBuf,
    /// All that it sees of the environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// How many jobs it runs at once.
    pub(super) max_jobs: usize,
    /// How long imports may take.
    pub(super) start_within: Duration,
    /// After how long without a job it ends.
    pub(super) idle: Duration,
    /// After how long without word of this worker it ends.
    pub(super) silence: Duration,
    /// The walls around it, where it runs a stranger's code.
    pub(super) apart: Option<Apart>,
}

/// Why a fork server did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Its home could not be made.
    #[error("{} could not be made: {source}", home.display())]
    Home {
        /// Which.
        home: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The interpreter could not be run at all.
    #[error("{} could not be started: {source}", python.display())]
    Spawn {
        /// Which.
        python: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It ran, and did not come to serve.
    #[error("{} cannot run SQLMesh: {what}\n{output}", python.display())]
    Unfit {
        /// Which.
        python: PathBuf,
        /// What it said, or did not.
        what: String,
        /// The last lines of its output.
        output: String,
    },
}

/// A running fork server. Dropping the last handle ends it and everything it started.
pub(super) struct Server {
    socket: PathBuf,
    ends: Arc<Ends>,
    stopping: CancellationToken,
    jobs: Arc<AtomicU64>,
    _stop_on_drop: DropGuard,
}

impl Server {
    /// Starts a server and returns when it serves.
    pub(super) async fn start(launch: &Launch) -> Result<Arc<Self>, StartError> {
        let mark = Mark::new();
        let spawn = |source| StartError::Spawn { python: launch.python.clone(), source };
        let mut child = command(launch, &mark).spawn().map_err(spawn)?;
        let output = Tail::default();
        if let Some(stderr) = child.stderr.take() {
            let told = |line: &str| tracing::debug!(target: "sluice::bridge", "{line}");
            tokio::spawn(output.clone().follow(stderr, told));
        }
        let (Some(lifeline), Some(control)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(spawn(io::Error::other("its pipes were not made")));
        };
        let mut control = BufReader::new(control);
        if let Err(what) = ready(&mut control, launch.start_within).await {
            end(child, lifeline, mark).await;
            let python = launch.python.clone();
            return Err(StartError::Unfit { python, what, output: output.text() });
        }
        let stopping = CancellationToken::new();
        let (ends, jobs) = (Arc::new(Ends::default()), Arc::new(AtomicU64::new(0)));
        let server = Self {
            socket: launch.socket.clone(),
            ends: ends.clone(),
            stopping: stopping.clone(),
            jobs: jobs.clone(),
            _stop_on_drop: stopping.clone().drop_guard(),
        };
        let (idle, silence, mut lifeline) = (launch.idle, launch.silence, lifeline);
        tokio::spawn(async move {
            let idle = idle_for(&ends, &jobs, idle);
            tokio::select! {
                () = supervise(control, &ends, &stopping, idle) => {}
                () = live(&mut lifeline, silence) => {}
            }
            stopping.cancel();
            end(child, lifeline, mark).await;
            ends.close();
        });
        Ok(Arc::new(server))
    }

    /// Where jobs connect.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it takes no more jobs.
    pub(super) fn is_over(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Ends it, with all its jobs. Returns at once; the jobs' ends are told as ever.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Comes when the `job` is gone with all that it started; closes without a word when the
    /// server ended first, and then the job is gone as well.
    pub(super) fn end_of(&self, job: u64) -> oneshot::Receiver<End> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self.ends.of(job)
    }
}

fn command(launch: &Launch, mark: &Mark) -> Command {
    let mut command = match &launch.apart {
        None => Command::new(&launch.python),
        Some(apart) => {
            let package = launch.scripts.join(script::PACKAGE);
            let (program, arguments) = apart.command(&launch.python, &package);
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    command
        .args(["-m", script::PACKAGE, "--socket"])
        .arg(&launch.socket)
        .arg("--max-jobs")
        .arg(launch.max_jobs.to_string())
        .arg("--silence-s")
        .arg(launch.silence.as_secs_f64().to_string())
        .args(launch.apart.as_ref().map(|_| "--bounded"))
        .current_dir(&launch.scripts)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .env(MARK, &mark.value)
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

async fn ready(control: &mut BufReader<ChildStdout>, within: Duration) -> Result<(), String> {
    let line = timeout(within, wire::line(control)).await;
    match line.map_err(|_| format!("it was not ready within {} s", within.as_secs()))? {
        Ok(Some(Notice::Ready { protocol: script::PROTOCOL, sqlmesh, python })) => {
            tracing::info!(sqlmesh, python, "bridge ready");
            Ok(())
        }
        Ok(Some(Notice::Failed { message })) => Err(message),
        Ok(Some(other)) => Err(format!("it greeted with {other:?}")),
        Ok(None) => Err("it ended before it was ready".to_owned()),
        Err(error) => Err(format!("its greeting cannot be read: {error}")),
    }
}

/// Reads what the server says until it ends, is told to, or has nothing to do.
async fn supervise(
    mut control: BufReader<ChildStdout>,
    ends: &Ends,
    stopping: &CancellationToken,
    idle: impl Future<Output = ()>,
) {
    let notices = async {
        loop {
            match wire::line(&mut control).await {
                Ok(Some(Notice::Gone(end))) => ends.tell(end),
                Ok(Some(other)) => tracing::warn!(?other, "unexpected word from a bridge"),
                Ok(None) => return,
                Err(error) => return tracing::warn!(%error, "a bridge's word cannot be read"),
            }
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = notices => {}
        () = idle => tracing::info!("bridge ends, it had nothing to do"),
    }
}

/// Says that this worker lives, several times within what the server bears. Returns when the server
/// does not listen any more.
async fn live(lifeline: &mut ChildStdin, silence: Duration) {
    loop {
        if let Err(error) = lifeline.write_all(b".").await {
            return tracing::warn!(%error, "a bridge does not listen");
        }
        tokio::time::sleep(silence / WORDS_PER_SILENCE).await;
    }
}

/// Returns after a whole `period` in which no job ran or came.
async fn idle_for(ends: &Ends, jobs: &AtomicU64, period: Duration) {
    let mut seen = None;
    loop {
        let now = jobs.load(Ordering::Relaxed);
        if seen == Some(now) && ends.waiting() == 0 {
            return;
        }
        seen = Some(now);
        tokio::time::sleep(period).await;
    }
}

/// Ends the server in order if it will, by force if not, and then what has its mark.
async fn end(mut child: Child, lifeline: ChildStdin, mark: Mark) {
    drop(lifeline);
    match timeout(ORDERLY_END, child.wait()).await {
        Ok(Ok(status)) => tracing::debug!(%status, "bridge ended"),
        Ok(Err(error)) => tracing::warn!(%error, "a bridge's end cannot be read"),
        Err(_) => tracing::warn!("a bridge does not end and is killed"),
    }
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "bridge was gone already");
    }
    if !linux::end_marked(mark).await {
        tracing::error!("processes of a bridge survive SIGKILL");
    }
}

/// Who waits for which job's end, and which ends came before anyone asked.
#[derive(Default)]
struct Ends(Mutex<EndsState>);

#[derive(Default)]
struct EndsState {
    waiting: HashMap<u64, oneshot::Sender<End>>,
    early: HashMap<u64, End>,
    closed: bool,
}

/// Ends that nobody asks for belong to connections that were given up before their greeting.
const MAX_EARLY: usize = 64;

impl Ends {
    fn of(&self, job: u64) -> oneshot::Receiver<End> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.early.remove(&job) {
            // The receiver is right here.
            Some(end) => drop(sender.send(end)),
            None if state.closed => drop(sender),
            None => drop(state.waiting.insert(job, sender)),
        }
        receiver
    }

    fn tell(&self, end: End) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = state.waiting.remove(&end.job) {
            // A session that was dropped does not wait.
            let _ = sender.send(end);
        } else if state.early.len() < MAX_EARLY {
            state.early.insert(end.job, end);
        }
    }

    fn waiting(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }

    fn close(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.waiting.clear();
    }
}
