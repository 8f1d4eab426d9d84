//! Mutations, with GitHub's input and payload types. Several in one document run in order.

mod input;

use async_graphql::{Context, Object, SimpleObject};

use super::check::CheckRun;
use super::comment::{Actor, IssueComment, Reaction};
use super::node::{self, Node};
use super::pull::PullRequest;
use super::queue::MergeQueueEntry;
use super::{caller, with_world};
use crate::world::{
    EnqueueRequest, Kind, MergeRequest, NewCheckRun, NodeId, ReactionTarget, WorldError,
};
use input::{
    AddCommentInput, AddReactionInput, CreateCheckRunInput, EnqueuePullRequestInput,
    MergePullRequestInput, UpdateCheckRunInput, UpdateIssueCommentInput,
};

/// `Mutation`.
pub(crate) struct Mutation;

/// `EnqueuePullRequestPayload`.
#[derive(SimpleObject)]
pub(crate) struct EnqueuePullRequestPayload {
    merge_queue_entry: Option<MergeQueueEntry>,
    client_mutation_id: Option<String>,
}

/// The payload of creating or updating a check run.
#[derive(SimpleObject)]
#[graphql(name = "CreateCheckRunPayload")]
pub(crate) struct CreateCheckRunPayload {
    check_run: Option<CheckRun>,
    client_mutation_id: Option<String>,
}

/// `UpdateCheckRunPayload`.
#[derive(SimpleObject)]
pub(crate) struct UpdateCheckRunPayload {
    check_run: Option<CheckRun>,
    client_mutation_id: Option<String>,
}

/// `IssueCommentEdge`.
#[derive(SimpleObject)]
pub(crate) struct IssueCommentEdge {
    cursor: String,
    node: Option<IssueComment>,
}

/// `AddCommentPayload`.
#[derive(SimpleObject)]
pub(crate) struct AddCommentPayload {
    comment_edge: Option<IssueCommentEdge>,
    subject: Option<Node>,
    client_mutation_id: Option<String>,
}

/// `UpdateIssueCommentPayload`.
#[derive(SimpleObject)]
pub(crate) struct UpdateIssueCommentPayload {
    issue_comment: Option<IssueComment>,
    client_mutation_id: Option<String>,
}

/// `AddReactionPayload`.
#[derive(SimpleObject)]
pub(crate) struct AddReactionPayload {
    reaction: Option<Reaction>,
    client_mutation_id: Option<String>,
}

/// `MergePullRequestPayload`.
#[derive(SimpleObject)]
pub(crate) struct MergePullRequestPayload {
    actor: Option<Actor>,
    pull_request: Option<PullRequest>,
    client_mutation_id: Option<String>,
}

#[Object]
impl Mutation {
    async fn create_check_run(
        &self,
        context: &Context<'_>,
        input: CreateCheckRunInput,
    ) -> async_graphql::Result<Option<CreateCheckRunPayload>> {
        let by = caller(context)?;
        let client_mutation_id = input.client_mutation_id.clone();
        with_world(context, |world| {
            let home = node::repository(world, &input.repository_id)?;
            let (name, commit) = (input.name.clone(), input.head_sha.0.clone());
            let new = NewCheckRun { name, commit, change: input.into_change() };
            let id = world.create_check_run(by, &home, new)?;
            let check_run = Some(CheckRun::of(&home, world.check_run(&home, id)?.1));
            Ok(Some(CreateCheckRunPayload { check_run, client_mutation_id }))
        })
    }

    async fn update_check_run(
        &self,
        context: &Context<'_>,
        input: UpdateCheckRunInput,
    ) -> async_graphql::Result<Option<UpdateCheckRunPayload>> {
        let by = caller(context)?;
        let client_mutation_id = input.client_mutation_id.clone();
        with_world(context, |world| {
            let home = node::repository(world, &input.repository_id)?;
            let id = node::check_run(&input.check_run_id)?;
            world.update_check_run(by, &home, id, input.into_change())?;
            let check_run = Some(CheckRun::of(&home, world.check_run(&home, id)?.1));
            Ok(Some(UpdateCheckRunPayload { check_run, client_mutation_id }))
        })
    }

