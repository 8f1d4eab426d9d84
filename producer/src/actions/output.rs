//! The outputs of the step: the reference bot's keys and values, so that workflows written for it
//! go on working.
//!
//! Owns their names and the format of the file. Nothing that a pull request says gets into it but
//! by way of a value, and no value can add another output.

use std::fmt::Write as _;

use sluice::job::Envelope;
use sluice::render::checks::CheckKind;

use super::outcome::Outcome;

/// What the outputs are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// As the reference bot calls them.
    Plain,
    /// With the project and `_` in front.
    OfEachProject,
}

/// The key whose value is `true` when the pull request's environment was built for the first time.
pub(super) const CREATED: &str = "created_pr_environment";

/// What the pull request's environment is called.
pub(super) const NAME: &str = "pr_environment_name";

/// The ids of the jobs that were stored, one a line. The reference bot has no such thing.
pub(super) const JOBS: &str = "jobs";

/// What was stored, as outputs.
pub(super) fn jobs(stored: &[Envelope]) -> String {
    let ids: Vec<&str> = stored.iter().map(|envelope| envelope.id.as_str()).collect();
    entry(JOBS, &ids.join("\n"))
}

/// What became of the jobs, as outputs: only what is known. An event may speak for several pull
/// requests of a project, with one head: the first one's counts.
pub(super) fn of(outcomes: &[Outcome], keys: Keys, cause: &str) -> String {
    let mut told = Vec::new();
    let mut text = String::new();
    for outcome in outcomes {
        if told.contains(&&outcome.project) {
            continue;
        }
        told.push(&outcome.project);
        for (key, value) in values(outcome, cause) {
            let key = match keys {
                Keys::Plain => key.to_owned(),
                Keys::OfEachProject => format!("{}_{key}", outcome.project),
            };
            text.push_str(&entry(&key, &value));
        }
    }
    text
}

fn values(outcome: &Outcome, cause: &str) -> Vec<(&'static str, String)> {
    let mut values = Vec::new();
    for concluded in outcome.concluded() {
        if concluded.kind == CheckKind::PrEnvironment {
            if outcome.has_created_the_environment(cause) {
                values.push((CREATED, "true".to_owned()));
            }
            values.extend(outcome.shown.environment.clone().map(|name| (NAME, name)));
        }
        values.push((concluded.kind.key(), concluded.conclusion));
    }
    values
}

/// One output, as the file wants it: what has several lines stands between two that nobody can
/// have foreseen.
pub(super) fn entry(key: &str, value: &str) -> String {
    if !value.contains(['\n', '\r']) {
        return format!("{key}={value}\n");
    }
    let end = format!("sluice-{:032x}", rand::random::<u128>());
    let mut text = format!("{key}<<{end}\n{value}\n");
    let _ = writeln!(text, "{end}");
    text
}
