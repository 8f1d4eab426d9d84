//! One bare repository that follows a repository on the server.
//!
//! Owns what is fetched and when, and who may write refs: one process at a time, by a file lock
//! that lives as long as the git process does, even when the worker that started it is dead.
//! Refuses to know merges and worktrees.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sluice::engine::EngineError;
use sluice::names::{Repository, Sha};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Timeouts;
use super::credentials::Credentials;
use super::process::{Call, Finished, Git, Input};

/// After this many fetches loose objects and small packs are put together.
const FETCHES_PER_UPKEEP: u32 = 200;

/// How often another process's lock is looked at: the operating system tells no async task.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// A mirror on disk.
pub(super) struct Mirror {
    git: Arc<Git>,
    credentials: Arc<dyn Credentials>,
    timeouts: Timeouts,
    repository: Repository,
    url: String,
    folder: PathBuf,
    /// Held by whoever fetches in this process; what it counts is fetches since the last upkeep.
    fetches: Arc<Mutex<Option<u32>>>,
}

/// What a job needs from the server: a commit, and the ref that leads to it.
#[derive(Debug)]
pub(super) struct Want<'a> {
    pub(super) commit: &'a Sha,
    pub(super) remote: String,
    pub(super) refspec: String,
}

/// What a mirror is made of.
pub(super) struct Origin {
    pub(super) git: Arc<Git>,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) timeouts: Timeouts,
    pub(super) repository: Repository,
    pub(super) url: String,
}

impl Mirror {
    pub(super) fn new(origin: Origin, mirrors: &Path) -> Self {
        // GitHub's names know no case; `+` is in none of them.
        let name = origin.repository.as_str().to_lowercase().replace('/', "+");
        let Origin { git, credentials, timeouts, repository, url } = origin;
        let folder = mirrors.join(format!("{name}.git"));
        Self { git, credentials, timeouts, repository, url, folder, fetches: Arc::default() }
    }

    /// Runs a command that only reads refs, or adds objects.
    pub(super) async fn read(
        &self,
        call: Call<'_>,
        cancel: &CancellationToken,
    ) -> Result<Finished, EngineError> {
        self.git.run(call, cancel).await
    }

