//! Where the worktrees of one worker process lie, and how they go away.
//!
//! Owns folders: one per process, locked for as long as the process lives, so that the next one can
//! tell what a crashed one left behind. Refuses to know git.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// The folder of all processes' sites, within the data folder.
const SITES: &str = "sites";

/// A process's own folder. It is removed when the last of its plots is gone.
#[derive(Debug)]
pub(super) struct Site {
    folder: PathBuf,
    next: AtomicU64,
    /// Wakes the sweeper. What is to be removed is on disk, so one waiting call is enough.
    sweeper: SyncSender<()>,
}

/// A place for one worktree. Dropping it renames it away at once and removes it in the background.
#[derive(Debug)]
pub(super) struct Plot {
    /// An empty folder for the files.
    pub(super) files: PathBuf,
    folder: PathBuf,
    site: std::sync::Arc<Site>,
}

impl Site {
    /// Makes this process's folder and removes those of dead processes, in the background.
    pub(super) fn new(data: &Path) -> io::Result<Self> {
        let sites = data.join(SITES);
        std::fs::create_dir_all(&sites)?;
        // Locked before it appears among the others: whoever sees it sees it in use.
        let staged = tempfile::Builder::new().prefix("site-").tempdir_in(data)?;
        let lock = File::create(lock_of(staged.path()))?;
        lock.try_lock()?;
        for part in ["plots", "trash", "home"] {
            std::fs::create_dir(staged.path().join(part))?;
        }
        let staged = staged.keep();
        let folder = sites.join(staged.file_name().unwrap_or(SITES.as_ref()));
        std::fs::rename(&staged, &folder)?;
        let trash = folder.join("trash");
        for dead in std::fs::read_dir(&sites)? {
            let dead = dead?.path();
            if dead != folder && is_abandoned(&dead) {
                discard(&dead, &trash);
            }
        }
        let (sweeper, calls) = sync_channel(1);
        call(&sweeper);
        let swept = folder.clone();
        std::thread::Builder::new()
            .name("sluice-sweeper".to_owned())
            .spawn(move || sweep(&swept, &calls, lock))?;
        Ok(Self { folder, next: AtomicU64::new(0), sweeper })
    }

    /// An empty folder that git may take for its home.
    pub(super) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// A file of this process.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new place.
    pub(super) fn plot(self: &std::sync::Arc<Self>) -> io::Result<Plot> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join("plots").join(number.to_string());
        let files = folder.join("files");
        std::fs::create_dir_all(&files)?;
        Ok(Plot { files, folder, site: self.clone() })
    }
}

impl Plot {
    /// A file beside the worktree, not in it.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Plot {
    fn drop(&mut self) {
        discard(&self.folder, &self.site.folder.join("trash"));
        call(&self.site.sweeper);
    }
}

/// A full channel means that a call is waiting already; a closed one, that the thread could not go
/// on and has said so. In both cases the folder is found by a later sweep.
fn call(sweeper: &SyncSender<()>) {
    let _ = sweeper.try_send(());
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// Whether no living process holds the lock. What cannot be judged is left alone.
fn is_abandoned(folder: &Path) -> bool {
    match File::open(lock_of(folder)).map(|lock| lock.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock)) => false,
        Ok(Err(TryLockError::Error(error))) => unjudged(folder, &error),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => unjudged(folder, &error),
    }
}

fn unjudged(folder: &Path, error: &io::Error) -> bool {
    tracing::warn!(folder = %folder.display(), %error, "cannot tell whose worktrees these are");
    false
}

/// A rename within one file system, so it takes no time however much is in the folder.
fn discard(folder: &Path, trash: &Path) {
    let name = folder.file_name().unwrap_or("nameless".as_ref());
    if let Err(error) = std::fs::rename(folder, trash.join(name))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "a worktree could not be discarded");
    }
}

/// Empties the trash whenever it is called; when nobody can call any more, removes everything.
fn sweep(folder: &Path, calls: &Receiver<()>, lock: File) {
    while calls.recv().is_ok() {
        let trash = folder.join("trash");
        let entries = std::fs::read_dir(&trash).into_iter().flatten().flatten();
        for entry in entries {
            remove(&entry.path());
        }
    }
    remove(folder);
    drop(lock);
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "could not be removed");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_locked_site_is_in_use_and_an_unlocked_one_is_not() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("site-x");
        std::fs::create_dir(&folder).unwrap();
        let lock = File::create(lock_of(&folder)).unwrap();
        lock.lock().unwrap();
        assert!(!is_abandoned(&folder));
        drop(lock);
        assert!(is_abandoned(&folder));
    }
}
