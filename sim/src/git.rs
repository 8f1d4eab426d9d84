//! The one place of the stand-in that runs `git`: plumbing on bare repositories, in an
//! environment of its own so that no user or system configuration changes what the world does.
//! Knows nothing of pull requests, and never touches the network.

mod commit;
mod diff;
mod http_backend;
mod merge;

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

pub(crate) use commit::{Commit, NewCommit};
pub use diff::{ChangeType, ChangedFile};
pub(crate) use http_backend::{CgiRequest, spawn_http_backend};
pub(crate) use merge::MergeTree;

/// The hexadecimal id of a git object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(String);

impl Oid {
    /// What git and GitHub call "no commit": before a branch is created, after it is deleted.
    #[must_use]
    pub fn zero() -> Self {
        Self("0".repeat(40))
    }

    /// Wraps an id that git printed or a client sent; whether it exists is git's to say.
    pub fn new(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }

    /// The id as git prints it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a git process did not do what the world asked of it. Never a merge conflict: that is an
/// answer, not a failure.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// `git` could not be started or its pipes broke: check the machine.
    #[error("git {command} could not be run")]
    Process {
        /// The subcommand.
        command: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// `git` refused: the world asked for something impossible.
    #[error("git {command} failed: {stderr}")]
    Refused {
        /// The subcommand.
        command: String,
        /// What git printed.
        stderr: String,
    },
    /// `git` printed something that this module does not understand.
    #[error("git {command} printed something unexpected: {output}")]
    Unreadable {
        /// The subcommand.
        command: String,
        /// What git printed.
        output: String,
    },
}

/// Who a commit is by, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) at: SystemTime,
}

/// An object as `git cat-file` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) oid: Oid,
    pub(crate) kind: ObjectKind,
    pub(crate) content: Vec<u8>,
}

/// The object types that GitHub's API can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Commit,
    Tree,
    Blob,
}

/// How many answers of git are remembered; then all are forgotten, which costs a process each.
const REMEMBERED: usize = 10_000;

/// One bare repository on disk. The world is its only writer.
#[derive(Debug)]
pub(crate) struct Git {
    directory: PathBuf,
    commits: Mutex<HashMap<Oid, Commit>>,
    /// What git printed about commits, which never change, by what it was asked.
    answers: Mutex<HashMap<String, Vec<u8>>>,
}

impl Git {
    /// Makes an empty bare repository that lets clients fetch any commit by id, as GitHub does.
    pub(crate) fn init(directory: PathBuf, default_branch: &str) -> Result<Self, GitError> {
        std::fs::create_dir_all(&directory)
            .map_err(|source| GitError::Process { command: "init".to_owned(), source })?;
        let git = Self { directory, commits: Mutex::default(), answers: Mutex::default() };
        git.run(&["init", "--quiet", "--bare", "--initial-branch", default_branch], b"")?;
        for (key, value) in [
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("uploadpack.allowFilter", "true"),
            ("http.receivepack", "false"),
            ("transfer.hideRefs", "refs/forks"),
            ("gc.auto", "0"),
        ] {
            git.run(&["config", key, value], b"")?;
        }
        Ok(git)
    }

    /// Where the repository lies on disk.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The object that an expression (`<oid>`, `main`, `main:path`) names; `None` when nothing.
    pub(crate) fn object(&self, expression: &str) -> Result<Option<Object>, GitError> {
        if expression.contains('\n') {
            return Ok(None);
        }
        let ask = || self.run(&["cat-file", "--batch"], format!("{expression}\n").as_bytes());
        let output = match self.is_settled(expression) {
            true => self.once(expression, ask)?,
            false => ask()?,
        };
        let unreadable = || GitError::Unreadable {
            command: "cat-file".to_owned(),
            output: String::from_utf8_lossy(&output).chars().take(200).collect(),
        };
        let end = output.iter().position(|byte| *byte == b'\n').ok_or_else(unreadable)?;
        let header = String::from_utf8_lossy(&output[..end]).into_owned();
        if header.ends_with(" missing") || header.ends_with(" ambiguous") {
            return Ok(None);
        }
        let mut words = header.split(' ');
        let (Some(oid), Some(kind)) = (words.next(), words.next()) else {
            return Err(unreadable());
        };
        let kind = match kind {
            "commit" => ObjectKind::Commit,
            "tree" => ObjectKind::Tree,
            "blob" => ObjectKind::Blob,
            _ => return Err(unreadable()),
        };
        let content = output.get(end + 1..output.len() - 1).unwrap_or_default().to_vec();
        Ok(Some(Object { oid: Oid::new(oid), kind, content }))
    }

