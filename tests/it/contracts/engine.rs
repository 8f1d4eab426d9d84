//! The contract of the `Engine` port: who is held to it.
//!
//! The scripted engine that stories are told with, and the real one with SQLMesh on DuckDB, both
//! on real git. Where they differ by nature, the bench says how.

use std::sync::Arc;

use sluice::engine::{Engine, Used};

use super::contract;

mod clauses;
mod scripted;
mod sqlmesh_on_duckdb;
mod village;

use village::Village;

/// A file of a project: its path and its text.
type File = (String, String);

/// An adapter on the bench: a project of two models on `main`, `orders` and `totals`, that nobody
/// has deployed.
trait Bench: Send + Sync {
    /// The port.
    fn engine(&self) -> Arc<dyn Engine>;
    /// Where the project's repository is, and who works on it.
    fn village(&self) -> &Village;
    /// A model as plans call it.
    fn name(&self, model: &str) -> String;
    /// `orders` with that amount; nothing is wrong with it.
    fn orders(&self, amount: u32) -> File;
    /// `totals` as its unit test does not want it.
    fn failing_totals(&self) -> File;
    /// A model that the linter does not let pass.
    fn untidy(&self) -> File;
    /// The configuration with that approver, who alone decides about deploys.
    fn configuration(&self, approver: &str) -> File;
    /// What a session uses at least. A scripted one has no processes.
    fn least_used(&self) -> Used;
}

contract!(
    script,
    crate::contracts::engine::scripted::Script::new().await,
    [
        a_sound_change_is_merged_into_the_base_and_passes,
        findings_are_reports_and_no_errors,
        an_applied_plan_is_what_the_environment_stands_at,
        nothing_begins_after_the_watch_says_halt,
        what_cannot_be_merged_says_why,
        who_is_cancelled_is_told_so,
        a_policy_is_the_base_commits_and_is_read_once,
        an_environment_that_is_not_there_can_be_removed,
    ]
);

contract!(
    sqlmesh,
    crate::contracts::engine::sqlmesh_on_duckdb::Real::new().await,
    [
        a_sound_change_is_merged_into_the_base_and_passes,
        findings_are_reports_and_no_errors,
        an_applied_plan_is_what_the_environment_stands_at,
        nothing_begins_after_the_watch_says_halt,
        what_cannot_be_merged_says_why,
        who_is_cancelled_is_told_so,
        a_policy_is_the_base_commits_and_is_read_once,
        an_environment_that_is_not_there_can_be_removed,
    ]
);
