//! Who approved, and whether that is enough.
//!
//! Owns which review counts (BEHAVIOUR "Approval"). Refuses to know what is deployed for it.

use super::Policy;
use super::voice::{Voice, Voices};
use crate::github::Facts;
use crate::names::Login;
use crate::project::{Approvals, Project};

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
    let voices = Voices::of(facts, policy, project);
    let (mut by, mut could, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for approver in distinct(&policy.approvers) {
        match voices.voice(approver) {
            Voice::Author => {}
            Voice::Approves(_) => by.push(approver.clone()),
            _ => could.push(approver.clone()),
        }
        notes.extend(voices.note(approver));
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
