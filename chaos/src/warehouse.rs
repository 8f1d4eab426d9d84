//! The warehouse of the scripted engine: files, so that it outlives every process.
//!
//! Owns the locks by which an overlap is seen, and SQLMesh's compare-and-set of plan ids. Never
//! waits for a lock on an environment or a snapshot version: one that is taken is a finding.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The models of a project, by name.
pub type Models = BTreeMap<String, String>;

/// An environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// At which plan.
    pub plan_id: String,
    /// With which models.
    pub models: Models,
}

/// A folder of environments, snapshot versions and locks.
#[derive(Debug, Clone)]
pub struct Warehouse {
    folder: PathBuf,
}

/// A lock that is held until this is dropped, or its process is gone.
pub type Held = Flock<File>;

impl Warehouse {
    /// The one in `folder`, made when it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn at(folder: &Path) -> io::Result<Self> {
        let folder = folder.join("warehouse");
        for name in ["environments", "versions", "locks"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self { folder })
    }

    /// Takes the lock of an environment or a snapshot version; `None` when somebody has it.
    ///
    /// # Errors
    /// The lock file cannot be opened.
    pub fn lock(&self, name: &str) -> io::Result<Option<Held>> {
        match Flock::lock(self.lock_file(name)?, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(held)),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }

    fn lock_file(&self, name: &str) -> io::Result<File> {
        let path = self.folder.join("locks").join(file_name(name));
        OpenOptions::new().create(true).truncate(false).write(true).open(path)
    }

    /// What an environment stands at.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn environment(&self, name: &str) -> io::Result<Option<Stands>> {
        match std::fs::read(self.environment_file(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an environment stand at something else, if it still stands at the plan `previous`.
    /// `false` when it does not: somebody else came first.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn promote(&self, name: &str, previous: Option<&str>, to: &Stands) -> io::Result<bool> {
        let _held = self.state()?;
        let stands = self.environment(name)?;
        if stands.as_ref().map(|stands| stands.plan_id.as_str()) != previous {
            return Ok(false);
        }
        let file = self.environment_file(name);
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec(to)?)?;
        std::fs::rename(fresh, file)?;
        Ok(true)
    }

    /// Removes an environment, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let _held = self.state()?;
        match std::fs::remove_file(self.environment_file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The state store's own lock, which is waited for: it is held for one write.
    fn state(&self) -> io::Result<Held> {
        let file = self.lock_file("state")?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
    }

    fn environment_file(&self, name: &str) -> PathBuf {
        self.folder.join("environments").join(file_name(name)).with_extension("json")
    }
}

/// The version of a model: a word made of its text.
#[must_use]
pub fn version(name: &str, sql: &str) -> String {
    format!("{name}@{}", hex::encode(&Sha256::digest(sql)[..6]))
}

fn file_name(name: &str) -> String {
    name.replace('/', "_")
}
