//! Suites, and how GitHub asks an application to fill them: for a new head, on request, by a
//! button.

use super::CheckSuite;
use crate::git::Oid;
use crate::shape;
use crate::world::{Identity, RepositoryName, World, WorldError};

impl World {
    /// Someone presses "re-run" on one check run, or on all of a commit with `None`.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn rerequest(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        commit: &Oid,
        run: Option<u64>,
    ) -> Result<(), WorldError> {
        let app = self.app.slug.clone();
        let suite = self.suite(&app, name, commit)?;
        if let Some(run) = run {
            let (repository, run) = self.check_run(name, run)?;
            let payload = shape::check_run_event(self, repository, run);
            return self.emit(by, name, ("check_run", Some("rerequested")), payload);
        }
        self.emit_suite(by, name, suite, "rerequested")
    }

    /// Someone presses one of the buttons that the application put on a check run.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn request_action(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        (run, identifier): (u64, &str),
    ) -> Result<(), WorldError> {
        let (repository, run) = self.check_run(name, run)?;
        let mut payload = shape::check_run_event(self, repository, run);
        payload["requested_action"] = serde_json::json!({"identifier": identifier});
        self.emit(by, name, ("check_run", Some("requested_action")), payload)
    }

    /// GitHub makes a suite for each new head and asks the application to fill it.
    pub(in crate::world) fn request_suite(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        commit: &Oid,
    ) -> Result<(), WorldError> {
        let app = self.app.slug.clone();
        let suite = self.suite(&app, name, commit)?;
        self.emit_suite(by, name, suite, "requested")
    }

    fn emit_suite(
        &mut self,
        by: &Identity,
        name: &RepositoryName,
        suite: u64,
        action: &str,
    ) -> Result<(), WorldError> {
        let repository = self.repository(name)?;
        let suite =
            repository.suites.iter().find(|one| one.id == suite).ok_or(WorldError::NotFound)?;
        let payload = shape::check_suite_event(self, repository, suite)?;
        self.emit(by, name, ("check_suite", Some(action)), payload)
    }

    pub(super) fn suite(
        &mut self,
        app: &str,
        name: &RepositoryName,
        commit: &Oid,
    ) -> Result<u64, WorldError> {
        let (id, created_at) = (self.fresh_id(), self.now());
        let repository = self.repository_mut(name)?;
        let mut suites = repository.suites.iter();
        if let Some(suite) = suites.find(|one| one.app == app && one.commit == *commit) {
            return Ok(suite.id);
        }
        let (app, commit) = (app.to_owned(), commit.clone());
        repository.suites.push(CheckSuite { id, app, commit, created_at });
        Ok(id)
    }
}