    /// A command on this mirror, under the limit for local work.
    pub(super) fn call(&self, arguments: &[&str]) -> Call<'_> {
        Call::new(&self.folder, self.timeouts.local, arguments)
    }

    /// Sees to it that all commits are here. Asks the server only for those that are not.
    pub(super) async fn have(
        &self,
        wants: &[Want<'_>],
        cancel: &CancellationToken,
    ) -> Result<(), EngineError> {
        if self.folder.join("HEAD").is_file()
            && self.missing(wants.iter().collect(), cancel).await?.is_empty()
        {
            return Ok(());
        }
        let mut fetches = self.turn(cancel).await?;
        let lock = self.lock(cancel).await?;
        self.create(cancel).await?;
        if fetches.is_none() {
            clear_leftovers(&self.folder);
        }
        // Whoever had the lock before may have brought them.
        let missing = self.missing(wants.iter().collect(), cancel).await?;
        if missing.is_empty() {
            return Ok(());
        }
        self.fetch(&missing, &lock, cancel).await?;
        *fetches = Some(fetches.unwrap_or(0) + 1);
        if *fetches >= Some(FETCHES_PER_UPKEEP) {
            *fetches = Some(0);
            self.begin_upkeep(lock);
        }
        match self.missing(missing, cancel).await?.first() {
            Some(gone) => Err(EngineError::NoCommit(gone.commit.clone())),
            None => Ok(()),
        }
    }

    async fn missing<'a>(
        &self,
        wants: Vec<&'a Want<'a>>,
        cancel: &CancellationToken,
    ) -> Result<Vec<&'a Want<'a>>, EngineError> {
        let asked: String = wants.iter().map(|want| format!("{}\n", want.commit)).collect();
        let mut call = self.call(&["cat-file", "--batch-check=%(objecttype)"]);
        call.input = Input::Text(asked);
        let answers = self.git.run(call, cancel).await?.success()?;
        let answers = String::from_utf8_lossy(&answers);
        let mut lines = answers.lines();
        Ok(wants.into_iter().filter(|_| lines.next() != Some("commit")).collect())
    }

    async fn fetch(
        &self,
        wants: &[&Want<'_>],
        lock: &File,
        cancel: &CancellationToken,
    ) -> Result<(), EngineError> {
        let token = self.credentials.token(&self.repository).await.map_err(|source| {
            let what = format!("{} cannot be fetched: {source}", self.repository);
            EngineError::Broken { what, source: Some(Box::new(source)) }
        })?;
        let mut call = Call::new(
            &self.folder,
            self.timeouts.fetch,
            &[
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--no-auto-maintenance",
                "--no-show-forced-updates",
                "--end-of-options",
                &self.url,
            ],
        );
        call.arguments.extend(wants.iter().map(|want| want.refspec.clone().into()));
        call.token = token.as_ref();
        call.input = Input::Lock(lock.try_clone().map_err(unlocked)?);
        let done = self.git.run(call, cancel).await?;
        if done.status.success() {
            return Ok(());
        }
        // If a process of it was killed, the next fetch shall not trip over what it left.
        clear_leftovers(&self.folder);
        match wants.iter().find(|want| is_gone(&done.stderr, want)) {
            Some(gone) => Err(EngineError::NoCommit(gone.commit.clone())),
            None => Err(done.broken()),
        }
    }

    /// Makes the mirror, under the lock. A crash half-way leaves nothing of that name.
    async fn create(&self, cancel: &CancellationToken) -> Result<(), EngineError> {
        if self.folder.join("HEAD").is_file() {
            return Ok(());
        }
        let staged = self.folder.with_extension("new");
        if staged.exists() {
            std::fs::remove_dir_all(&staged).map_err(unmade)?;
        }
        let arguments =
            ["init", "--quiet", "--bare", "--template=", "--initial-branch=nothing-is-here"];
        let call = Call::new(&staged, self.timeouts.local, &arguments);
        self.git.run(call, cancel).await?.success()?;
        std::fs::rename(&staged, &self.folder).map_err(unmade)
    }

    /// Waits for the other jobs of this process.
    async fn turn(
        &self,
        cancel: &CancellationToken,
    ) -> Result<tokio::sync::OwnedMutexGuard<Option<u32>>, EngineError> {
        tokio::select! {
            turn = self.fetches.clone().lock_owned() => Ok(turn),
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            () = tokio::time::sleep(self.timeouts.turn) => Err(self.taken()),
        }
    }

    /// Waits for other processes, and for git processes that dead ones left running.
    async fn lock(&self, cancel: &CancellationToken) -> Result<File, EngineError> {
        let file = File::create(self.folder.with_extension("lock")).map_err(unlocked)?;
        let locked = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
                    Err(TryLockError::Error(error)) => return Err(unlocked(error)),
                }
            }
        };
        tokio::select! {
            done = tokio::time::timeout(self.timeouts.turn, locked) => {
                done.unwrap_or_else(|_| Err(self.taken()))?;
            }
            () = cancel.cancelled() => return Err(EngineError::Cancelled),
        }
        Ok(file)
    }

    fn taken(&self) -> EngineError {
        EngineError::Busy(format!("other jobs are fetching {}", self.repository))
    }

    /// Packs what many fetches left behind, after the job has gone on. Holds the lock meanwhile.
    fn begin_upkeep(&self, lock: File) {
        let (git, folder, limit) = (self.git.clone(), self.folder.clone(), self.timeouts.upkeep);
        tokio::spawn(async move {
            let arguments = [
                "maintenance",
                "run",
                "--quiet",
                "--task=loose-objects",
                "--task=incremental-repack",
                "--task=pack-refs",
            ];
            let mut call = Call::new(&folder, limit, &arguments);
            call.input = Input::Lock(lock);
            let done = git.run(call, &CancellationToken::new()).await;
            if let Err(error) = done.and_then(Finished::success) {
                clear_leftovers(&folder);
                tracing::warn!(%error, "upkeep of a mirror failed");
            }
        });
    }
}

/// Whether git says that the server has no such ref or commit (any more).
fn is_gone(stderr: &str, want: &Want<'_>) -> bool {
    stderr.lines().any(|line| {
        let absent = line.contains("couldn't find remote ref") && line.ends_with(&want.remote);
        absent || (line.contains("not our ref") && line.contains(want.commit.as_str()))
    })
}

/// Removes the lock files and half packs of killed git processes. Only under the lock: then no
/// living process can own them.
fn clear_leftovers(folder: &Path) {
    let mut folders = vec![folder.join("refs")];
    let mut stale: Vec<PathBuf> =
        ["packed-refs.lock", "packed-refs.new", "config.lock", "objects/maintenance.lock"]
            .map(|name| folder.join(name))
            .into();
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lock") {
                stale.push(path);
            }
        }
    }
    for entry in std::fs::read_dir(folder.join("objects/pack")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            stale.push(entry.path());
        }
    }
    for path in stale {
        match std::fs::remove_file(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed what a dead git left behind"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot be removed"),
        }
    }
}

fn unlocked(source: std::io::Error) -> EngineError {
    let what = "the lock of a mirror cannot be used".to_owned();
    EngineError::Broken { what, source: Some(Box::new(source)) }
}

fn unmade(source: std::io::Error) -> EngineError {
    let what = "a mirror cannot be made".to_owned();
    EngineError::Broken { what, source: Some(Box::new(source)) }
}
