//! The merge queue of a branch, and who waits in it.

use async_graphql::{Enum, ID, SimpleObject};

use super::commit::Commit;
use super::scalar::DateTime;
use crate::world::{PullRequest, Repository, WorldError};

/// `MergeQueue`.
#[derive(SimpleObject)]
pub(crate) struct MergeQueue {
    id: ID,
}

impl MergeQueue {
    /// The queue of a pull request's base branch, if it has one.
    pub(crate) fn of((home, pull): (&Repository, &PullRequest)) -> Option<Self> {
        let id = || format!("MQ_{}_{}", home.id, pull.base);
        home.merge_queues.contains_key(&pull.base).then(|| Self { id: id().into() })
    }
}

/// `MergeQueueEntryState`.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeQueueEntryState {
    AwaitingChecks,
    Locked,
    Mergeable,
    Queued,
    Unmergeable,
}

/// `MergeQueueEntry`.
#[derive(SimpleObject)]
pub(crate) struct MergeQueueEntry {
    id: ID,
    state: MergeQueueEntryState,
    position: usize,
    enqueued_at: DateTime,
    head_commit: Option<Commit>,
    base_commit: Option<Commit>,
}

impl MergeQueueEntry {
    pub(crate) fn of(
        (home, pull): (&Repository, &PullRequest),
    ) -> Result<Option<Self>, WorldError> {
        let Some(entry) = &pull.queued else { return Ok(None) };
        let queue = home.merge_queues.get(&pull.base).into_iter().flatten();
        let ahead = queue.take_while(|number| **number != pull.number).count();
        Ok(Some(Self {
            id: format!("MQE_{}", pull.id).into(),
            state: MergeQueueEntryState::AwaitingChecks,
            position: ahead + 1,
            enqueued_at: DateTime(entry.at),
            head_commit: Some(Commit::of(home, &entry.group)?),
            base_commit: Some(Commit::of(home, &entry.onto)?),
        }))
    }
}
