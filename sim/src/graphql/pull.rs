//! Pull requests and their reviews, commits and files.

#![allow(clippy::too_many_arguments, reason = "the arguments are GitHub's own")]

use async_graphql::{ComplexObject, Context, ID, SimpleObject};

use super::comment::{Actor, IssueComment};
use super::commit::{Commit, Ref};
use super::connection::{Connection, Window};
use super::queue::{MergeQueue, MergeQueueEntry};
use super::repository::Repository;
use super::scalar::{DateTime, GitObjectID, Uri};
use super::words::{
    MergeStateStatus, MergeableState, PatchStatus, PullRequestReviewDecision,
    PullRequestReviewState, PullRequestState,
};
use super::{caller, with_world};
use crate::world::{self, Kind, NodeId, Pr, PullState, World, WorldError};

/// `PullRequest`: a copy of its plain fields, taken when the query reached it.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct PullRequest {
    pub(crate) id: ID,
    database_id: u64,
    number: u64,
    title: String,
    body: String,
    state: PullRequestState,
    is_draft: bool,
    merged: bool,
    closed: bool,
    merged_at: Option<DateTime>,
    created_at: DateTime,
    updated_at: DateTime,
    is_cross_repository: bool,
    head_ref_name: String,
    head_ref_oid: GitObjectID,
    base_ref_name: String,
    base_ref_oid: GitObjectID,
    author: Option<Actor>,
    is_in_merge_queue: bool,
    is_merge_queue_enabled: bool,
    review_decision: Option<PullRequestReviewDecision>,
    url: Uri,
    #[graphql(skip)]
    pr: Pr,
    #[graphql(skip)]
    pull: world::PullRequest,
    /// Mergeability is read at most once per object, so that its two fields agree; reading it is
    /// what makes GitHub compute it.
    #[graphql(skip)]
    merge_state: std::sync::OnceLock<(world::Mergeable, world::MergeState)>,
}

/// `PullRequestReview`.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct PullRequestReview {
    id: ID,
    database_id: u64,
    state: PullRequestReviewState,
    author: Option<Actor>,
    body: String,
    submitted_at: DateTime,
    author_can_push_to_repository: bool,
    #[graphql(skip)]
    pr: Pr,
    #[graphql(skip)]
    commit_oid: crate::git::Oid,
}

/// `PullRequestCommit`.
#[derive(SimpleObject)]
pub(crate) struct PullRequestCommit {
    commit: Commit,
}

/// `PullRequestChangedFile`.
#[derive(SimpleObject)]
pub(crate) struct PullRequestChangedFile {
    path: String,
    change_type: PatchStatus,
    additions: u64,
    deletions: u64,
}

impl PullRequest {
    pub(crate) fn of(world: &World, pr: &Pr) -> Result<Self, WorldError> {
        let (home, pull) = world.pull(pr)?;
        Ok(Self {
            id: NodeId::new(Kind::PullRequest, pull.id).to_string().into(),
            database_id: pull.id,
            number: pull.number,
            title: pull.title.clone(),
            body: pull.body.clone(),
            state: pull.state.into(),
            is_draft: pull.draft,
            merged: pull.merged.is_some(),
            closed: pull.state != PullState::Open,
            merged_at: pull.merged.as_ref().map(|merged| DateTime(merged.at)),
            created_at: DateTime(pull.created_at),
            updated_at: DateTime(pull.updated_at),
            is_cross_repository: pull.head_repository.is_some(),
            head_ref_name: pull.head.clone(),
            head_ref_oid: (&pull.head_oid).into(),
            base_ref_name: pull.base.clone(),
            base_ref_oid: (&pull.base_oid).into(),
            author: Actor::by_login(world, &pull.author),
            is_in_merge_queue: pull.queued.is_some(),
            is_merge_queue_enabled: home.merge_queues.contains_key(&pull.base),
            review_decision: world.review_decision(home, pull).map(Into::into),
            url: Uri(format!("{}/{}/pull/{}", world.url(), home.name, pull.number)),
            pr: Pr::new(home.name.clone(), pull.number),
            pull: pull.clone(),
            merge_state: std::sync::OnceLock::new(),
        })
    }

    fn known_merge_state(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<(world::Mergeable, world::MergeState)> {
        if let Some(state) = self.merge_state.get() {
            return Ok(*state);
        }
        let state = with_world(context, |world| world.read_merge_state(&self.pr))?;
        Ok(*self.merge_state.get_or_init(|| state))
    }

    fn may_push(&self, world: &World, review: &world::Review) -> bool {
        let home = world.repository(&self.pr.repository).ok();
        let author = review.author.as_deref().filter(|login| world.user(login).is_some());
        home.zip(author).is_some_and(|(home, login)| home.role_of(login) >= world::Role::Write)
    }

    fn shown<'a>(
        &self,
        world: &World,
        reviews: impl Iterator<Item = &'a world::Review>,
    ) -> Vec<PullRequestReview> {
        reviews
            .map(|review| PullRequestReview {
                id: NodeId::new(Kind::Review, review.id).to_string().into(),
                database_id: review.id,
                state: review.state.into(),
                author: review.author.as_deref().and_then(|it| Actor::by_login(world, it)),
                body: review.body.clone(),
                submitted_at: DateTime(review.submitted_at),
                author_can_push_to_repository: self.may_push(world, review),
                pr: self.pr.clone(),
                commit_oid: review.commit.clone(),
            })
            .collect()
    }
}

