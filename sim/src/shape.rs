//! How GitHub writes the things of the world in JSON: one shape per thing, shared by REST answers
//! and webhook payloads. Reads the world, never changes it.

mod account;
mod check;
mod comment;
mod commit;
mod deployment;
mod pull;
mod repository;
mod status;

pub(crate) use account::{account, app, owner, profile};
pub(crate) use check::{check_run, check_run_event, check_suite, check_suite_event};
pub(crate) use comment::{comment, comment_event, reaction};
pub(crate) use commit::{branch, branch_rules, commit, commit_summary, push};
pub(crate) use deployment::{deployment, deployment_status};
pub(crate) use pull::{changed_file, pull, pull_event, review, review_event};
pub(crate) use repository::{activity, fork, full_repository, repository};
pub(crate) use status::{status, status_event};

use std::time::SystemTime;

use serde_json::Value;

/// When everything was made that was there before the story.
pub(crate) const LONG_AGO: &str = "2024-01-01T00:00:00Z";

/// A time as GitHub writes it: RFC 3339, UTC, whole seconds.
pub(crate) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// A time that may be null.
pub(crate) fn optional_time(at: Option<SystemTime>) -> Value {
    at.map_or(Value::Null, |at| time(at).into())
}
