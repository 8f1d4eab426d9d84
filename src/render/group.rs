//! What our check runs say on a group of GitHub's merge queue.
//!
//! Owns the words. Refuses to know which group may be merged.

use super::checks::Said;
use super::markdown::{code, sentence};
use crate::github::{Check, CheckStatus};
use crate::names::Sha;
use crate::outcome::Conclusion;

/// Prod runs what the group adds.
pub fn is_in_prod(head: &Sha) -> Said {
    let summary = format!("Prod runs {}: the merge queue may merge it.", code(head.short()));
    Said::concluded(Conclusion::Success, "Deployed, may be merged", &summary)
}

/// Somebody put it into the queue, and it was not deployed.
pub fn is_not_in_prod(head: &Sha) -> Said {
    let summary = format!(
        "Prod does not run {}, so the base branch must not have it. sluice puts a pull request \
         into the merge queue itself, once it has deployed it: see the deploy's check on the pull \
         request for what that waits for.",
        code(head.short()),
    );
    Said::concluded(Conclusion::Failure, "Not deployed, must not be merged", &summary)
}

/// What it is on top of must not be merged.
pub fn on_what_was_refused() -> Said {
    let why = "The group before it in the merge queue must not be merged, and it contains that.";
    Said::concluded(Conclusion::Failure, "On top of what must not be merged", why)
}

/// Nobody has said for a long while what becomes of what it is on top of.
pub fn on_what_is_unknown() -> Said {
    let why = "The group before it in the merge queue has no result, and it contains that.";
    Said::concluded(Conclusion::Failure, "On top of what was not judged", why)
}

/// Where nothing is ever deployed from pull requests, the head's own result counts.
pub fn as_on_the_head(check: Option<&Check>) -> Said {
    match check.map(|check| (check.status, &check.title)) {
        Some((CheckStatus::Completed(conclusion), title)) => {
            Said::concluded(conclusion, sentence(title), "As on the head of the pull request.")
        }
        _ => {
            let why = "It has no result on the head of the pull request.";
            Said::concluded(Conclusion::Failure, "Not done", why)
        }
    }
}