    async fn add_comment(
        &self,
        context: &Context<'_>,
        input: AddCommentInput,
    ) -> async_graphql::Result<Option<AddCommentPayload>> {
        let by = caller(context)?;
        with_world(context, |world| {
            let pr = node::pull(world, &input.subject_id)?;
            let id = world.comment(by, &pr, &input.body)?;
            let home = world.repository(&pr.repository)?;
            let comment = IssueComment::of(world, &home.name, home.comment(id)?, by);
            let edge = IssueCommentEdge { cursor: id.to_string(), node: Some(comment) };
            Ok(Some(AddCommentPayload {
                comment_edge: Some(edge),
                subject: Some(Node::find(world, &input.subject_id, by)?),
                client_mutation_id: input.client_mutation_id,
            }))
        })
    }

    async fn update_issue_comment(
        &self,
        context: &Context<'_>,
        input: UpdateIssueCommentInput,
    ) -> async_graphql::Result<Option<UpdateIssueCommentPayload>> {
        let by = caller(context)?;
        with_world(context, |world| {
            let (name, id) = node::comment(world, &input.id)?;
            world.edit_comment(by, &name, id, &input.body)?;
            let home = world.repository(&name)?;
            let comment = IssueComment::of(world, &home.name, home.comment(id)?, by);
            Ok(Some(UpdateIssueCommentPayload {
                issue_comment: Some(comment),
                client_mutation_id: input.client_mutation_id,
            }))
        })
    }

    async fn add_reaction(
        &self,
        context: &Context<'_>,
        input: AddReactionInput,
    ) -> async_graphql::Result<Option<AddReactionPayload>> {
        let by = caller(context)?;
        with_world(context, |world| {
            let target = match NodeId::parse(&input.subject_id).map(|node| node.kind) {
                Some(Kind::PullRequest) => {
                    ReactionTarget::Pull(node::pull(world, &input.subject_id)?)
                }
                Some(Kind::IssueComment) => {
                    let (home, id) = node::comment(world, &input.subject_id)?;
                    ReactionTarget::Comment(home, id)
                }
                _ => return Err(WorldError::NotFound),
            };
            let (reaction, _) = world.react(by, &target, input.content.into())?;
            Ok(Some(AddReactionPayload {
                reaction: Some(Reaction::of(&reaction)),
                client_mutation_id: input.client_mutation_id,
            }))
        })
    }

    async fn enqueue_pull_request(
        &self,
        context: &Context<'_>,
        input: EnqueuePullRequestInput,
    ) -> async_graphql::Result<Option<EnqueuePullRequestPayload>> {
        let by = caller(context)?;
        with_world(context, |world| {
            let pr = node::pull(world, &input.pull_request_id)?;
            let request = EnqueueRequest {
                expected_head: input.expected_head_oid.map(|oid| oid.0),
                jump: input.jump.unwrap_or_default(),
            };
            world.enqueue(by, &pr, &request)?;
            Ok(Some(EnqueuePullRequestPayload {
                merge_queue_entry: MergeQueueEntry::of(world.pull(&pr)?)?,
                client_mutation_id: input.client_mutation_id,
            }))
        })
    }

    async fn merge_pull_request(
        &self,
        context: &Context<'_>,
        input: MergePullRequestInput,
    ) -> async_graphql::Result<Option<MergePullRequestPayload>> {
        let by = caller(context)?;
        with_world(context, |world| {
            let pr = node::pull(world, &input.pull_request_id)?;
            let request = MergeRequest {
                method: input.merge_method.map(Into::into).unwrap_or_default(),
                expected_head: input.expected_head_oid.map(|oid| oid.0),
                headline: input.commit_headline,
                body: input.commit_body,
            };
            world.merge(by, &pr, &request)?;
            Ok(Some(MergePullRequestPayload {
                actor: Actor::of(world, by),
                pull_request: Some(PullRequest::of(world, &pr)?),
                client_mutation_id: input.client_mutation_id,
            }))
        })
    }
}
