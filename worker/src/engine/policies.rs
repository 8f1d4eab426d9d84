//! Policies that were read before, in memory and on disk.
//!
//! Owns what makes two readings the same. Refuses to know how a policy is read.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use sluice::engine::EngineError;
use sluice::names::PolicySha;
use sluice::policy::Policy;
use sluice::project::Project;

/// How many policies are kept in memory: several generations for each of some dozen projects.
const MOST: usize = 256;

/// How many policies are read at once; those that share a lane wait for each other.
const LANES: usize = 16;

/// What is remembered.
pub(super) struct Policies {
    folder: PathBuf,
    memory: Mutex<Memory>,
    lanes: [tokio::sync::Mutex<()>; LANES],
}

#[derive(Default)]
struct Memory {
    /// Each policy with the moment of its last use, counted in uses.
    known: HashMap<String, (Arc<Policy>, u64)>,
    uses: u64,
}

/// The name of a policy: everything that decides what is read.
pub(super) fn key(project: &Project, policy: &PolicySha, version: &str) -> String {
    let mut digest = Sha256::new();
    let python = format!("{:?}", project.python);
    let parts = [
        project.name.as_str(),
        project.repository.as_str(),
        &project.path,
        project.gateway.as_deref().unwrap_or_default(),
        &python,
        policy.as_str(),
        version,
    ];
    for part in parts {
        digest.update(format!("{}:{part}", part.len()));
    }
    hex::encode(digest.finalize())
}

impl Policies {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        let lanes = std::array::from_fn(|_| tokio::sync::Mutex::default());
        Ok(Self { folder: folder.to_owned(), memory: Mutex::default(), lanes })
    }

    /// The policy of that name; read once, however many ask for it at the same time.
    pub(super) async fn remembered(
        &self,
        key: &str,
        read: impl AsyncFnOnce() -> Result<Policy, EngineError>,
    ) -> Result<Arc<Policy>, EngineError> {
        if let Some(policy) = self.recall(key) {
            return Ok(policy);
        }
        let lane = key.bytes().fold(0, |sum, byte| sum + usize::from(byte)) % LANES;
        let _reading = self.lanes[lane].lock().await;
        if let Some(policy) = self.recall(key) {
            return Ok(policy);
        }
        if let Some(policy) = self.load(key) {
            return Ok(self.learn(key, policy));
        }
        let policy = read().await?;
        if let Err(error) = self.store(key, &policy) {
            tracing::warn!(%error, "a policy could not be kept on disk; it will be read again");
        }
        Ok(self.learn(key, policy))
    }

    fn recall(&self, key: &str) -> Option<Arc<Policy>> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.uses += 1;
        let now = memory.uses;
        let (policy, used) = memory.known.get_mut(key)?;
        *used = now;
        Some(policy.clone())
    }

    fn learn(&self, key: &str, policy: Policy) -> Arc<Policy> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.known.len() >= MOST {
            let oldest = memory.known.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                memory.known.remove(&oldest);
            }
        }
        let (policy, now) = (Arc::new(policy), memory.uses);
        memory.known.insert(key.to_owned(), (policy.clone(), now));
        policy
    }

    /// Unreadable is as good as unknown: it is read again and written anew.
    fn load(&self, key: &str) -> Option<Policy> {
        let text = match std::fs::read(self.file(key)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "a policy on disk cannot be read");
                return None;
            }
        };
        let policy = serde_json::from_slice(&text);
        policy.inspect_err(|error| tracing::warn!(%error, "a policy on disk is damaged")).ok()
    }

    fn store(&self, key: &str, policy: &Policy) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(policy)?)?;
        file.persist(self.file(key))?;
        Ok(())
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }
}