    /// Whether an expression names the same for ever, or nothing: a path in a commit that is there.
    fn is_settled(&self, expression: &str) -> bool {
        let commit = expression.split_once(':').map(|(commit, _)| Oid::new(commit));
        commit.is_some_and(|commit| self.known_commit(&commit).is_some())
    }

    /// What git says to a question whose answer never changes; it is asked once.
    fn once(
        &self,
        question: &str,
        ask: impl FnOnce() -> Result<Vec<u8>, GitError>,
    ) -> Result<Vec<u8>, GitError> {
        let answers = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers().get(question) {
            return Ok(known.clone());
        }
        let answer = ask()?;
        let mut answers = answers();
        if answers.len() >= REMEMBERED {
            answers.clear();
        }
        answers.insert(question.to_owned(), answer.clone());
        Ok(answer)
    }

    /// The file mode that a path has in a commit; `None` when there is nothing.
    pub(crate) fn mode(&self, commit: &Oid, path: &str) -> Result<Option<u32>, GitError> {
        let arguments = ["ls-tree", "-z", "--full-tree", commit.as_str(), "--", path];
        let output = self.once(&format!("mode {commit}:{path}"), || self.run(&arguments, b""))?;
        let line = String::from_utf8_lossy(&output);
        let mode = line.split(' ').next().filter(|mode| !mode.is_empty());
        let unreadable =
            |_| GitError::Unreadable { command: "ls-tree".to_owned(), output: line.to_string() };
        mode.map(|mode| u32::from_str_radix(mode, 8).map_err(unreadable)).transpose()
    }

    /// Points a reference at a commit, whatever it pointed at before.
    pub(crate) fn update_ref(&self, name: &str, to: &Oid) -> Result<(), GitError> {
        self.run(&["update-ref", name, to.as_str()], b"").map(drop)
    }

    /// Runs git in the repository and returns what it printed.
    fn run(&self, arguments: &[&str], stdin: &[u8]) -> Result<Vec<u8>, GitError> {
        let output = self.finish(self.command(arguments), stdin)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(GitError::Refused {
            command: arguments.first().copied().unwrap_or_default().to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Like `run`, for output that is one object id.
    fn run_for_oid(&self, arguments: &[&str], stdin: &[u8]) -> Result<Oid, GitError> {
        let printed = self.run(arguments, stdin)?;
        Ok(Oid::new(String::from_utf8_lossy(&printed).trim()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(clean_environment());
        command.arg("--git-dir").arg(&self.directory).args(arguments);
        command
    }

    fn finish(&self, mut command: Command, stdin: &[u8]) -> Result<Output, GitError> {
        let name = command
            .get_args()
            .nth(2)
            .map(|argument| argument.to_string_lossy().into_owned())
            .unwrap_or_default();
        let failed = |source| GitError::Process { command: name.clone(), source };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let pipe = child.stdin.take();
        // Fed from a thread of its own: git may fill its output pipe before it has read all input.
        let (written, output) = std::thread::scope(|scope| {
            let writer = scope.spawn(move || pipe.map_or(Ok(()), |mut pipe| pipe.write_all(stdin)));
            let output = child.wait_with_output();
            (writer.join(), output)
        });
        let output = output.map_err(failed)?;
        match written {
            Ok(Err(source)) if output.status.success() => Err(failed(source)),
            _ => Ok(output),
        }
    }

    fn known_commit(&self, oid: &Oid) -> Option<Commit> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).get(oid).cloned()
    }

    fn remember_commit(&self, commit: &Commit) {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        commits.insert(commit.oid.clone(), commit.clone());
    }
}

/// The only variables that a git process of the stand-in sees.
fn clean_environment() -> Vec<(&'static str, String)> {
    let mut environment = vec![
        ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("LC_ALL", "C".to_owned()),
    ];
    if let Ok(path) = std::env::var("PATH") {
        environment.push(("PATH", path));
    }
    environment
}
