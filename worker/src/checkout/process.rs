//! One run of the git binary.
//!
//! Owns its environment, its bounds and its end: a process group of its own, a time limit, bounded
//! output, the token in the environment only. Refuses to know what any command means.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sluice::engine::EngineError;
use sluice::redact::Redactor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::credentials::Token;

/// The variable that the credential helper of [`super::config`] reads.
pub(super) const TOKEN_VARIABLE: &str = "SLUICE_GIT_TOKEN";

/// The most a command may print, in bytes: a listing of some hundred thousand files.
const MAX_STDOUT: u64 = 64 << 20;

/// How much of a command's complaints is kept, in bytes, from the end.
const MAX_STDERR: usize = 4 << 10;

/// How long git gets to remove its lock files before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What the machine decides about reaching a server; nothing else of our environment gets to git.
const INHERITED: [&str; 11] = [
    "PATH",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "TMPDIR",
];

/// The git binary in a clean room.
#[derive(Debug)]
pub(super) struct Git {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    room: PathBuf,
}

/// One command.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) repository: &'a Path,
    pub(super) arguments: Vec<OsString>,
    /// More variables, for where to write.
    pub(super) variables: Vec<(&'static str, OsString)>,
    pub(super) input: Input,
    pub(super) token: Option<&'a Token>,
    pub(super) limit: Duration,
}

/// What a command reads.
#[derive(Debug)]
pub(super) enum Input {
    Nothing,
    Text(String),
    /// Not read: a locked file, whose lock lives as long as the process has it open.
    Lock(std::fs::File),
}

/// What became of a command that ran to its end.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The end of its complaints, without the token.
    pub(super) stderr: String,
    name: String,
}

impl<'a> Call<'a> {
    /// A command on a bare repository.
    pub(super) fn new(repository: &'a Path, limit: Duration, arguments: &[&str]) -> Self {
        Self {
            repository,
            arguments: arguments.iter().map(OsString::from).collect(),
            variables: Vec::new(),
            input: Input::Nothing,
            token: None,
            limit,
        }
    }

    fn name(&self) -> String {
        let name = self.arguments.first().map(|a| a.to_string_lossy()).unwrap_or_default();
        format!("git {name}")
    }
}

impl Finished {
    /// Its output when it succeeded, else its complaint as an error.
    pub(super) fn success(self) -> Result<Vec<u8>, EngineError> {
        if self.status.success() { Ok(self.stdout) } else { Err(self.broken()) }
    }

    /// Its complaint as an error.
    pub(super) fn broken(self) -> EngineError {
        let what = format!("{} failed ({}): {}", self.name, self.status, self.stderr.trim());
        EngineError::Broken { what, source: None }
    }
}

impl Git {
    /// `room` is an empty folder of ours that stands for the home folder; `config` replaces the
    /// user's and the system's configuration.
    pub(super) fn new(program: &Path, room: &Path, config: &Path) -> Self {
        let inherited = INHERITED
            .into_iter()
            .filter_map(|name| std::env::var_os(name).map(|value| (OsString::from(name), value)));
        let own: [(&str, &OsStr); 9] = [
            ("HOME", room.as_os_str()),
            ("LC_ALL", OsStr::new("C")),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_CONFIG_GLOBAL", config.as_os_str()),
            ("GIT_ATTR_NOSYSTEM", OsStr::new("1")),
            ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
            ("GIT_NO_REPLACE_OBJECTS", OsStr::new("1")),
            ("GIT_NO_LAZY_FETCH", OsStr::new("1")),
            ("GIT_CEILING_DIRECTORIES", OsStr::new("/")),
        ];
        let own = own.into_iter().map(|(name, value)| (name.into(), value.to_owned()));
        Self {
            program: program.to_owned(),
            environment: inherited.chain(own).collect(),
            room: room.to_owned(),
        }
    }

