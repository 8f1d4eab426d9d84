//! Commit statuses: one line of a machine about a commit, by whoever may push.

use std::time::SystemTime;

use crate::git::Oid;
use crate::shape;
use crate::world::{Identity, RepositoryName, Role, World, WorldError};

/// GitHub's limit for a description, in characters.
const LONGEST_DESCRIPTION: usize = 140;
/// GitHub's limit for the statuses of one commit and context.
const MOST: usize = 1_000;

/// What a commit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum StatusState {
    Error,
    Failure,
    Pending,
    Success,
}

/// One status of a commit. The newest of a context is what counts, whoever gave it.
#[derive(Clone, Debug)]
pub struct CommitStatus {
    /// Database id.
    pub id: u64,
    /// The commit.
    pub commit: Oid,
    /// Its name: what branch protection refers to.
    pub context: String,
    /// What it says.
    pub state: StatusState,
    /// A few words.
    pub description: Option<String>,
    /// Where its "details" link leads.
    pub target_url: Option<String>,
    /// Who gave it.
    pub creator: Identity,
    /// When.
    pub created_at: SystemTime,
}

/// A status to give.
#[derive(Clone, Debug, serde::Deserialize)]
#[allow(missing_docs, reason = "the fields of `CommitStatus`")]
pub struct NewStatus {
    pub state: StatusState,
    #[serde(default)]
    pub target_url: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default = "usual_context")]
    pub context: String,
}

fn usual_context() -> String {
    "default".to_owned()
}

impl World {
    /// Gives a commit a status.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] without write access, [`WorldError::Unprocessable`] for an unknown
    /// commit, a description that is too long, an address that is none, or one status too many.
    pub fn create_status(
        &mut self,
        by: &Identity,
        (name, commit): (&RepositoryName, &Oid),
        new: NewStatus,
    ) -> Result<u64, WorldError> {
        let home = self.repository(name)?;
        self.require(home, by, Role::Write)?;
        if home.git.commit(commit)?.is_none() {
            return Err(WorldError::Unprocessable(format!("No commit found for SHA: {commit}")));
        }
        let invalid = |message: &str| Err(WorldError::Unprocessable(message.to_owned()));
        if new.description.as_ref().is_some_and(|it| it.chars().count() > LONGEST_DESCRIPTION) {
            return invalid("description is too long (maximum is 140 characters)");
        }
        let is_address = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !new.target_url.as_ref().is_none_or(is_address) {
            return invalid("target_url must use http(s) scheme");
        }
        let same = home.statuses.iter().filter(|it| it.commit == *commit);
        if same.filter(|it| it.context == new.context).count() >= MOST {
            return invalid("This SHA and context has reached the maximum number of statuses.");
        }
        let id = self.add_status(by, (name, commit), new)?;
        let (home, status) = self.status(name, id)?;
        let payload = shape::status_event(self, home, status)?;
        self.emit(by, name, ("status", None), payload)?;
        Ok(id)
    }

    /// Gives a commit a status without a word, as an external service would.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn set_status(
        &mut self,
        name: &RepositoryName,
        commit: &Oid,
        (context, state): (&str, StatusState),
    ) -> Result<(), WorldError> {
        let context = context.to_owned();
        let new = NewStatus { state, target_url: None, description: None, context };
        self.add_status(&Identity::user("ci"), (name, commit), new).map(drop)
    }

    fn add_status(
        &mut self,
        by: &Identity,
        (name, commit): (&RepositoryName, &Oid),
        new: NewStatus,
    ) -> Result<u64, WorldError> {
        let NewStatus { state, target_url, description, context } = new;
        let (id, created_at) = (self.fresh_id(), self.now());
        let (commit, creator) = (commit.clone(), by.clone());
        self.repository_mut(name)?.statuses.push(CommitStatus {
            id,
            commit,
            context,
            state,
            description,
            target_url,
            creator,
            created_at,
        });
        self.queues_move(name)?;
        Ok(id)
    }

    /// A status, with its repository.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn status(
        &self,
        name: &RepositoryName,
        id: u64,
    ) -> Result<(&crate::world::Repository, &CommitStatus), WorldError> {
        let home = self.repository(name)?;
        let status = home.statuses.iter().rev().find(|one| one.id == id);
        Ok((home, status.ok_or(WorldError::NotFound)?))
    }
}
