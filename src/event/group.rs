//! `merge_group`: which pull request a group of the merge queue is of.
//!
//! GitHub names a group's branch after its last pull request; nothing else of it is believed.

use serde::Deserialize;

use super::{BadPayload, Ignored, What, Wish, Wishes};
use crate::job::{Refresh, Scope};
use crate::names::{PrNumber, Sha};

/// What the names of the groups' branches begin with.
const GROUPS: &str = "refs/heads/gh-readonly-queue/";

pub(super) fn wishes(action: &str, payload: &[u8]) -> Result<Wishes, BadPayload> {
    #[derive(Deserialize)]
    struct Payload {
        merge_group: MergeGroup,
    }
    #[derive(Deserialize)]
    struct MergeGroup {
        head_sha: Sha,
        head_ref: String,
    }
    if action != "checks_requested" {
        return Ok(Err(Ignored::MergeGroup));
    }
    let Payload { merge_group } = serde_json::from_slice(payload)?;
    let Some(pr) = pull_request(&merge_group.head_ref) else {
        return Ok(Err(Ignored::MergeGroup));
    };
    let (scope, head) = (Scope::Group, Some(merge_group.head_sha));
    let what = What::Gate { scope, head, refresh: Refresh::No };
    Ok(Ok(vec![Wish { pr, what, check: None }]))
}

/// Of `…/<base branch>/pr-<number>-<commit>`: a branch may have slashes in its name.
fn pull_request(group: &str) -> Option<PrNumber> {
    let (_, last) = group.strip_prefix(GROUPS)?.rsplit_once('/')?;
    let (number, _) = last.strip_prefix("pr-")?.split_once('-')?;
    number.parse().ok().map(PrNumber)
}
