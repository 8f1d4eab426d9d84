//! How a story describes the pull request that somebody opens.

use crate::world::{Files, PullSpec, RepositoryName};

/// A pull request to open: `PrSpec::new("branch").file("models/a.sql", "SELECT 1")`.
#[derive(Clone, Debug)]
pub struct PrSpec(PullSpec);

impl PrSpec {
    /// From that branch into `main`, titled like the branch.
    #[must_use]
    pub fn new(branch: &str) -> Self {
        Self(PullSpec {
            branch: branch.to_owned(),
            title: branch.to_owned(),
            files: Files::new(),
            base: "main".to_owned(),
            draft: false,
            fork: None,
        })
    }

    /// With that title.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.0.title = title.to_owned();
        self
    }

    /// Writing a file.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.0.files.push((path.to_owned(), Some(content.into())));
        self
    }

    /// Removing a file.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.0.files.push((path.to_owned(), None));
        self
    }

    /// Into another branch than `main`.
    #[must_use]
    pub fn base(mut self, branch: &str) -> Self {
        self.0.base = branch.to_owned();
        self
    }

    /// As a draft.
    #[must_use]
    pub fn draft(mut self) -> Self {
        self.0.draft = true;
        self
    }

    /// From a fork, `owner/name`.
    #[must_use]
    pub fn from_fork(mut self, fork: &str) -> Self {
        self.0.fork = Some(RepositoryName::new(fork));
        self
    }

    pub(super) fn into_pull(self) -> PullSpec {
        self.0
    }
}
