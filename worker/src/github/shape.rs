//! The narrow shapes of GitHub's answers: only what is asked for, tolerant of values to come.
//!
//! Owns field names. Refuses to decide: a value that is not known reads as the one that holds a
//! pull request back.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use sluice::github::{MergeState, ReviewDecision, ReviewState};
use sluice::names::{Login, NodeId, Sha};

#[derive(Debug, Deserialize)]
pub(super) struct Actor {
    pub(super) login: Login,
}

#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) oid: Sha,
}

/// GitHub's lists: both the list and its entries may be null.
#[derive(Debug, Deserialize)]
pub(super) struct Nodes<T> {
    nodes: Option<Vec<Option<T>>>,
}

impl<T> Default for Nodes<T> {
    fn default() -> Self {
        Self { nodes: None }
    }
}

impl<T> Nodes<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        self.nodes.unwrap_or_default().into_iter().flatten().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flatten().flatten()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Viewed<R> {
    pub(super) viewer: Actor,
    pub(super) repository: Option<R>,
    /// Kept raw: a node that is no comment answers with no field at all.
    #[serde(default)]
    pub(super) command: serde_json::Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    pub(super) id: NodeId,
    pub(super) pull_request: Option<PullRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullRequest {
    pub(super) id: NodeId,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) is_draft: bool,
    pub(super) is_cross_repository: bool,
    pub(super) author: Option<Actor>,
    pub(super) head_ref_name: String,
    pub(super) base_ref_name: String,
    pub(super) base_ref_oid: Sha,
    pub(super) base_ref: Option<BaseRef>,
    #[serde(deserialize_with = "merge_state")]
    pub(super) merge_state_status: MergeState,
    #[serde(deserialize_with = "review_decision")]
    pub(super) review_decision: Option<ReviewDecision>,
    pub(super) reviews: Option<Nodes<Review>>,
    #[serde(default)]
    pub(super) merge_queue: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) merge_queue_entry: Option<QueueEntry>,
    #[serde(default)]
    pub(super) files: Option<Files>,
    pub(super) commits: Nodes<PullRequestCommit>,
    #[serde(flatten)]
    pub(super) standing: Standing,
    #[serde(flatten)]
    pub(super) comments: Comments,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueueEntry {
    pub(super) head_commit: Option<Object>,
    pub(super) base_commit: Option<Object>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Files {
    pub(super) page_info: MorePages,
    #[serde(flatten)]
    pub(super) list: Nodes<ChangedFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MorePages {
    pub(super) has_next_page: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangedFile {
    pub(super) path: String,
    pub(super) change_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    pub(super) state: String,
    pub(super) head_ref_oid: Sha,
    /// Its base branch. Of another name than in GitHub's schema: [`Standing`] is flattened into
    /// what asks for the base branch as well.
    pub(super) merged_into: String,
    pub(super) merged_at: Option<String>,
    pub(super) merge_commit: Option<MergeCommit>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MergeCommit {
    pub(super) oid: Sha,
    pub(super) tree: Object,
    #[serde(default)]
    pub(super) folder: Option<Object>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Comments {
    pub(super) oldest: CommentPage,
    pub(super) newest: Nodes<Comment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommentPage {
    pub(super) total_count: u64,
    pub(super) page_info: PageInfo,
    #[serde(flatten)]
    pub(super) list: Nodes<Comment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comment {
    pub(super) id: NodeId,
    pub(super) body: String,
    pub(super) viewer_did_author: bool,
    #[serde(default)]
    pub(super) url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BaseRef {
    pub(super) target: Option<BaseCommit>,
    pub(super) ref_update_rule: Option<UpdateRule>,
    pub(super) rules: Option<Nodes<Rule>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BaseCommit {
    pub(super) oid: Sha,
    #[serde(default)]
    pub(super) tree: Option<Object>,
    #[serde(default)]
    pub(super) folder: Option<Object>,
    /// The configuration files that were asked for, by alias.
    #[serde(flatten)]
    pub(super) files: BTreeMap<String, Option<File>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) oid: Sha,
    /// As git has it.
    pub(super) mode: u32,
    /// In bytes; `None` where it was not asked for.
    #[serde(default)]
    pub(super) size: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateRule {
    #[serde(default)]
    pub(super) required_status_check_contexts: Option<Vec<Option<String>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) parameters: Option<RuleParameters>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleParameters {
    #[serde(default)]
    pub(super) required_status_checks: Vec<RequiredContext>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RequiredContext {
    pub(super) context: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    #[serde(deserialize_with = "review_state")]
    pub(super) state: ReviewState,
    /// `None` until it is submitted.
    pub(super) submitted_at: Option<String>,
    #[serde(default)]
    pub(super) author_can_push_to_repository: bool,
    pub(super) author: Option<Actor>,
    pub(super) commit: Option<Object>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequestCommit {
    pub(super) commit: HeadCommit,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeadCommit {
    pub(super) oid: Sha,
    pub(super) status_check_rollup: Option<Rollup>,
    #[serde(default)]
    pub(super) check_suites: Option<Nodes<Suite>>,
    #[serde(default)]
    pub(super) status: Option<StatusOf>,
}

/// The newest status of each context of a commit.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StatusOf {
    pub(super) contexts: Vec<Given>,
}

/// One status.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Given {
    pub(super) id: NodeId,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
    pub(super) created_at: String,
    /// `None` for a deleted account.
    pub(super) creator: Option<Creator>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Creator {
    #[serde(rename = "__typename")]
    pub(super) kind: String,
    pub(super) login: Login,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rollup {
    pub(super) contexts: Contexts,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contexts {
    pub(super) page_info: PageInfo,
    #[serde(flatten)]
    pub(super) list: Nodes<Context>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "__typename")]
pub(super) enum Context {
    #[serde(rename_all = "camelCase")]
    CheckRun { name: String, status: String, conclusion: Option<String>, is_required: bool },
    #[serde(rename_all = "camelCase")]
    StatusContext { context: String, state: String, is_required: bool },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Suite {
    pub(super) app: Option<App>,
    pub(super) check_runs: Option<Nodes<Run>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct App {
    pub(super) slug: String,
    pub(super) database_id: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) external_id: Option<String>,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    #[serde(default)]
    pub(super) started_at: Option<String>,
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Command {
    pub(super) id: NodeId,
    pub(super) body: String,
    pub(super) created_at: String,
    pub(super) last_edited_at: Option<String>,
    pub(super) author: Option<Actor>,
    pub(super) pull_request: Option<Identified>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Identified {
    pub(super) id: NodeId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) object: Option<HeadCommit>,
    pub(super) pull_request: Option<Conversation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Conversation {
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) head_ref_oid: Option<Sha>,
    #[serde(flatten)]
    pub(super) comments: Comments,
}

fn merge_state<'de, D: Deserializer<'de>>(input: D) -> Result<MergeState, D::Error> {
    Ok(match String::deserialize(input)?.as_str() {
        "BEHIND" => MergeState::Behind,
        "BLOCKED" => MergeState::Blocked,
        "CLEAN" => MergeState::Clean,
        "DIRTY" => MergeState::Dirty,
        "DRAFT" => MergeState::Draft,
        "HAS_HOOKS" => MergeState::HasHooks,
        "UNSTABLE" => MergeState::Unstable,
        _ => MergeState::Unknown,
    })
}

fn review_decision<'de, D>(input: D) -> Result<Option<ReviewDecision>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<String>::deserialize(input)?.map(|decision| match decision.as_str() {
        "APPROVED" => ReviewDecision::Approved,
        "CHANGES_REQUESTED" => ReviewDecision::ChangesRequested,
        _ => ReviewDecision::ReviewRequired,
    }))
}

fn review_state<'de, D: Deserializer<'de>>(input: D) -> Result<ReviewState, D::Error> {
    Ok(match String::deserialize(input)?.as_str() {
        "APPROVED" => ReviewState::Approved,
        "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
        "DISMISSED" => ReviewState::Dismissed,
        "PENDING" => ReviewState::Pending,
        _ => ReviewState::Commented,
    })
}
