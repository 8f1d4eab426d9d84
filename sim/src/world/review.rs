//! Reviews of a pull request.

use std::time::SystemTime;

use super::{Identity, Pr, PullState, Role, World, WorldError};
use crate::git::Oid;
use crate::shape;

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReviewState {
    /// Approved.
    Approved,
    /// Changes requested.
    ChangesRequested,
    /// Neither.
    Commented,
    /// An opinion that no longer counts.
    Dismissed,
}

impl ReviewState {
    /// Whether GitHub calls it opinionated.
    #[must_use]
    pub fn is_opinion(self) -> bool {
        self != Self::Commented
    }

    /// As webhooks write it.
    #[must_use]
    pub fn lower_case(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::ChangesRequested => "changes_requested",
            Self::Commented => "commented",
            Self::Dismissed => "dismissed",
        }
    }

    /// As REST and GraphQL write it.
    #[must_use]
    pub fn upper_case(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// One submitted review.
#[derive(Clone, Debug)]
pub struct Review {
    /// Database id, ascending in time.
    pub id: u64,
    /// The reviewer's login; the account may be gone by now.
    pub author: Option<String>,
    /// What it says.
    pub state: ReviewState,
    /// What it says, in words.
    pub body: String,
    /// The head that it was given for.
    pub commit: Oid,
    /// When.
    pub submitted_at: SystemTime,
}

impl World {
    /// Submits a review of the present head.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when authors judge their own work, or it is not open.
    pub fn review(
        &mut self,
        by: &Identity,
        pr: &Pr,
        state: ReviewState,
    ) -> Result<u64, WorldError> {
        let (id, submitted_at, author) = (self.fresh_id(), self.now(), self.login(by));
        let pull = self.pull_mut(pr)?;
        if pull.state != PullState::Open {
            return Err(WorldError::Unprocessable("the pull request is not open".to_owned()));
        }
        if state.is_opinion() && author.eq_ignore_ascii_case(&pull.author) {
            let verb = if state == ReviewState::Approved { "approve" } else { "judge" };
            return Err(WorldError::Unprocessable(format!("Can not {verb} your own pull request")));
        }
        pull.reviews.push(Review {
            id,
            author: Some(author),
            state,
            body: String::new(),
            commit: pull.head_oid.clone(),
            submitted_at,
        });
        self.emit_review(by, pr, id, "submitted")?;
        Ok(id)
    }

    /// Takes an opinion out of the count.
    ///
    /// # Errors
    /// [`WorldError::Forbidden`] without write access, [`WorldError::NotFound`].
    pub fn dismiss(&mut self, by: &Identity, pr: &Pr, review: u64) -> Result<(), WorldError> {
        let (repository, _) = self.pull(pr)?;
        self.require(repository, by, Role::Write)?;
        self.set_review_state(by, pr, review, ReviewState::Dismissed)
    }

    /// Rewrites the words of a review; its state stays.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn edit_review(
        &mut self,
        by: &Identity,
        pr: &Pr,
        review: u64,
        body: &str,
    ) -> Result<(), WorldError> {
        let old = std::mem::replace(&mut self.review_mut(pr, review)?.body, body.to_owned());
        let mut payload = self.review_payload(pr, review)?;
        payload["changes"] = serde_json::json!({"body": {"from": old}});
        self.emit(by, &pr.repository, ("pull_request_review", Some("edited")), payload)
    }

    pub(super) fn set_review_state(
        &mut self,
        by: &Identity,
        pr: &Pr,
        review: u64,
        state: ReviewState,
    ) -> Result<(), WorldError> {
        self.review_mut(pr, review)?.state = state;
        self.emit_review(by, pr, review, "dismissed")
    }

    fn review_mut(&mut self, pr: &Pr, review: u64) -> Result<&mut Review, WorldError> {
        let pull = self.pull_mut(pr)?;
        pull.reviews.iter_mut().find(|one| one.id == review).ok_or(WorldError::NotFound)
    }

    fn emit_review(
        &mut self,
        by: &Identity,
        pr: &Pr,
        review: u64,
        action: &str,
    ) -> Result<(), WorldError> {
        let payload = self.review_payload(pr, review)?;
        self.emit(by, &pr.repository, ("pull_request_review", Some(action)), payload)
    }

    fn review_payload(&self, pr: &Pr, review: u64) -> Result<serde_json::Value, WorldError> {
        let (repository, pull) = self.pull(pr)?;
        let review =
            pull.reviews.iter().find(|one| one.id == review).ok_or(WorldError::NotFound)?;
        shape::review_event(self, repository, pull, review)
    }
}
