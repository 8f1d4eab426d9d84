//! What the team decided, and the pure decisions that follow from it.
//!
//! Owns approvers and bot options as the base branch has them at one commit, never as a pull
//! request has them. Refuses to do any I/O.

pub mod approval;
pub mod clearance;
pub mod code_owners;
pub mod concern;
pub mod files;
pub mod mergeability;
pub mod owners;
pub mod signal;
#[cfg(test)]
mod tests;
mod voice;
mod words;

use serde::{Deserialize, Serialize};

use crate::github::MergeMethod;
use crate::names::Login;

/// Approvers and bot options of a project, from the base branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Users with the role `required_approver` and a GitHub name, in order.
    pub approvers: Vec<Login>,
    /// The options of `cicd_bot`.
    pub bot: BotOptions,
    /// Whether the project enables the linter.
    pub linter: bool,
}

/// The options of SQLMesh's `cicd_bot`, under its own names and with its defaults applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BotOptions {
    /// Whether the PR environment is invalidated after a deploy.
    pub invalidate_environment_after_deploy: bool,
    /// Whether `/deploy` exists.
    pub enable_deploy_command: bool,
    /// How pull requests are merged; `None`: they are not.
    pub merge_method: Option<MergeMethod>,
    /// What stands in front of a command.
    pub command_namespace: Option<String>,
    /// SQLMesh's categorizer settings, as they are.
    pub auto_categorize_changes: serde_json::Value,
    /// Where PR environments start.
    pub default_pr_start: Option<String>,
    /// Where previews in PR environments start.
    pub default_pr_preview_start: String,
    /// Whether PR environments are left without data.
    pub skip_pr_backfill: bool,
    /// Whether PR environments include unmodified models.
    pub pr_include_unmodified: bool,
    /// Whether a deploy also runs what the schedule is due for.
    pub run_on_deploy_to_prod: bool,
    /// The PR environment's prefix; `None`: the repository's name.
    pub pr_environment_name: Option<String>,
    /// The fewest intervals a model gets in a PR environment.
    pub pr_min_intervals: Option<u64>,
    /// The fewest intervals of a preview.
    pub pr_preview_min_intervals: u64,
    /// Branches that production is deployed from.
    pub prod_branch_names: Vec<String>,
    /// The branch suffix that makes a plan forward-only.
    pub forward_only_branch_suffix: String,
    /// Whether a blocked pull request is held back.
    pub check_if_blocked_on_deploy_to_prod: bool,
}

impl Policy {
    /// Whether `branch` is one that production is deployed from.
    pub fn is_production(&self, branch: &str) -> bool {
        self.bot.prod_branch_names.iter().any(|name| name == branch)
    }

    /// Whether anything can ever ask for a deploy.
    pub fn can_deploy(&self) -> bool {
        !self.approvers.is_empty() || self.bot.enable_deploy_command
    }
}
