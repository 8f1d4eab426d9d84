//! Check suites and check runs, with commit statuses beside them: what machines say about a commit.

mod request;
mod standing;
mod status;

use std::time::SystemTime;

pub use standing::RollupState;
pub use status::{CommitStatus, NewStatus, StatusState};

use super::{Identity, Repository, RepositoryName, World, WorldError};
use crate::git::Oid;
use crate::shape;

/// GitHub's limit for a check run's summary and text, in characters.
const LONGEST_TEXT: usize = 65_535;
/// GitHub's limit for annotations in one request.
const MOST_ANNOTATIONS: usize = 50;

/// Where a check run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Accepted.
    Queued,
    /// Running.
    InProgress,
    /// Over; it has a conclusion.
    Completed,
}

/// How a check run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum CheckConclusion {
    ActionRequired,
    Cancelled,
    Failure,
    Neutral,
    Skipped,
    Stale,
    StartupFailure,
    Success,
    TimedOut,
}

impl CheckConclusion {
    /// Whether a required check with this conclusion lets a merge pass.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Self::Success | Self::Neutral | Self::Skipped)
    }
}

/// The check runs of one application on one commit.
#[derive(Clone, Debug)]
pub struct CheckSuite {
    /// Database id.
    pub id: u64,
    /// The application's slug.
    pub app: String,
    /// The commit.
    pub commit: Oid,
    /// When the first of it was made.
    pub created_at: SystemTime,
}

/// What a check run shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its headline.
    pub title: Option<String>,
    /// Markdown below it.
    pub summary: Option<String>,
    /// More of it.
    pub text: Option<String>,
    /// How many annotations were added so far.
    pub annotations: usize,
}

/// One check run.
#[derive(Clone, Debug)]
pub struct CheckRun {
    /// Database id.
    pub id: u64,
    /// The suite it belongs to.
    pub suite: u64,
    /// The application's slug.
    pub app: String,
    /// The commit.
    pub commit: Oid,
    /// Its name: what branch protection refers to.
    pub name: String,
    /// Where it is.
    pub status: CheckStatus,
    /// How it ended.
    pub conclusion: Option<CheckConclusion>,
    /// The application's own id for it.
    pub external_id: Option<String>,
    /// Where its "details" link leads.
    pub details_url: Option<String>,
    /// When it started.
    pub started_at: SystemTime,
    /// When it ended.
    pub completed_at: Option<SystemTime>,
    /// What it shows.
    pub output: Output,
}

/// A check run to make.
#[derive(Clone, Debug, Default)]
pub struct NewCheckRun {
    /// Its name.
    pub name: String,
    /// The commit, in full.
    pub commit: String,
    /// The rest.
    pub change: CheckRunChange,
}

/// What to change of a check run; `None` leaves a field alone.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the fields of `CheckRun`")]
pub struct CheckRunChange {
    pub name: Option<String>,
    pub status: Option<CheckStatus>,
    pub conclusion: Option<CheckConclusion>,
    pub external_id: Option<String>,
    pub details_url: Option<String>,
    pub started_at: Option<SystemTime>,
    pub completed_at: Option<SystemTime>,
    pub output: Option<Output>,
}

impl World {
    /// Makes a check run of the acting application.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] for a user, [`WorldError::Unprocessable`] for an unknown commit,
    /// a text that is too long, or a completion without a conclusion.
    pub fn create_check_run(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        new: NewCheckRun,
    ) -> Result<u64, WorldError> {
        if *by != Identity::App {
            let message = "You must authenticate via a GitHub App.";
            return Err(WorldError::Forbidden(message.to_owned()));
        }
        let slug = self.app.slug.clone();
        self.report_check(&slug, name, new)
    }

