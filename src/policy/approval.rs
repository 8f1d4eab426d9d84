//! Who approved, and whether that is enough.
//!
//! Owns which review counts (BEHAVIOUR "Approval"). Refuses to know what is deployed for it.

use super::Policy;
use super::signal;
use super::words::quoted;
use crate::github::{Facts, Review, ReviewState};
use crate::names::Login;
use crate::project::{Approvals, OldHead, Project};

/// What the required approvers said of the current head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// The project names no required approvers.
    NotRequired,
    /// Enough of them approved.
    Given {
        /// Who, in the policy's order.
        by: Vec<Login>,
    },
    /// Not enough of them did.
    Missing {
        /// Who did, in the policy's order.
        by: Vec<Login>,
        /// How many are required in all, `by` included.
        needed: u32,
        /// Who else could: required approvers but the author and those in `by`.
        could: Vec<Login>,
        /// For people: what was found and why it does not count, such as
        /// "carol approved an older head (1a2b3c4)".
        notes: Vec<String>,
    },
}

/// Judges the reviews of `facts` by the policy of the base branch.
///
/// A review counts when a required approver other than the author gave it, it is the newest that
/// person gave with an opinion, it says yes, and it was given for the current head (or the project
/// accepts older ones). A valid `/deploy` of an approver counts as that person's approval.
pub fn decide(facts: &Facts, policy: &Policy, project: &Project) -> Approval {
    if policy.approvers.is_empty() {
        return Approval::NotRequired;
    }
    let commander = signal::commander(facts, policy, None).ok();
    let (mut by, mut could, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for approver in distinct(&policy.approvers) {
        let voice = Voice::of(approver, facts, project.approval_on_old_head);
        let commands = commander.as_ref() == Some(approver) && voice.leaves_room_for_a_command();
        match voice {
            Voice::Author => {}
            Voice::Approves => by.push(approver.clone()),
            _ if commands => by.push(approver.clone()),
            _ => could.push(approver.clone()),
        }
        if !by.contains(approver) {
            notes.extend(voice.note(approver));
        }
    }
    let needed = needed(project.approvals, by.len() + could.len());
    if by.len() >= needed as usize {
        return Approval::Given { by };
    }
    if by.len() + could.len() < needed as usize {
        notes.push(format!(
            "{needed} required approver(s) other than the author must approve, but the base \
             branch's configuration names only {}: add another there",
            by.len() + could.len(),
        ));
    }
    Approval::Missing { by, needed, could, notes }
}

/// How many must approve when `eligible` may. At least one, whatever is configured: an author who
/// is the only approver does not approve alone.
fn needed(approvals: Approvals, eligible: usize) -> u32 {
    match approvals {
        Approvals::AtLeast(count) => count.max(1),
        Approvals::All => u32::try_from(eligible).unwrap_or(u32::MAX).max(1),
    }
}

/// Each approver once, however often and in whatever case the configuration names them.
fn distinct(approvers: &[Login]) -> Vec<&Login> {
    let mut seen: Vec<&Login> = Vec::with_capacity(approvers.len());
    for approver in approvers {
        if !seen.contains(&approver) {
            seen.push(approver);
        }
    }
    seen
}

/// What one required approver's newest opinion comes to.
enum Voice<'a> {
    Author,
    Silent,
    Approves,
    ApprovedOlder(Option<&'a str>),
    AskedForChanges(OfHead),
    WasDismissed(OfHead),
}

/// Whether an opinion was about the head that is current now.
#[derive(PartialEq)]
enum OfHead {
    Current,
    Older,
}

impl<'a> Voice<'a> {
    fn of(approver: &Login, facts: &'a Facts, old_head: OldHead) -> Self {
        if facts.author.as_ref() == Some(approver) {
            return Self::Author;
        }
        let Some(review) = latest_opinion(&facts.reviews, approver) else {
            return Self::Silent;
        };
        let current = review.commit.as_ref() == Some(&facts.head);
        let of_head = if current { OfHead::Current } else { OfHead::Older };
        match review.state {
            ReviewState::Approved if current || old_head == OldHead::Accept => Self::Approves,
            ReviewState::Approved => Self::ApprovedOlder(review.commit.as_ref().map(|c| c.short())),
            ReviewState::ChangesRequested => Self::AskedForChanges(of_head),
            ReviewState::Dismissed => Self::WasDismissed(of_head),
            ReviewState::Commented | ReviewState::Pending => Self::Silent,
        }
    }

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

    fn note(&self, approver: &Login) -> Option<String> {
        let who = quoted(approver.as_str());
        match self {
            Self::Author => Some(format!("{who} is the author")),
            Self::Silent | Self::Approves => None,
            Self::ApprovedOlder(Some(head)) => {
                Some(format!("{who} approved an older head ({head})"))
            }
            Self::ApprovedOlder(None) => Some(format!("{who} approved a head that is gone")),
            Self::AskedForChanges(_) => Some(format!("{who} asked for changes")),
            Self::WasDismissed(_) => Some(format!("{who}'s review was dismissed")),
        }
    }
}

/// The newest review of `who` that has an opinion, or had one before it was dismissed.
fn latest_opinion<'a>(reviews: &'a [Review], who: &Login) -> Option<&'a Review> {
    reviews.iter().rev().find(|review| {
        review.author.as_ref() == Some(who)
            && matches!(
                review.state,
                ReviewState::Approved | ReviewState::ChangesRequested | ReviewState::Dismissed
            )
    })
}