    /// Runs a command to its end. When it is cancelled, or its time is over, it is stopped first:
    /// by the time this returns no process of it is left.
    pub(super) async fn run(
        &self,
        mut call: Call<'_>,
        cancel: &CancellationToken,
    ) -> Result<Finished, EngineError> {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let (name, limit) = (call.name(), call.limit);
        let input = std::mem::replace(&mut call.input, Input::Nothing);
        let (stdin, text) = match input {
            Input::Nothing => (Stdio::null(), None),
            Input::Text(text) => (Stdio::piped(), Some(text)),
            Input::Lock(file) => (Stdio::from(file), None),
        };
        let mut group = Group::spawn(self.command(&call).stdin(stdin), &name)?;
        let ended = tokio::select! {
            done = tokio::time::timeout(limit, group.talk(text)) => done.ok(),
            () = cancel.cancelled() => {
                group.stop().await;
                return Err(EngineError::Cancelled);
            }
        };
        match ended {
            Some(Ok((status, stdout, stderr))) => {
                let stderr = String::from_utf8_lossy(&stderr);
                let redactor = Redactor::new(call.token.map(Token::reveal));
                let stderr = redactor.redact(&stderr).into_owned();
                Ok(Finished { status, stdout, stderr, name })
            }
            Some(Err(source)) => {
                group.stop().await;
                Err(unspoken(&name, source))
            }
            None => {
                group.stop().await;
                Err(EngineError::Timeout { what: name, after: limit })
            }
        }
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&call.arguments)
            .current_dir(&self.room)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("GIT_DIR", call.repository)
            .envs(call.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(token) = call.token {
            // Asked for credentials at once, git saves the round trip that ends in 401.
            command.env(TOKEN_VARIABLE, token.reveal()).envs([
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "http.proactiveAuth"),
                ("GIT_CONFIG_VALUE_0", "basic"),
            ]);
        }
        command
    }
}

/// A child and whatever it started; killed when dropped.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    fn spawn(command: &mut Command, name: &str) -> Result<Self, EngineError> {
        let child = command.spawn().map_err(|source| EngineError::Broken {
            what: format!("{name} could not be started"),
            source: Some(Box::new(source)),
        })?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, id })
    }

    /// Feeds it, reads what it says, and waits for its end.
    async fn talk(
        &mut self,
        text: Option<String>,
    ) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let (stdin, stdout, stderr) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let feed = async {
            match (stdin, text) {
                (Some(mut stdin), Some(text)) => match stdin.write_all(text.as_bytes()).await {
                    // It ended without reading: why is in its complaint.
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                    written => written,
                },
                _ => Ok(()),
            }
        };
        let ((), stdout, stderr) = tokio::try_join!(feed, whole(stdout), tail(stderr))?;
        Ok((self.child.wait().await?, stdout, stderr))
    }

    /// Asks it to end, so that it takes its lock files along; then insists.
    async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            if let Err(error) = self.child.wait().await {
                tracing::error!(%error, "a killed git process could not be waited for");
            }
        }
    }

    /// Only while its leader is not reaped: until then no one else can have its group's number.
    fn signal(&self, signal: Signal) {
        if let (Some(id), Some(_)) = (self.id, self.child.id())
            && let Err(error) = killpg(id, signal)
        {
            tracing::warn!(%error, "a git process group could not be signalled");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

async fn whole(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(MAX_STDOUT + 1);
        pipe.read_to_end(&mut bytes).await?;
        if bytes.len() as u64 > MAX_STDOUT {
            return Err(std::io::Error::other(format!("printed more than {MAX_STDOUT} bytes")));
        }
    }
    Ok(bytes)
}

async fn tail(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let (mut kept, mut chunk) = (Vec::new(), [0; 1024]);
    let Some(mut pipe) = pipe else { return Ok(kept) };
    loop {
        let read = pipe.read(&mut chunk).await?;
        if read == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&chunk[..read]);
        kept.drain(..kept.len().saturating_sub(MAX_STDERR));
    }
}

fn unspoken(name: &str, source: std::io::Error) -> EngineError {
    let what = format!("{name} could not be talked to");
    EngineError::Broken { what, source: Some(Box::new(source)) }
}
