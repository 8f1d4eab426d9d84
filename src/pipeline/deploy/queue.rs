//! The merge where the base branch takes pull requests through GitHub's merge queue only.
//!
//! Prod is kept meanwhile: nobody else deploys, and the queue lets nothing of the project pass that
//! prod does not run (see [`group`](crate::pipeline::group)). A worker that dies leaves the pull
//! request in the queue, where the next try finds it.

use std::time::Duration;

use crate::github::{GitHubError, Merge, MergeOutcome, MergedCommit, Via};
use crate::lease::hold::Lease;
use crate::observe::What;
use crate::outcome::Stop;
use crate::pipeline::cx::Cx;
use crate::pipeline::deploy::clear::Desk;
use crate::pipeline::deploy::merge::NotMerged;
use crate::render::deploy;

/// The queue is asked first after this long, then after twice as long each time, up to
/// [`ASK_AT_MOST`]. It is waited for as long as a deploy may take.
const ASK_FIRST: Duration = Duration::from_secs(1);
const ASK_AT_MOST: Duration = Duration::from_secs(30);

/// Puts the pull request into the queue and waits until it has been merged, the head has moved, or
/// the queue has refused it for as long as a merge may be refused.
pub(crate) async fn merged(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    merge: &Merge,
    (lease, is_required): (&Lease, bool),
) -> Result<Result<MergedCommit, NotMerged>, Stop> {
    let clock = &cx.deps.clock;
    let (mut via, mut pause, mut refused_since) = (Via::Queue, ASK_FIRST, None);
    loop {
        if !lease.is_standing() {
            return Err(Stop::Interrupted("the lease was lost before the merge".to_owned()));
        }
        let refused = match cx.deps.github.merge(&Merge { via, ..merge.clone() }).await {
            Ok(MergeOutcome::Merged(commit)) => return Ok(Ok(commit)),
            Ok(MergeOutcome::HeadMoved) => return Ok(Err(NotMerged::HeadMoved)),
            Ok(MergeOutcome::Waits) => {
                if via == Via::Queue {
                    cx.note("in GitHub's merge queue");
                    show_waiting(desk, is_required);
                    pause = ASK_FIRST;
                }
                (via, refused_since) = (Via::InQueue, None);
                None
            }
            Ok(MergeOutcome::Refused(why)) => {
                via = Via::Queue;
                Some(why)
            }
            Err(GitHubError::Limited { after }) => {
                pause = pause.max(after);
                Some("GitHub's rate limit is reached".to_owned())
            }
            Err(error @ GitHubError::Unavailable { .. }) => Some(error.to_string()),
            Err(error) => return Ok(Err(NotMerged::Refused(error.to_string()))),
        };
        if let Some(not) = refused.map(NotMerged::Refused) {
            cx.tell(What::AppliedNotMerged(true));
            if !is_required {
                desk.say(deploy::applied_not_merged(not.why(), not.next()));
            }
            let since = *refused_since.get_or_insert_with(|| clock.instant());
            if clock.instant() + pause >= since + cx.deps.settings.merge_patience {
                return Ok(Err(not));
            }
        }
        tokio::select! {
            () = clock.sleep(pause) => pause = (pause * 2).min(ASK_AT_MOST),
            () = cx.cancel.cancelled() => {
                return Err(Stop::Interrupted("cancelled before the merge".to_owned()));
            }
        }
    }
}

fn show_waiting(desk: &Desk<'_>, is_required: bool) {
    if !is_required {
        desk.say(deploy::in_queue(&desk.job.head));
    }
}
