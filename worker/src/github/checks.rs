//! The checks of a commit: which runs are ours, and which required ones are not successful.
//!
//! Owns GitHub's check vocabulary in both directions. Refuses to know what a check is about.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sluice::github::{Check, CheckStatus};
use sluice::names::Login;
use sluice::outcome::Conclusion;

use super::open::moment;
use super::shape::{App, BaseRef, Context, HeadCommit, Run};

/// The GitHub App that our check runs belong to. A stranger's run may have our names, our
/// `external_id` and our seal in it; its App is what GitHub vouches for.
///
/// Configured by its id, or else found as the App whose bot the token is (`viewer.login` is
/// `slug[bot]`), and then remembered by its id. A token that is no App's owns no check run (GitHub
/// lets only Apps write them).
#[derive(Debug, Default)]
pub(super) struct OurApp(OnceLock<u64>);

impl OurApp {
    pub(super) fn new(configured: Option<u64>) -> Self {
        Self(configured.map(OnceLock::from).unwrap_or_default())
    }

    /// The check suites to ask for: ours, once we know who we are; all until then.
    pub(super) fn suites(&self) -> Value {
        self.0.get().map_or(Value::Null, |id| json!({ "appId": id }))
    }

    pub(super) fn owns(&self, app: &App, viewer: &Login) -> bool {
        if let Some(id) = self.0.get() {
            return app.database_id == Some(*id);
        }
        let ours = viewer.as_str().strip_suffix("[bot]") == Some(app.slug.as_str());
        if let (true, Some(id)) = (ours, app.database_id) {
            // Another task may have learned it first; it learned the same.
            self.0.get_or_init(|| id);
        }
        ours
    }

    /// Our own check runs on a commit.
    pub(super) fn runs(&self, commit: HeadCommit, viewer: &Login) -> Vec<Check> {
        let suites = commit.check_suites.map(|suites| suites.into_vec()).unwrap_or_default();
        suites
            .into_iter()
            .filter(|suite| suite.app.as_ref().is_some_and(|app| self.owns(app, viewer)))
            .flat_map(|suite| suite.check_runs.map(|runs| runs.into_vec()).unwrap_or_default())
            .map(check)
            .collect()
    }
}

fn check(run: Run) -> Check {
    Check {
        id: run.id,
        name: run.name,
        external_id: run.external_id.unwrap_or_default(),
        status: status(&run.status, run.conclusion.as_deref()),
        started_ms: moment(&run.started_at),
        title: run.title.unwrap_or_default(),
        summary: run.summary.unwrap_or_default(),
    }
}

pub(super) fn status(status: &str, conclusion: Option<&str>) -> CheckStatus {
    match status {
        "COMPLETED" => CheckStatus::Completed(match conclusion.unwrap_or_default() {
            "SUCCESS" => Conclusion::Success,
            // GitHub itself marks a run that was not concluded within 14 days.
            "NEUTRAL" | "STALE" => Conclusion::Neutral,
            "SKIPPED" => Conclusion::Skipped,
            "ACTION_REQUIRED" => Conclusion::ActionRequired,
            "CANCELLED" => Conclusion::Cancelled,
            _ => Conclusion::Failure,
        }),
        "IN_PROGRESS" => CheckStatus::InProgress,
        _ => CheckStatus::Queued,
    }
}

/// A status as GraphQL's inputs take it: the status, and the conclusion of a completed run.
pub(super) fn words_of(status: CheckStatus) -> (&'static str, Option<String>) {
    match status {
        CheckStatus::Queued => ("QUEUED", None),
        CheckStatus::InProgress => ("IN_PROGRESS", None),
        CheckStatus::Completed(conclusion) => {
            ("COMPLETED", Some(conclusion.label().to_ascii_uppercase()))
        }
    }
}

/// What is known of the required checks of a head.
#[derive(Debug, Default)]
pub(super) struct Required {
    successful: BTreeSet<String>,
    pending: BTreeSet<String>,
}

impl Required {
    /// Takes note of one check or status of the head.
    pub(super) fn saw(&mut self, context: &Context) {
        let (name, successful, required) = match context {
            Context::CheckRun { name, status, conclusion, is_required } => {
                let passes =
                    matches!(conclusion.as_deref(), Some("SUCCESS" | "NEUTRAL" | "SKIPPED"));
                (name, status == "COMPLETED" && passes, *is_required)
            }
            Context::StatusContext { context, state, is_required } => {
                (context, state == "SUCCESS", *is_required)
            }
        };
        if successful {
            self.successful.insert(name.clone());
        } else if required {
            self.pending.insert(name.clone());
        }
    }

    /// Names that are not successful, those included that the base's rules demand and nobody has
    /// reported yet: GitHub lists only what was reported.
    pub(super) fn pending(mut self, base: Option<&BaseRef>) -> Vec<String> {
        let classic = base.and_then(|base| base.ref_update_rule.as_ref());
        let classic = classic.and_then(|rule| rule.required_status_check_contexts.as_ref());
        let rulesets = base.and_then(|base| base.rules.as_ref());
        let rulesets = rulesets.into_iter().flat_map(|rules| rules.iter());
        let demanded = classic.into_iter().flatten().flatten().chain(
            rulesets
                .filter_map(|rule| rule.parameters.as_ref())
                .flat_map(|parameters| &parameters.required_status_checks)
                .map(|required| &required.context),
        );
        for name in demanded {
            if !self.successful.contains(name) {
                self.pending.insert(name.clone());
            }
        }
        self.pending.into_iter().collect()
    }

    /// Adds what could not be read, in words.
    pub(super) fn unread(&mut self, what: &str) {
        self.pending.insert(what.to_owned());
    }
}
