//! What all checks and statuses of a commit amount to.

use super::{CheckConclusion, CheckRun, CommitStatus, StatusState};
use crate::git::Oid;
use crate::world::Repository;

/// All checks and statuses of a commit in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub enum RollupState {
    Failure,
    Pending,
    Success,
}

impl Repository {
    /// All check runs of a commit, oldest first.
    pub fn runs_of(&self, commit: &Oid) -> impl Iterator<Item = &CheckRun> {
        self.runs.values().filter(move |run| run.commit == *commit)
    }

    /// The newest check run of each application and name on a commit.
    #[must_use]
    pub fn latest_runs(&self, commit: &Oid) -> Vec<&CheckRun> {
        let newer = |one: &CheckRun, other: &CheckRun| {
            other.id > one.id && other.name == one.name && other.app == one.app
        };
        self.runs_of(commit)
            .filter(|run| !self.runs_of(commit).any(|other| newer(run, other)))
            .collect()
    }

    /// The newest status of each context on a commit.
    #[must_use]
    pub fn latest_statuses(&self, commit: &Oid) -> Vec<&CommitStatus> {
        let of_commit = || self.statuses.iter().filter(|status| status.commit == *commit);
        of_commit()
            .filter(|one| !of_commit().any(|it| it.id > one.id && it.context == one.context))
            .collect()
    }

    /// Whether a check or status of that name has passed on the commit: both, where there are both.
    #[must_use]
    pub fn check_passed(&self, commit: &Oid, name: &str) -> bool {
        let runs = self.latest_runs(commit).into_iter().filter(|run| run.name == name);
        let runs: Vec<bool> =
            runs.map(|run| run.conclusion.is_some_and(CheckConclusion::passes)).collect();
        let statuses = self.latest_statuses(commit).into_iter();
        let mut statuses = statuses.filter(|one| one.context == name).peekable();
        let is_known = !runs.is_empty() || statuses.peek().is_some();
        is_known
            && (runs.is_empty() || runs.contains(&true))
            && statuses.all(|one| one.state == StatusState::Success)
    }

    /// Whether nothing on the commit is pending or has failed.
    #[must_use]
    pub fn all_checks_pass(&self, commit: &Oid) -> bool {
        self.rollup(commit).is_none_or(|state| state == RollupState::Success)
    }

    /// Everything on the commit in one word; `None` when nobody has said anything.
    #[must_use]
    pub fn rollup(&self, commit: &Oid) -> Option<RollupState> {
        let runs = self.latest_runs(commit).into_iter().map(|run| match run.conclusion {
            None => RollupState::Pending,
            Some(conclusion) if conclusion.passes() => RollupState::Success,
            Some(_) => RollupState::Failure,
        });
        let statuses = self.latest_statuses(commit).into_iter().map(|status| match status.state {
            StatusState::Pending => RollupState::Pending,
            StatusState::Success => RollupState::Success,
            StatusState::Error | StatusState::Failure => RollupState::Failure,
        });
        let all: Vec<RollupState> = runs.chain(statuses).collect();
        [RollupState::Failure, RollupState::Pending, RollupState::Success]
            .into_iter()
            .find(|state| all.contains(state))
    }
}
