//! Git: a bare mirror per repository, a worktree per job.
//!
//! Owns fetching, merging a head into the current base, and putting the merged tree on disk.
//! Refuses to know SQLMesh, and trusts nothing in a repository: no hook, filter or submodule of it
//! runs, and the worktree has no `.git`, so that a project's code is not led to the mirror.
//!
//! Nothing is ever pruned from a mirror: a head that was force-pushed away stays readable for the
//! jobs that still look at it.

mod config;
mod credentials;
mod listing;
mod mirror;
mod process;
mod refs;
mod site;
mod stamp;
mod template;
mod worktree;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice::engine::{EngineError, Source};
use sluice::names::{Repository, Sha};
use sluice::project::Project;
use tokio_util::sync::CancellationToken;

pub use credentials::{Anonymous, Credentials, NoToken, Token};
use mirror::{Mirror, Origin, Want};
use process::Git;
use site::Site;
pub use template::{BadTemplate, UrlTemplate};
pub use worktree::Worktree;

/// What checkouts need to know.
#[derive(Clone)]
pub struct Settings {
    /// Where mirrors, worktrees and caches lie. Several workers may share it.
    pub data_dir: PathBuf,
    /// The git binary, 2.40 or newer.
    pub git: PathBuf,
    /// Where repositories are fetched from.
    pub url: UrlTemplate,
    /// Who we are there.
    pub credentials: Arc<dyn Credentials>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long git may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// One fetch; the first one brings the whole history.
    pub fetch: Duration,
    /// A command that does not leave the machine.
    pub local: Duration,
    /// Waiting while others fetch the same repository.
    pub turn: Duration,
    /// Packing a mirror, once in some hundred fetches.
    pub upkeep: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self { fetch: minutes(15), local: minutes(2), turn: minutes(20), upkeep: minutes(10) }
    }
}

/// All mirrors of a worker.
pub struct Mirrors {
    settings: Settings,
    git: Arc<Git>,
    site: Arc<Site>,
    /// One per repository that a project is configured for.
    known: Mutex<HashMap<Repository, Arc<Mirror>>>,
}

impl Mirrors {
    /// Makes the folders and begins to remove what dead workers left there.
    pub fn new(settings: Settings) -> io::Result<Self> {
        let data = std::path::absolute(&settings.data_dir)?;
        let settings = Settings { data_dir: data, ..settings };
        std::fs::create_dir_all(settings.data_dir.join("mirrors"))?;
        let site = Arc::new(Site::new(&settings.data_dir)?);
        let config = site.file("gitconfig");
        std::fs::write(&config, config::text(&settings.url))?;
        let git = Arc::new(Git::new(&settings.git, &site.home(), &config));
        Ok(Self { settings, git, site, known: Mutex::default() })
    }

    /// The pull request's head, merged into the base commit, on disk.
    ///
    /// # Errors
    /// [`EngineError::MergeConflict`], [`EngineError::NoCommit`], [`EngineError::Cancelled`] (no
    /// git process is left then), [`EngineError::Declared`] when the project's folder is not there.
    pub async fn merged(
        &self,
        source: &Source,
        cancel: &CancellationToken,
    ) -> Result<Worktree, EngineError> {
        let path = &source.project.path;
        listing::inside(path)?;
        let branch = refs::Branch::new(&source.base_branch)?;
        let mirror = self.mirror(&source.project.repository);
        let wants = [
            Want { commit: &source.base, remote: branch.remote(), refspec: branch.refspec() },
            Want {
                commit: &source.head,
                remote: refs::pull(source.pr),
                refspec: refs::pull_refspec(source.pr),
            },
        ];
        mirror.have(&wants, cancel).await?;
        let call = mirror.call(&[
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            source.base.as_str(),
            source.head.as_str(),
        ]);
        let merge = mirror.read(call, cancel).await?;
        // 1 is its word for conflicts; anything else beyond 0 is trouble.
        let tree = match merge.status.code() {
            Some(1) => return Err(listing::conflict(&merge.stdout)),
            _ => listing::merged_tree(&merge.success()?)?,
        };
        if source.confined {
            let list = mirror.call(&["ls-tree", "-r", "-l", "-z", "--full-tree", tree.as_str()]);
            listing::is_bounded(&mirror.read(list, cancel).await?.success()?)?;
        }
        worktree::whole(&mirror, &self.site, &tree, path, cancel).await
    }

    /// What a project's configuration is made of at a commit of a base branch. Only the files
    /// themselves when they are YAML; the whole tree when Python may import from it.
    ///
    /// # Errors
    /// As [`Mirrors::merged`], without conflicts.
    pub async fn configuration(
        &self,
        project: &Project,
        base: &Sha,
        cancel: &CancellationToken,
    ) -> Result<Worktree, EngineError> {
        listing::inside(&project.path)?;
        let mirror = self.mirror(&project.repository);
        let want =
            Want { commit: base, remote: base.to_string(), refspec: refs::commit_refspec(base) };
        mirror.have(&[want], cancel).await?;
        worktree::configuration(&mirror, &self.site, base, &project.path, cancel).await
    }

    /// Where SQLMesh keeps a project's cache, over all checkouts of it. See `stamp` for why a hit
    /// there can be trusted.
    pub fn cache(&self, project: &Project) -> io::Result<PathBuf> {
        let repository = project.repository.as_str().to_lowercase().replace('/', "+");
        let folder =
            self.settings.data_dir.join("caches").join(repository).join(project.name.as_str());
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn mirror(&self, repository: &Repository) -> Arc<Mirror> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mirror = known.entry(repository.clone()).or_insert_with(|| {
            let origin = Origin {
                git: self.git.clone(),
                credentials: self.settings.credentials.clone(),
                timeouts: self.settings.timeouts,
                repository: repository.clone(),
                url: self.settings.url.url(repository),
            };
            Arc::new(Mirror::new(origin, &self.settings.data_dir.join("mirrors")))
        });
        mirror.clone()
    }
}
