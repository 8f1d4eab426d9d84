//! A repository behind authenticated HTTP, and who pushes to it.

use std::path::Path;
use std::sync::Arc;

use sluice::engine::Source;
use sluice::names::{PrNumber, Sha};
use sluice::project::Project;
use sluice_conformance::Watched;
use sluice_sim::world::Role;
use sluice_sim::{Actor, Oid, Pr, PrSpec, RepositoryName, StandinConfig};
use tempfile::TempDir;

use super::File;

/// A stand-in with one repository; `alice` writes.
pub(super) struct Village {
    pub(super) standin: Watched,
    repository: RepositoryName,
    project: Arc<Project>,
    alice: Actor,
    folder: TempDir,
}

impl Village {
    pub(super) async fn new(project: Project, folder: TempDir, files: &[File]) -> Self {
        let standin = Watched::start(StandinConfig::default()).await.unwrap();
        let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        let name = project.repository.as_str();
        let repository = standin.repository(name).with_files(&files).await.unwrap();
        let alice = standin.user("alice");
        alice.joins(&repository, Role::Write).await.unwrap();
        Self { standin, repository, project: Arc::new(project), alice, folder }
    }

    pub(super) fn project(&self) -> &Project {
        &self.project
    }

    /// Where the worker may write.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Alice proposes a change.
    pub(super) async fn pr(&self, file: &File) -> Pr {
        self.pr_on("topic", file).await
    }

    /// She does, on a branch of that name.
    pub(super) async fn pr_on(&self, branch: &str, (path, text): &File) -> Pr {
        let spec = PrSpec::new(branch).file(path, text);
        self.alice.opens_pr(&self.repository, spec).await.unwrap()
    }

    /// Somebody changes the base branch meanwhile.
    pub(super) async fn pushes(&self, (path, text): &File) {
        let files = [(path.as_str(), Some(text.as_str()))];
        self.alice.pushes_to_branch(&self.repository, "main", &files).await.unwrap();
    }

    /// The tip of the base branch.
    pub(super) fn base(&self) -> Sha {
        let main = |world: &sluice_sim::World| {
            as_sha(world.repository(&self.repository).unwrap().tip("main").unwrap())
        };
        self.standin.world(main)
    }

    /// What a job for the pull request is opened on, now.
    pub(super) fn source(&self, pr: &Pr) -> Source {
        Source {
            project: self.project.clone(),
            pr: PrNumber(pr.number),
            base_branch: "main".to_owned(),
            base: self.base(),
            head: as_sha(&self.standin.pr(pr).unwrap().head),
            confined: false,
        }
    }

    /// The tree of the commit that GitHub itself makes of the pull request.
    pub(super) async fn merged_tree(&self, pr: &Pr) -> Sha {
        let commit = self.alice.merges_by_hand(pr).await.unwrap();
        let tree = |world: &sluice_sim::World| {
            world.repository(&self.repository).unwrap().tree(&commit).unwrap()
        };
        as_sha(&self.standin.world(tree))
    }
}

fn as_sha(oid: &Oid) -> Sha {
    Sha::new(oid.as_str()).unwrap()
}
