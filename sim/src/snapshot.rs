//! A pull request as a story looks at it: a copy, free of locks.

use crate::git::Oid;
use crate::world::{
    CheckConclusion, CheckStatus, CommitStatus, Identity, Pr, PullState, Reaction, ReactionContent,
    World, WorldError,
};

/// A pull request at one instant.
#[derive(Clone, Debug)]
pub struct PrSnapshot {
    /// Open, closed or merged.
    pub state: PullState,
    /// The commit at its head.
    pub head: Oid,
    /// The commit it was merged as.
    pub merged_as: Option<Oid>,
    /// The newest check run of each name on the head, in order of creation.
    pub checks: Vec<CheckSnapshot>,
    /// The newest status of each context on the head, in order of creation.
    pub statuses: Vec<CommitStatus>,
    /// The conversation, oldest first.
    pub comments: Vec<CommentSnapshot>,
    /// Reactions to the description.
    pub reactions: Vec<(Identity, ReactionContent)>,
}

/// A check run at one instant.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of `CheckRun`")]
pub struct CheckSnapshot {
    pub id: u64,
    pub name: String,
    pub status: CheckStatus,
    pub conclusion: Option<CheckConclusion>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    pub external_id: Option<String>,
    pub details_url: Option<String>,
}

/// A comment at one instant.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of `Comment`")]
pub struct CommentSnapshot {
    pub id: u64,
    pub author: Identity,
    pub body: String,
    pub reactions: Vec<(Identity, ReactionContent)>,
}

impl PrSnapshot {
    /// Copies a pull request out of the world.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn take(world: &World, pr: &Pr) -> Result<Self, WorldError> {
        let (home, pull) = world.pull(pr)?;
        let checks = home.latest_runs(&pull.head_oid).into_iter().map(|run| CheckSnapshot {
            id: run.id,
            name: run.name.clone(),
            status: run.status,
            conclusion: run.conclusion,
            title: run.output.title.clone(),
            summary: run.output.summary.clone(),
            text: run.output.text.clone(),
            external_id: run.external_id.clone(),
            details_url: run.details_url.clone(),
        });
        let comments = home.comments_of(pr.number).map(|comment| CommentSnapshot {
            id: comment.id,
            author: comment.author.clone(),
            body: comment.body.clone(),
            reactions: reactions(&comment.reactions),
        });
        Ok(Self {
            state: pull.state,
            head: pull.head_oid.clone(),
            merged_as: pull.merged.as_ref().map(|merged| merged.commit.clone()),
            checks: checks.collect(),
            statuses: home.latest_statuses(&pull.head_oid).into_iter().cloned().collect(),
            comments: comments.collect(),
            reactions: reactions(&pull.reactions),
        })
    }

    /// The check run of that name.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&CheckSnapshot> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// The status of that context.
    #[must_use]
    pub fn status(&self, context: &str) -> Option<&CommitStatus> {
        self.statuses.iter().find(|status| status.context == context)
    }

    /// How the check of that name ended; `None` while it has not.
    #[must_use]
    pub fn conclusion(&self, name: &str) -> Option<CheckConclusion> {
        self.check(name).and_then(|check| check.conclusion)
    }

    /// Whether it was merged.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        self.state == PullState::Merged
    }
}

fn reactions(reactions: &[Reaction]) -> Vec<(Identity, ReactionContent)> {
    reactions.iter().map(|one| (one.by.clone(), one.content)).collect()
}
