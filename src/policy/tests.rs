//! Tables and properties of the decisions, over a pull request told as a story.
#![allow(clippy::unwrap_used, clippy::panic)]

mod approval;
mod clearance;
mod concern;
mod facts_table;
mod mergeability;
mod oracle;
mod owners;
mod signal;

use crate::outcome::{Reason, Refusal};

/// The reasons, and that each comes with a sentence that a person can act on.
fn reasons(refusals: &[Refusal]) -> Vec<Reason> {
    for refusal in refusals {
        assert!(refusal.sentence.ends_with(['.', ')']), "no sentence: {}", refusal.sentence);
        assert!(!refusal.sentence.contains('\n'), "more than a line: {}", refusal.sentence);
    }
    refusals.iter().map(|refusal| refusal.reason).collect()
}
