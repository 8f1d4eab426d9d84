//! Pull requests: opened, pushed to, closed, reopened, made ready, retargeted.

mod open;

use std::time::SystemTime;

pub use open::PullSpec;

use super::mergeability::Mergeability;
use super::{
    Identity, Merged, QueueEntry, Reaction, Repository, RepositoryName, Review, ReviewState, Role,
    World, WorldError,
};
use crate::git::{ChangedFile, Oid};
use crate::shape;

/// Names a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pr {
    /// The repository it asks to change.
    pub repository: RepositoryName,
    /// Its number there.
    pub number: u64,
}

impl Pr {
    /// The pull request of that number.
    #[must_use]
    pub fn new(repository: RepositoryName, number: u64) -> Self {
        Self { repository, number }
    }
}

/// Whether a pull request can still be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullState {
    /// It can.
    Open,
    /// It was closed without a merge.
    Closed,
    /// It was merged.
    Merged,
}

/// One pull request.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// Database id.
    pub id: u64,
    /// Number within the repository, shared with issues.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its description.
    pub body: String,
    /// Who opened it.
    pub author: String,
    /// Open, closed or merged.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The branch it is from, in `head_repository`.
    pub head: String,
    /// The commit at its head.
    pub head_oid: Oid,
    /// The fork it is from, or `None` when it is from the repository itself.
    pub head_repository: Option<RepositoryName>,
    /// The branch it goes into.
    pub base: String,
    /// The tip of the base when the pull request was last opened, pushed to or retargeted. As on
    /// GitHub, *not* the present tip.
    pub base_oid: Oid,
    /// When it was opened.
    pub created_at: SystemTime,
    /// When anything about it last changed.
    pub updated_at: SystemTime,
    /// When it was closed or merged.
    pub closed_at: Option<SystemTime>,
    /// How it was merged.
    pub merged: Option<Merged>,
    /// Its reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Where it is in the merge queue, if it is in one.
    pub queued: Option<QueueEntry>,
    /// Reactions to its description.
    pub reactions: Vec<Reaction>,
    /// How much it changes.
    pub size: Size,
    pub(super) mergeability: Mergeability,
}

/// How much a pull request changes, seen from its merge base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "GitHub's own words")]
pub struct Size {
    pub commits: usize,
    pub files: usize,
    pub additions: u64,
    pub deletions: u64,
}

impl PullRequest {
    /// The latest review with an opinion of each reviewer, as GitHub counts them: a comment does
    /// not replace an opinion, a dismissed one stays as dismissed.
    pub fn latest_opinions(&self) -> impl Iterator<Item = &Review> {
        let opinions = || self.reviews.iter().filter(|review| review.state.is_opinion());
        opinions().filter(move |review| {
            !opinions().any(|other| other.author == review.author && other.id > review.id)
        })
    }

    pub(super) fn forget_mergeability(&mut self) {
        self.mergeability = Mergeability::Unknown;
    }
}

impl Repository {
    /// How much a head changes that is asked into a base.
    fn size_of(&self, base: &Oid, head: &Oid) -> Result<Size, WorldError> {
        let files = self.git.changed_files(base, head)?;
        Ok(Size {
            commits: self.git.commits_between(base, head)?.len(),
            files: files.len(),
            additions: files.iter().map(|file| file.additions).sum(),
            deletions: files.iter().map(|file| file.deletions).sum(),
        })
    }

    /// How many pull requests are open.
    pub(crate) fn open_pulls(&self) -> usize {
        self.pulls.values().filter(|pull| pull.state == PullState::Open).count()
    }
}

impl World {
    /// The head of an open pull request moved: the rest of the world follows.
    pub(super) fn head_moved(
        &mut self,
        by: &Identity,
        pr: &Pr,
        to: &Oid,
    ) -> Result<(), WorldError> {
        let now = self.now();
        self.dequeue(pr)?;
        let (repository, pull) = self.pull(pr)?;
        repository.git.update_ref(&format!("refs/pull/{}/head", pr.number), to)?;
        let base_oid = repository.tip(&pull.base)?.clone();
        let dismiss = repository.protection.get(&pull.base).is_some_and(|rule| rule.dismiss_stale);
        let before = pull.head_oid.clone();
        let size = repository.size_of(&base_oid, to)?;
        let pull = self.pull_mut(pr)?;
        pull.size = size;
        pull.head_oid = to.clone();
        pull.base_oid = base_oid;
        pull.updated_at = now;
        pull.forget_mergeability();
        let approvals = pull.reviews.iter().filter(|review| review.state == ReviewState::Approved);
        let approvals: Vec<u64> = approvals.map(|review| review.id).collect();
        let (repository, pull) = self.pull(pr)?;
        let mut payload = shape::pull_event(self, repository, pull, "synchronize")?;
        payload["before"] = before.as_str().into();
        payload["after"] = to.as_str().into();
        self.emit(by, &pr.repository, ("pull_request", Some("synchronize")), payload)?;
        if dismiss {
            for review in approvals {
                self.set_review_state(by, pr, review, ReviewState::Dismissed)?;
            }
        }
        self.request_suite(by, &pr.repository, to)
    }

