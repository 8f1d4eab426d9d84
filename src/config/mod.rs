//! Configuration: one TOML file, overlaid with the environment, all problems at once.
//!
//! Owns keys, defaults and the bounds between them. Refuses to know what the values are used for,
//! and to show a secret.

mod document;
mod github;
mod kinds;
mod log;
mod problem;
mod project;
mod redacted;
mod secret;
mod section;
mod settings;

use std::path::{Path, PathBuf};

pub use document::Variables;
pub use github::{Account, ChecksAs, GitHubConfig};
pub use log::{LogConfig, LogFormat};
pub use problem::{ConfigErrors, Problem};
pub use secret::{Secret, SecretSource};
pub use settings::{
    LeaseConfig, LeaseStore, ProducerConfig, QueueConfig, QueueStore, WorkerConfig,
};

use crate::project::Project;
use crate::queue::RetryPolicy;
use crate::redact::Redactor;
use section::Section;

/// Everything that the operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How GitHub is reached.
    pub github: GitHubConfig,
    /// Where jobs wait.
    pub queue: QueueConfig,
    /// Where leases are held, and for how long.
    pub lease: LeaseConfig,
    /// How often a broken job is tried again.
    pub retry: RetryPolicy,
    /// What receives webhooks.
    pub producer: ProducerConfig,
    /// What runs jobs.
    pub worker: WorkerConfig,
    /// How it logs.
    pub log: LogConfig,
    /// The projects that are served. At least one; names are unique.
    pub projects: Vec<Project>,
}

/// What a process is for: it decides which secrets have to be there. A producer needs no token; a
/// worker needs the webhook secrets too, since gate results are sealed with the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives webhooks.
    Producer,
    /// Runs jobs.
    Worker,
}

/// What sections are read with besides their tables.
struct Surroundings<'a> {
    variables: &'a Variables,
    roles: &'a [Role],
    /// The folder of the file: relative paths start there.
    folder: PathBuf,
}

impl Config {
    /// Reads the file at `path` (none: the environment says it all), lays the variables that begin
    /// with `SLUICE_` and contain `__` over it, and reads the secrets that `roles` need.
    ///
    /// # Errors
    /// All problems at once: file, keys, values, how they fit together, missing secrets.
    pub fn load(
        path: Option<&Path>,
        variables: &Variables,
        roles: &[Role],
    ) -> Result<Self, ConfigErrors> {
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                let key = path.display().to_string();
                ConfigErrors::one(Problem::new(key, None, format!("cannot be read: {error}")))
            })?,
        };
        // Joined with a file, so that a path without a folder means the current one.
        let folder = std::path::absolute(path.unwrap_or(Path::new("sluice.toml")));
        let folder = folder.ok().and_then(|file| file.parent().map(Path::to_owned));
        let folder = folder.unwrap_or_default();
        Self::read(&text, &Surroundings { variables, roles, folder })
    }

    /// What takes every secret out of a text: ours, and what a project's Python may see and so may
    /// say: a warehouse quotes passwords in its errors.
    pub fn redactor(&self, variables: &Variables) -> Redactor {
        let github = self
            .github
            .webhook_secrets
            .iter()
            .chain(self.github.account.as_ref().map(Account::secret));
        let ours = github.chain(self.store_urls()).map(|secret| secret.expose());
        let passed = self.projects.iter().flat_map(|project| &project.pass_env);
        Redactor::new(ours.chain(passed.filter_map(|name| Some(variables.get(name)?.as_str()))))
    }

    /// The addresses of the stores, which may hold passwords.
    pub fn store_urls(&self) -> impl Iterator<Item = &Secret> {
        let queue = match &self.queue.url {
            QueueStore::Memory => None,
            QueueStore::Amqp(url) => Some(url),
        };
        let lease = match &self.lease.url {
            LeaseStore::Memory => None,
            LeaseStore::Redis(url) => Some(url),
        };
        queue.into_iter().chain(lease)
    }

    fn read(text: &str, around: &Surroundings<'_>) -> Result<Self, ConfigErrors> {
        let table = document::parse(text)?;
        let (table, mut problems) = document::overlay(table, around.variables);
        let mut root = Section::root(table, &mut problems);
        let config = Self {
            github: github::github(root.section("github"), around),
            queue: settings::queue(root.section("queue"), around),
            lease: settings::lease(root.section("lease"), around),
            retry: settings::retry(root.section("retry")),
            producer: settings::producer(root.section("producer")),
            worker: settings::worker(root.section("worker"), around),
            log: log::log(root.section("log")),
            projects: project::projects(&mut root, around),
        };
        root.finish();
        ConfigErrors::check(problems)?;
        Ok(config)
    }
}

/// The variables of this process; those that are not UTF-8 cannot be ours and are left out.
pub fn process_variables() -> Variables {
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(utf8).collect()
}

impl Surroundings<'_> {
    /// A path as the file means it: relative ones start at the file's folder.
    fn path(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }
}

#[cfg(test)]
mod tests;
