//! Deployments: what a repository's history says of where its commits went.

use std::time::SystemTime;

use serde_json::Value;

use super::{Identity, Repository, RepositoryName, Role, World, WorldError};
use crate::git::Oid;

/// GitHub's limit for a description, in characters.
const LONGEST_DESCRIPTION: usize = 140;

/// Where a deployment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum DeploymentState {
    Error,
    Failure,
    Inactive,
    InProgress,
    Queued,
    Pending,
    Success,
}

/// A commit on its way to an environment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Database id.
    pub id: u64,
    /// The commit.
    pub commit: Oid,
    /// The branch or commit that was named.
    pub reference: String,
    /// What is done.
    pub task: String,
    /// Where to.
    pub environment: String,
    /// A few words.
    pub description: String,
    /// What its maker wants to be kept with it.
    pub payload: Value,
    /// Who made it.
    pub creator: Identity,
    /// Whether the environment goes away again.
    pub transient: bool,
    /// Whether people use the environment.
    pub production: bool,
    /// When it was made.
    pub created_at: SystemTime,
    /// What was said of it, oldest first.
    pub statuses: Vec<DeploymentStatus>,
}

/// What was said of a deployment.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub struct DeploymentStatus {
    pub id: u64,
    pub creator: Identity,
    pub created_at: SystemTime,
    pub state: DeploymentState,
    pub description: String,
    pub log_url: String,
    pub environment_url: String,
}

/// A deployment to make.
#[derive(Clone, Debug, serde::Deserialize)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub struct NewDeployment {
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(default = "deploy")]
    pub task: String,
    #[serde(default)]
    pub auto_merge: Option<bool>,
    #[serde(default)]
    pub required_contexts: Option<Vec<String>>,
    #[serde(default)]
    pub payload: Option<Value>,
    #[serde(default = "production")]
    pub environment: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub transient_environment: bool,
    #[serde(default)]
    pub production_environment: Option<bool>,
}

/// A status to give.
#[derive(Clone, Debug, serde::Deserialize)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub struct NewDeploymentStatus {
    pub state: DeploymentState,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub log_url: String,
    #[serde(default)]
    pub environment_url: String,
    #[serde(default)]
    pub auto_inactive: Option<bool>,
}

fn deploy() -> String {
    "deploy".to_owned()
}

fn production() -> String {
    "production".to_owned()
}

impl Deployment {
    /// Where it stands: pending until something is said of it.
    #[must_use]
    pub fn state(&self) -> DeploymentState {
        self.statuses.last().map_or(DeploymentState::Pending, |status| status.state)
    }

    /// Whether it has not come to an end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        use DeploymentState::{InProgress, Pending, Queued};
        matches!(self.state(), InProgress | Pending | Queued)
    }
}

impl World {
    /// Makes a deployment of a branch or commit. Merging before it is not played here: who wants
    /// that is refused.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] without write access, [`WorldError::Unprocessable`] for an unknown
    /// commit, [`WorldError::Conflict`] when required contexts have not succeeded.
    pub fn create_deployment(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        new: NewDeployment,
    ) -> Result<u64, WorldError> {
        let home = self.repository(name)?;
        self.require(home, by, Role::Write)?;
        let commit = home.branches.get(&new.reference).cloned();
        let commit = commit.unwrap_or_else(|| Oid::new(new.reference.clone()));
        if home.git.commit(&commit)?.is_none() {
            let why = format!("No ref found for: {}", new.reference);
            return Err(WorldError::Unprocessable(why));
        }
        if new.auto_merge != Some(false) {
            return Err(WorldError::Conflict("Conflict merging the default branch".to_owned()));
        }
        check_contexts(home, &commit, new.required_contexts.as_deref())?;
        let description = new.description.unwrap_or_default();
        check_description(&description)?;
        let (id, created_at) = (self.fresh_id(), self.now());
        let production = new.production_environment.unwrap_or(new.environment == "production");
        self.repository_mut(name)?.deployments.push(Deployment {
            id,
            commit,
            reference: new.reference,
            task: new.task,
            environment: new.environment,
            description,
            payload: new.payload.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            creator: by.clone(),
            transient: new.transient_environment,
            production,
            created_at,
            statuses: Vec::new(),
        });
        Ok(id)
    }

    /// Says something of a deployment; returns the status.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] without write access, [`WorldError::NotFound`].
    pub fn tell_deployment(
        &mut self,
        by: &Identity,
        (name, id): (&RepositoryName, u64),
        new: NewDeploymentStatus,
    ) -> Result<u64, WorldError> {
        self.require(self.repository(name)?, by, Role::Write)?;
        check_description(&new.description)?;
        let status = DeploymentStatus {
            id: self.fresh_id(),
            creator: by.clone(),
            created_at: self.now(),
            state: new.state,
            description: new.description,
            log_url: new.log_url,
            environment_url: new.environment_url,
        };
        let home = self.repository_mut(name)?;
        let mut all = home.deployments.iter_mut();
        let told = all.find(|one| one.id == id).ok_or(WorldError::NotFound)?;
        told.statuses.push(status.clone());
        let environment = told.environment.clone();
        if new.state == DeploymentState::Success && new.auto_inactive != Some(false) {
            let older = home.deployments.iter_mut().filter(|one| {
                // By GitHub's documentation, not where people use the environment.
                let is_kept = one.transient || one.production;
                one.id < id && one.environment == environment && !is_kept
            });
            for one in older.filter(|one| one.state() == DeploymentState::Success) {
                let state = DeploymentState::Inactive;
                one.statuses.push(DeploymentStatus { state, ..status.clone() });
            }
        }
        Ok(status.id)
    }

    /// A deployment, with its repository.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn deployment(
        &self,
        name: &RepositoryName,
        id: u64,
    ) -> Result<(&Repository, &Deployment), WorldError> {
        let home = self.repository(name)?;
        let found = home.deployments.iter().find(|one| one.id == id);
        Ok((home, found.ok_or(WorldError::NotFound)?))
    }
}

/// Without a list, everything that was reported of the commit counts.
fn check_contexts(
    home: &Repository,
    commit: &Oid,
    required: Option<&[String]>,
) -> Result<(), WorldError> {
    let passes = match required {
        None => home.all_checks_pass(commit),
        Some(names) => names.iter().all(|name| home.check_passed(commit, name)),
    };
    match passes {
        true => Ok(()),
        false => {
            let why = format!("Conflict: Commit status checks failed for {commit}.");
            Err(WorldError::Conflict(why))
        }
    }
}

fn check_description(text: &str) -> Result<(), WorldError> {
    match text.chars().count() <= LONGEST_DESCRIPTION {
        true => Ok(()),
        false => Err(WorldError::Unprocessable("description is too long (maximum 140)".into())),
    }
}
