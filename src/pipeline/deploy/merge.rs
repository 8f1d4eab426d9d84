//! The merge, pinned to the head that was planned, and read back.

use std::time::Duration;

use crate::engine::{Applied, Checkout};
use crate::github::{GitHubError, Merge, MergeOutcome, MergedCommit};
use crate::lease::Release;
use crate::lease::hold::Lease;
use crate::observe::What;
use crate::outcome::{StageOutcome, Stop};
use crate::pipeline::cx::{Cx, Ended, stop_of_github};
use crate::pipeline::deploy::clear::Desk;
use crate::pipeline::deploy::ticket::Ticket;
use crate::render::deploy;

/// A merge that GitHub refuses is tried again first after this long, then after twice as long each
/// time, up to [`AGAIN_AT_MOST`].
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

impl Ended for Option<MergedCommit> {
    fn ended(&self) -> StageOutcome {
        if self.is_some() { StageOutcome::Ok } else { StageOutcome::Skipped }
    }
}

/// Merges what was applied. Prod already runs it: a no of GitHub's is not the end, but a state with
/// a name, shown, counted and tried again, with prod reserved for this pull request.
pub(crate) async fn run(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    ticket: &Ticket,
    _applied: &Applied,
    lease: &Lease,
) -> Result<Option<MergedCommit>, Stop> {
    let Some(method) = desk.policy.bot.merge_method else {
        return Ok(None);
    };
    if desk.policy.bot.invalidate_environment_after_deploy {
        cx.deps.ledger.undertake_cleanup(&cx.project.name, cx.job.pr).await;
    }
    lease.phase("merge");
    let merge = Merge {
        ask: crate::pipeline::ask(&cx.project, cx.job.pr, None),
        pr_id: ticket.facts().id.clone(),
        head: ticket.head().clone(),
        method,
    };
    let commit = match merged(cx, desk, &merge).await {
        Ok(commit) => commit,
        Err(stop) => {
            cx.tell(What::AppliedNotMerged(true));
            return Err(stop);
        }
    };
    cx.tell(What::AppliedNotMerged(false));
    lease.give_back(Release::Free);
    same_tree(&commit, ticket.checkout())?;
    Ok(Some(commit))
}

/// Asks GitHub to merge until it does, the head has moved, or patience is over.
async fn merged(cx: &Cx<'_>, desk: &Desk<'_>, merge: &Merge) -> Result<MergedCommit, Stop> {
    let deadline = cx.deps.clock.instant() + cx.deps.settings.merge_patience;
    let mut pause = AGAIN_FIRST;
    loop {
        let why = match cx.deps.github.merge(merge).await {
            Ok(MergeOutcome::Merged(commit)) => return Ok(commit),
            Ok(MergeOutcome::HeadMoved) => {
                return Err(not_merged(
                    "the pull request has a newer head. Approve and deploy that one, or put the \
                     deployed head back: until then prod stays reserved for this pull request.",
                ));
            }
            Ok(MergeOutcome::Refused(why)) => why,
            Err(GitHubError::Limited { after }) => {
                pause = pause.max(after);
                "GitHub's rate limit is reached".to_owned()
            }
            Err(error @ GitHubError::Unavailable { .. }) => error.to_string(),
            Err(error) => return Err(stop_of_github(error)),
        };
        cx.tell(What::AppliedNotMerged(true));
        desk.say(deploy::applied_not_merged(&why, "The merge is tried again."));
        if cx.deps.clock.instant() + pause >= deadline {
            return Err(not_merged(&why));
        }
        tokio::select! {
            () = cx.deps.clock.sleep(pause) => pause = (pause * 2).min(AGAIN_AT_MOST),
            () = cx.cancel.cancelled() => {
                return Err(Stop::Interrupted("cancelled before the merge".to_owned()));
            }
        }
    }
}

/// The state that has a name: prod runs it, main lacks it.
fn not_merged(why: &str) -> Stop {
    Stop::Broken { what: format!("deployed, not merged: {why}"), source: None }
}

/// What was merged is what was planned: the whole tree, or at least the project's part of it when
/// the base moved elsewhere.
fn same_tree(commit: &MergedCommit, checkout: &Checkout) -> Result<(), Stop> {
    if commit.tree == checkout.tree || commit.project_tree.as_ref() == Some(&checkout.project_tree)
    {
        return Ok(());
    }
    Err(Stop::Broken {
        what: format!(
            "the merged commit {} does not hold the tree that was deployed ({} instead of {}): \
             somebody changed the base branch during the merge",
            commit.sha.short(),
            commit.tree.short(),
            checkout.tree.short()
        ),
        source: None,
    })
}