    /// Closes a pull request without merging it.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when it is not open.
    pub fn close(&mut self, by: &Identity, pr: &Pr) -> Result<(), WorldError> {
        self.transition(by, pr, (PullState::Open, PullState::Closed, "closed"))
    }

    /// Opens a closed pull request again.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when it is not closed.
    pub fn reopen(&mut self, by: &Identity, pr: &Pr) -> Result<(), WorldError> {
        self.transition(by, pr, (PullState::Closed, PullState::Open, "reopened"))
    }

    fn transition(
        &mut self,
        by: &Identity,
        pr: &Pr,
        (from, to, action): (PullState, PullState, &str),
    ) -> Result<(), WorldError> {
        let now = self.now();
        self.allow_change(by, pr)?;
        self.dequeue(pr)?;
        let pull = self.pull_mut(pr)?;
        if pull.state != from {
            return Err(WorldError::Unprocessable(format!("the pull request cannot be {action}")));
        }
        pull.state = to;
        pull.closed_at = (to != PullState::Open).then_some(now);
        pull.forget_mergeability();
        self.emit_pull(by, pr, action)
    }

    /// Marks a draft as ready for review.
    ///
    /// # Errors
    /// [`WorldError::NotFound`], [`WorldError::Forbidden`].
    pub fn mark_ready(&mut self, by: &Identity, pr: &Pr) -> Result<(), WorldError> {
        self.allow_change(by, pr)?;
        self.pull_mut(pr)?.draft = false;
        self.emit_pull(by, pr, "ready_for_review")
    }

    /// Points a pull request at another base branch.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such branch.
    pub fn retarget(&mut self, by: &Identity, pr: &Pr, base: &str) -> Result<(), WorldError> {
        self.allow_change(by, pr)?;
        self.dequeue(pr)?;
        let (repository, pull) = self.pull(pr)?;
        let tip = repository.tip(base)?.clone();
        let size = repository.size_of(&tip, &pull.head_oid)?;
        let pull = self.pull_mut(pr)?;
        pull.size = size;
        let old = std::mem::replace(&mut pull.base, base.to_owned());
        let old_oid = std::mem::replace(&mut pull.base_oid, tip);
        pull.forget_mergeability();
        let (repository, pull) = self.pull(pr)?;
        let mut payload = shape::pull_event(self, repository, pull, "edited")?;
        payload["changes"] = serde_json::json!({
            "base": {"ref": {"from": old}, "sha": {"from": old_oid.as_str()}}
        });
        self.emit(by, &pr.repository, ("pull_request", Some("edited")), payload)
    }

    /// The files that a pull request changes, seen from its merge base.
    ///
    /// # Errors
    /// [`WorldError::NotFound`], [`WorldError::Git`].
    pub fn changed_files(&self, pr: &Pr) -> Result<Vec<ChangedFile>, WorldError> {
        let (repository, pull) = self.pull(pr)?;
        Ok(repository.git.changed_files(&pull.base_oid, &pull.head_oid)?)
    }

    fn allow_change(&self, by: &Identity, pr: &Pr) -> Result<(), WorldError> {
        let (repository, pull) = self.pull(pr)?;
        if self.login(by).eq_ignore_ascii_case(&pull.author) {
            return Ok(());
        }
        self.require(repository, by, Role::Triage)
    }

    pub(super) fn emit_pull(
        &mut self,
        by: &Identity,
        pr: &Pr,
        action: &str,
    ) -> Result<(), WorldError> {
        let (repository, pull) = self.pull(pr)?;
        let payload = shape::pull_event(self, repository, pull, action)?;
        self.emit(by, &pr.repository, ("pull_request", Some(action)), payload)
    }
}