#[ComplexObject]
impl PullRequestReview {
    async fn commit(&self, context: &Context<'_>) -> async_graphql::Result<Option<Commit>> {
        with_world(context, |world| {
            Commit::of(world.repository(&self.pr.repository)?, &self.commit_oid).map(Some)
        })
    }
}

#[ComplexObject]
impl PullRequest {
    async fn mergeable(&self, context: &Context<'_>) -> async_graphql::Result<MergeableState> {
        Ok(self.known_merge_state(context)?.0.into())
    }

    async fn merge_state_status(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<MergeStateStatus> {
        Ok(self.known_merge_state(context)?.1.into())
    }

    async fn merge_commit(&self, context: &Context<'_>) -> async_graphql::Result<Option<Commit>> {
        let Some(merged) = &self.pull.merged else { return Ok(None) };
        with_world(context, |world| {
            Commit::of(world.repository(&self.pr.repository)?, &merged.commit).map(Some)
        })
    }

    async fn merge_queue(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<Option<MergeQueue>> {
        with_world(context, |world| Ok(MergeQueue::of(world.pull(&self.pr)?)))
    }

    async fn merge_queue_entry(
        &self,
        context: &Context<'_>,
    ) -> async_graphql::Result<Option<MergeQueueEntry>> {
        with_world(context, |world| MergeQueueEntry::of(world.pull(&self.pr)?))
    }

    async fn repository(&self, context: &Context<'_>) -> async_graphql::Result<Repository> {
        with_world(context, |world| {
            Ok(Repository::of(world, world.repository(&self.pr.repository)?))
        })
    }

    async fn base_ref(&self, context: &Context<'_>) -> async_graphql::Result<Option<Ref>> {
        with_world(context, |world| {
            Ok(Ref::branch(world.repository(&self.pr.repository)?, &self.pull.base))
        })
    }

    /// Null for a fork here: its branches are not in this repository.
    async fn head_ref(&self, context: &Context<'_>) -> async_graphql::Result<Option<Ref>> {
        if self.pull.head_repository.is_some() {
            return Ok(None);
        }
        with_world(context, |world| {
            Ok(Ref::branch(world.repository(&self.pr.repository)?, &self.pull.head))
        })
    }

    async fn reviews(
        &self,
        context: &Context<'_>,
        states: Option<Vec<PullRequestReviewState>>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<PullRequestReview>> {
        let wanted = self.pull.reviews.iter().filter(|review| {
            states.as_ref().is_none_or(|states| states.contains(&review.state.into()))
        });
        let reviews = with_world(context, |world| Ok(self.shown(world, wanted)))?;
        Window { first, last, after }.cut("reviews", reviews)
    }

    async fn latest_opinionated_reviews(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<PullRequestReview>> {
        let latest = self.pull.latest_opinions();
        let reviews = with_world(context, |world| Ok(self.shown(world, latest)))?;
        Window { first, last, after }.cut("latestOpinionatedReviews", reviews)
    }

    async fn comments(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<IssueComment>> {
        let viewer = caller(context)?;
        let comments = with_world(context, |world| {
            let home = world.repository(&self.pr.repository)?;
            let comments = home.comments_of(self.pr.number);
            Ok(comments.map(|one| IssueComment::of(world, &home.name, one, viewer)).collect())
        })?;
        Window { first, last, after }.cut("comments", comments)
    }

    /// The commits of the head that the base lacks, oldest first.
    async fn commits(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Connection<PullRequestCommit>> {
        let commits = with_world(context, |world| {
            let home = world.repository(&self.pr.repository)?;
            let oids = home.git.commits_between(&self.pull.base_oid, &self.pull.head_oid)?;
            oids.iter()
                .map(|oid| Ok(PullRequestCommit { commit: Commit::of(home, oid)? }))
                .collect()
        })?;
        Window { first, last, after }.cut("commits", commits)
    }

    async fn files(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        last: Option<i32>,
        after: Option<String>,
    ) -> async_graphql::Result<Option<Connection<PullRequestChangedFile>>> {
        let files = with_world(context, |world| {
            let files = world.changed_files(&self.pr)?.into_iter();
            Ok(files
                .map(|file| PullRequestChangedFile {
                    path: file.path,
                    change_type: file.change.into(),
                    additions: file.additions,
                    deletions: file.deletions,
                })
                .collect())
        })?;
        Window { first, last, after }.cut("files", files).map(Some)
    }

    async fn changed_files(&self, context: &Context<'_>) -> async_graphql::Result<usize> {
        with_world(context, |world| Ok(world.changed_files(&self.pr)?.len()))
    }
}
