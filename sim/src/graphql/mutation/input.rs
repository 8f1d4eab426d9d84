//! The inputs of mutations, field for field as GitHub names them.

use async_graphql::{ID, InputObject};

use super::super::scalar::{DateTime, GitObjectID, Uri};
use super::super::words::{
    CheckAnnotationLevel, CheckConclusionState, PullRequestMergeMethod, ReactionContent,
    RequestableCheckStatusState,
};
use crate::world::{CheckRunChange, Output};

/// `CreateCheckRunInput`.
#[derive(InputObject)]
pub(super) struct CreateCheckRunInput {
    pub(super) repository_id: ID,
    pub(super) head_sha: GitObjectID,
    pub(super) name: String,
    status: Option<RequestableCheckStatusState>,
    conclusion: Option<CheckConclusionState>,
    external_id: Option<String>,
    details_url: Option<Uri>,
    started_at: Option<DateTime>,
    completed_at: Option<DateTime>,
    output: Option<CheckRunOutput>,
    pub(super) client_mutation_id: Option<String>,
}

/// `UpdateCheckRunInput`.
#[derive(InputObject)]
pub(super) struct UpdateCheckRunInput {
    pub(super) repository_id: ID,
    pub(super) check_run_id: ID,
    name: Option<String>,
    status: Option<RequestableCheckStatusState>,
    conclusion: Option<CheckConclusionState>,
    external_id: Option<String>,
    details_url: Option<Uri>,
    started_at: Option<DateTime>,
    completed_at: Option<DateTime>,
    output: Option<CheckRunOutput>,
    pub(super) client_mutation_id: Option<String>,
}

/// `CheckRunOutput`.
#[derive(InputObject)]
struct CheckRunOutput {
    title: String,
    summary: String,
    text: Option<String>,
    annotations: Option<Vec<CheckAnnotationData>>,
}

/// `CheckAnnotationData`: checked for form, counted, not kept.
#[derive(InputObject)]
struct CheckAnnotationData {
    #[graphql(name = "path")]
    _path: String,
    #[graphql(name = "location")]
    _location: CheckAnnotationRange,
    #[graphql(name = "annotationLevel")]
    _annotation_level: CheckAnnotationLevel,
    #[graphql(name = "message")]
    _message: String,
    #[graphql(name = "title")]
    _title: Option<String>,
}

/// `CheckAnnotationRange`.
#[derive(InputObject)]
struct CheckAnnotationRange {
    #[graphql(name = "startLine")]
    _start_line: u32,
    #[graphql(name = "endLine")]
    _end_line: u32,
}

/// `AddCommentInput`.
#[derive(InputObject)]
pub(super) struct AddCommentInput {
    pub(super) subject_id: ID,
    pub(super) body: String,
    pub(super) client_mutation_id: Option<String>,
}

/// `UpdateIssueCommentInput`.
#[derive(InputObject)]
pub(super) struct UpdateIssueCommentInput {
    pub(super) id: ID,
    pub(super) body: String,
    pub(super) client_mutation_id: Option<String>,
}

/// `AddReactionInput`.
#[derive(InputObject)]
pub(super) struct AddReactionInput {
    pub(super) subject_id: ID,
    pub(super) content: ReactionContent,
    pub(super) client_mutation_id: Option<String>,
}

/// `MergePullRequestInput`.
#[derive(InputObject)]
pub(super) struct MergePullRequestInput {
    pub(super) pull_request_id: ID,
    pub(super) expected_head_oid: Option<GitObjectID>,
    pub(super) merge_method: Option<PullRequestMergeMethod>,
    pub(super) commit_headline: Option<String>,
    pub(super) commit_body: Option<String>,
    pub(super) client_mutation_id: Option<String>,
}

/// `EnqueuePullRequestInput`.
#[derive(InputObject)]
pub(super) struct EnqueuePullRequestInput {
    pub(super) pull_request_id: ID,
    pub(super) expected_head_oid: Option<GitObjectID>,
    pub(super) jump: Option<bool>,
    pub(super) client_mutation_id: Option<String>,
}

impl CreateCheckRunInput {
    /// Everything but what only a new run has. A name change is none here.
    pub(super) fn into_change(self) -> CheckRunChange {
        CheckRunChange {
            name: None,
            status: self.status.map(Into::into),
            conclusion: self.conclusion.map(Into::into),
            external_id: self.external_id,
            details_url: self.details_url.map(|url| url.0),
            started_at: self.started_at.map(|at| at.0),
            completed_at: self.completed_at.map(|at| at.0),
            output: self.output.map(Into::into),
        }
    }
}

impl UpdateCheckRunInput {
    pub(super) fn into_change(self) -> CheckRunChange {
        CheckRunChange {
            name: self.name,
            status: self.status.map(Into::into),
            conclusion: self.conclusion.map(Into::into),
            external_id: self.external_id,
            details_url: self.details_url.map(|url| url.0),
            started_at: self.started_at.map(|at| at.0),
            completed_at: self.completed_at.map(|at| at.0),
            output: self.output.map(Into::into),
        }
    }
}

impl From<CheckRunOutput> for Output {
    fn from(output: CheckRunOutput) -> Self {
        Self {
            title: Some(output.title),
            summary: Some(output.summary),
            text: output.text,
            annotations: output.annotations.map_or(0, |annotations| annotations.len()),
        }
    }
}