    /// Makes a check run of any application: some other system's, for a story.
    ///
    /// # Errors
    /// As [`World::create_check_run`].
    pub fn report_check(
        &mut self,
        app: &str,
        name: &RepositoryName,
        new: NewCheckRun,
    ) -> Result<u64, WorldError> {
        let commit = Oid::new(new.commit);
        if new.name.trim().is_empty() {
            return Err(WorldError::Unprocessable("Invalid request.\n\nname is missing".into()));
        }
        if self.repository(name)?.git.commit(&commit)?.is_none() {
            return Err(WorldError::Unprocessable(format!("No commit found for SHA: {commit}")));
        }
        check_change(&new.change)?;
        let (id, now) = (self.fresh_id(), self.now());
        let suite = self.suite(app, name, &commit)?;
        let run = CheckRun {
            id,
            suite,
            app: app.to_owned(),
            commit,
            name: new.name,
            status: CheckStatus::Queued,
            conclusion: None,
            external_id: None,
            details_url: None,
            started_at: now,
            completed_at: None,
            output: Output::default(),
        };
        self.repository_mut(name)?.runs.insert(id, run);
        self.change_check(name, id, new.change, "created")?;
        Ok(id)
    }

    /// Changes a check run of the acting application.
    ///
    /// # Errors
    /// As [`World::create_check_run`]; [`WorldError::Forbidden`] too when it is another's.
    pub fn update_check_run(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        id: u64,
        change: CheckRunChange,
    ) -> Result<(), WorldError> {
        let run = self.repository(name)?.runs.get(&id).ok_or(WorldError::NotFound)?;
        if *by != Identity::App || run.app != self.app.slug {
            let message = "Invalid app_id - check run can only be modified by the GitHub App that \
                           created it.";
            return Err(WorldError::Forbidden(message.to_owned()));
        }
        check_change(&change)?;
        self.change_check(name, id, change, "updated")
    }

    fn change_check(
        &mut self,
        name: &RepositoryName,
        id: u64,
        change: CheckRunChange,
        action: &str,
    ) -> Result<(), WorldError> {
        let now = self.now();
        let run = self.repository_mut(name)?.runs.get_mut(&id).ok_or(WorldError::NotFound)?;
        let was_over = run.status == CheckStatus::Completed;
        run.apply(change, now);
        let over = run.status == CheckStatus::Completed && !was_over;
        // GitHub tells of a creation and of a completion, not of what happens in between.
        if over || action == "created" {
            let action = if over { "completed" } else { "created" };
            let (repository, run) = self.check_run(name, id)?;
            let payload = shape::check_run_event(self, repository, run);
            self.emit(&Identity::App, name, ("check_run", Some(action)), payload)?;
        }
        self.queues_move(name)
    }

    /// A check run, with its repository.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn check_run(
        &self,
        name: &RepositoryName,
        id: u64,
    ) -> Result<(&Repository, &CheckRun), WorldError> {
        let repository = self.repository(name)?;
        Ok((repository, repository.runs.get(&id).ok_or(WorldError::NotFound)?))
    }
}

impl CheckRun {
    fn apply(&mut self, change: CheckRunChange, now: SystemTime) {
        if let Some(name) = change.name {
            self.name = name;
        }
        if let Some(status) = change.status {
            self.status = status;
            if status != CheckStatus::Completed {
                (self.conclusion, self.completed_at) = (None, None);
            }
        }
        if let Some(conclusion) = change.conclusion {
            self.conclusion = Some(conclusion);
            self.status = CheckStatus::Completed;
            self.completed_at = Some(change.completed_at.unwrap_or(now));
        }
        self.external_id = change.external_id.or(self.external_id.take());
        self.details_url = change.details_url.or(self.details_url.take());
        self.started_at = change.started_at.unwrap_or(self.started_at);
        if let Some(output) = change.output {
            self.output.title = output.title.or(self.output.title.take());
            self.output.summary = output.summary.or(self.output.summary.take());
            self.output.text = output.text.or(self.output.text.take());
            self.output.annotations += output.annotations;
        }
    }
}

fn check_change(change: &CheckRunChange) -> Result<(), WorldError> {
    let invalid = |message: String| Err(WorldError::Unprocessable(message));
    if change.status == Some(CheckStatus::Completed) && change.conclusion.is_none() {
        return invalid("Invalid request.\n\n\"conclusion\" wasn't supplied.".to_owned());
    }
    let Some(output) = &change.output else { return Ok(()) };
    for (field, text) in [("summary", &output.summary), ("text", &output.text)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
            return invalid(format!(
                "Invalid request.\n\nOnly {LONGEST_TEXT} characters are allowed in {field}."
            ));
        }
    }
    if output.annotations > MOST_ANNOTATIONS {
        return invalid(format!("Invalid request.\n\nNo more than {MOST_ANNOTATIONS} items."));
    }
    Ok(())
}
