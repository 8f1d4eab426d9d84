//! What people said of a pull request, and what of it stands for its current head.
//!
//! Owns which review of a person counts, whoever that is (BEHAVIOUR "Approval"). Refuses to know
//! whose approval is asked for.

use super::Policy;
use super::signal;
use super::words::quoted;
use crate::github::{Facts, Review, ReviewState};
use crate::names::Login;
use crate::project::{OldHead, Project};

/// All that was said.
pub(super) struct Voices<'a> {
    facts: &'a Facts,
    old_head: OldHead,
    /// Who has commanded a deploy, being a required approver.
    commander: Option<Login>,
}

/// What one person's newest opinion comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice<'a> {
    Author,
    Silent,
    Approves(By<'a>),
    ApprovedOlder(Option<&'a str>),
    AskedForChanges(OfHead),
    WasDismissed(OfHead),
}

/// How somebody approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By<'a> {
    Review(&'a Review),
    Command,
}

/// Whether an opinion was about the head that is current now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfHead {
    Current,
    Older,
}

impl<'a> Voices<'a> {
    /// What was said, by the policy of the base branch.
    pub(super) fn of(facts: &'a Facts, policy: &Policy, project: &Project) -> Self {
        let commander = signal::commander(facts, policy, None).ok();
        Self { facts, old_head: project.approval_on_old_head, commander }
    }

    /// What somebody's newest opinion comes to. A valid `/deploy` of a required approver counts as
    /// that person's approval.
    pub(super) fn voice(&self, who: &Login) -> Voice<'a> {
        let reviewed = self.reviewed(who);
        let commands = self.commander.as_ref() == Some(who) && reviewed.leaves_room_for_a_command();
        match reviewed {
            Voice::Approves(_) => reviewed,
            _ if commands => Voice::Approves(By::Command),
            _ => reviewed,
        }
    }

    /// Everybody who has an opinion, in the order of the newest of each; who commands comes last.
    pub(super) fn speakers(&self) -> Vec<&Login> {
        let reviews = self.facts.reviews.iter().rev().filter(|review| is_opinion(review));
        let newest_first =
            self.commander.iter().chain(reviews.filter_map(|review| review.author.as_ref()));
        let mut speakers: Vec<&Login> = Vec::new();
        for speaker in newest_first {
            if !speakers.contains(&speaker) {
                speakers.push(speaker);
            }
        }
        speakers.reverse();
        speakers
    }

    /// Why what somebody said does not count, for people.
    pub(super) fn note(&self, who: &Login) -> Option<String> {
        let name = quoted(who.as_str());
        match self.voice(who) {
            Voice::Author => Some(format!("{name} is the author")),
            Voice::Silent | Voice::Approves(_) => None,
            Voice::ApprovedOlder(Some(head)) => {
                Some(format!("{name} approved an older head ({head})"))
            }
            Voice::ApprovedOlder(None) => Some(format!("{name} approved a head that is gone")),
            Voice::AskedForChanges(_) => Some(format!("{name} asked for changes")),
            Voice::WasDismissed(_) => Some(format!("{name}'s review was dismissed")),
        }
    }

    fn reviewed(&self, who: &Login) -> Voice<'a> {
        if self.facts.author.as_ref() == Some(who) {
            return Voice::Author;
        }
        let Some(review) = latest_opinion(&self.facts.reviews, who) else {
            return Voice::Silent;
        };
        let is_current = review.commit.as_ref() == Some(&self.facts.head);
        let of_head = if is_current { OfHead::Current } else { OfHead::Older };
        match review.state {
            ReviewState::Approved if is_current || self.old_head == OldHead::Accept => {
                Voice::Approves(By::Review(review))
            }
            ReviewState::Approved => {
                Voice::ApprovedOlder(review.commit.as_ref().map(|commit| commit.short()))
            }
            ReviewState::ChangesRequested => Voice::AskedForChanges(of_head),
            ReviewState::Dismissed => Voice::WasDismissed(of_head),
            ReviewState::Commented | ReviewState::Pending => Voice::Silent,
        }
    }
}

impl Voice<'_> {
    /// Reviews carry no time here, so a command cannot be told to be newer than a no to this very
    /// head: then the no stands. A no to an older head was answered by the push that came after.
    fn leaves_room_for_a_command(&self) -> bool {
        !matches!(
            self,
            Self::Author
                | Self::AskedForChanges(OfHead::Current)
                | Self::WasDismissed(OfHead::Current)
        )
    }
}

/// The newest review of `who` that has an opinion, or had one before it was dismissed.
fn latest_opinion<'a>(reviews: &'a [Review], who: &Login) -> Option<&'a Review> {
    let is_theirs = |review: &&Review| review.author.as_ref() == Some(who) && is_opinion(review);
    reviews.iter().rev().find(is_theirs)
}

fn is_opinion(review: &Review) -> bool {
    let state = review.state;
    matches!(state, ReviewState::Approved | ReviewState::ChangesRequested | ReviewState::Dismissed)
}
