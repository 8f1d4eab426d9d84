//! The merge, pinned to the head that was planned, and read back.

use std::time::Duration;

use crate::engine::{Applied, Checkout};
use crate::github::{GitHubError, Merge, MergeOutcome, MergeQueue, MergedCommit, Via};
use crate::lease::Release;
use crate::lease::hold::Lease;
use crate::observe::What;
use crate::outcome::{Reason, StageOutcome, Stop};
use crate::pipeline::cx::{Cx, Ended};
use crate::pipeline::deploy::clear::Desk;
use crate::pipeline::deploy::queue;
use crate::pipeline::deploy::ticket::Ticket;
use crate::render::checks::{self, CheckKind};
use crate::render::{self, deploy};

/// A merge that GitHub refuses is tried again first after this long, then after twice as long each
/// time, up to [`AGAIN_AT_MOST`].
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// What became of the merge. Prod runs the head in any case.
pub(crate) enum Merged {
    /// The base branch has it.
    As(MergedCommit),
    /// It has, but not with the tree that prod runs; this is how they differ.
    Otherwise(String),
    /// The policy asks for no merge.
    NotWanted,
    /// GitHub did not merge it: a state that has a name.
    Not(NotMerged),
}

/// Why prod runs what main lacks, by what can be done about it.
pub(crate) enum NotMerged {
    /// GitHub refuses, in its words; it may be merged later.
    Refused(String),
    /// There is a newer head: people have to decide.
    HeadMoved,
    /// It was merged, and main did not get it: people have to decide. Where, in words.
    Elsewhere(String),
}

impl NotMerged {
    /// What GitHub says.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Elsewhere(why) => why,
            Self::HeadMoved => "The pull request has a newer head than the one that was deployed.",
        }
    }

    /// Whether no further try changes that.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// What happens about it.
    pub(crate) fn next(&self) -> &'static str {
        match self {
            Self::Refused(_) => "The merge is tried again.",
            Self::HeadMoved => {
                "Approve the newer head to have it deployed and merged, or put the deployed one \
                 back."
            }
            Self::Elsewhere(_) => {
                "Bring the change to the production branch, or take it out of prod; then free prod \
                 (`sluice unlock`)."
            }
        }
    }

    /// What becomes of the job.
    pub(crate) fn stop(&self) -> Stop {
        match self {
            Self::Refused(why) => {
                Stop::Broken { what: format!("deployed, not merged: {why}"), source: None }
            }
            Self::HeadMoved => Stop::refused(Reason::HeadMoved, self.why()),
            Self::Elsewhere(why) => Stop::refused(Reason::NotProduction, why.as_str()),
        }
    }
}

impl Ended for Merged {
    fn ended(&self) -> StageOutcome {
        match self {
            Self::As(_) => StageOutcome::Ok,
            Self::NotWanted => StageOutcome::Skipped,
            Self::Otherwise(_) => StageOutcome::Failed,
            Self::Not(_) => StageOutcome::Refused,
        }
    }
}

/// Merges what was applied. Prod already runs it: a no of GitHub's is not the end, but a state with
/// a name, shown, counted and resumed, with prod reserved for this pull request.
pub(crate) async fn run(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    ticket: &Ticket,
    _applied: &Applied,
    lease: &Lease,
) -> Result<Merged, Stop> {
    let Some(method) = desk.policy.bot.merge_method else {
        lease.give_back(Release::Free);
        return Ok(Merged::NotWanted);
    };
    lease.phase("merge");
    conclude_before(cx, desk, ticket).await?;
    if desk.policy.bot.invalidate_environment_after_deploy {
        cx.deps.ledger.undertake_cleanup(&cx.project.name, cx.job.pr).await;
    }
    let merge = Merge {
        ask: cx.ask(None),
        pr_id: ticket.facts().id.clone(),
        head: desk.job.head.clone(),
        method,
        via: Via::Merge,
    };
    let required = ticket.facts().required_pending.contains(&own(cx));
    let merged = match ticket.facts().queue {
        MergeQueue::None => merged(cx, desk, &merge, (lease, required)).await,
        MergeQueue::Out | MergeQueue::In { .. } => {
            queue::merged(cx, desk, &merge, (lease, required)).await
        }
    };
    let merged = merged.map(|merged| merged.and_then(|commit| in_production(desk, commit)));
    cx.tell(What::AppliedNotMerged(!matches!(merged, Ok(Ok(_)))));
    if !matches!(merged, Ok(Ok(_))) {
        cx.deps.ledger.withdraw_cleanup(&cx.project.name, cx.job.pr).await;
    }
    let commit = match merged? {
        Ok(commit) => commit,
        Err(not) => return Ok(Merged::Not(not)),
    };
    lease.give_back(Release::Free);
    Ok(same_tree(commit, ticket.checkout()))
}

/// Where the protection rules require the deploy's own check, it has to be concluded for the merge
/// to be possible. Should that fail, it says so again.
async fn conclude_before(cx: &Cx<'_>, desk: &Desk<'_>, ticket: &Ticket) -> Result<(), Stop> {
    if !ticket.facts().required_pending.contains(&own(cx)) {
        return Ok(());
    }
    desk.say(deploy::merging(&desk.job.head));
    desk.board.flush().await
}

fn own(cx: &Cx<'_>) -> String {
    checks::name(CheckKind::Deploy, &cx.project)
}

/// Asks GitHub to merge until it does, the head has moved, or patience is over. A deploy check that
/// is required stays concluded meanwhile: a failure of ours would be one more reason to refuse.
async fn merged(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    merge: &Merge,
    (lease, is_required): (&Lease, bool),
) -> Result<Result<MergedCommit, NotMerged>, Stop> {
    let deadline = cx.deps.clock.instant() + cx.deps.settings.merge_patience;
    let mut pause = AGAIN_FIRST;
    loop {
        if !lease.is_standing() {
            return Err(Stop::Interrupted("the lease was lost before the merge".to_owned()));
        }
        let why = match cx.deps.github.merge(merge).await {
            Ok(MergeOutcome::Merged(commit)) => return Ok(Ok(commit)),
            Ok(MergeOutcome::HeadMoved) => return Ok(Err(NotMerged::HeadMoved)),
            Ok(MergeOutcome::Refused(why)) => why,
            Ok(MergeOutcome::Waits) => "It is in GitHub's merge queue.".to_owned(),
            Err(GitHubError::Limited { after }) => {
                pause = pause.max(after);
                "GitHub's rate limit is reached".to_owned()
            }
            Err(error @ GitHubError::Unavailable { .. }) => error.to_string(),
            Err(error) => return Ok(Err(NotMerged::Refused(error.to_string()))),
        };
        let not = NotMerged::Refused(why);
        cx.tell(What::AppliedNotMerged(true));
        if !is_required {
            desk.say(deploy::applied_not_merged(not.why(), not.next()));
        }
        if cx.deps.clock.instant() + pause >= deadline {
            return Ok(Err(not));
        }
        tokio::select! {
            () = cx.deps.clock.sleep(pause) => pause = (pause * 2).min(AGAIN_AT_MOST),
            () = cx.cancel.cancelled() => {
                return Err(Stop::Interrupted("cancelled before the merge".to_owned()));
            }
        }
    }
}

/// Main has it. GitHub merges into whatever is the base at that moment, which people can change.
fn in_production(desk: &Desk<'_>, commit: MergedCommit) -> Result<MergedCommit, NotMerged> {
    if desk.policy.is_production(&commit.into) {
        return Ok(commit);
    }
    let branch = render::markdown::code(&commit.into);
    let why = format!("It was merged into {branch} instead, which is not production.");
    Err(NotMerged::Elsewhere(why))
}

/// What was merged is what was planned: the whole tree, or at least the project's part of it when
/// the base moved elsewhere.
fn same_tree(commit: MergedCommit, checkout: &Checkout) -> Merged {
    if commit.tree == checkout.tree || commit.project_tree.as_ref() == Some(&checkout.project_tree)
    {
        return Merged::As(commit);
    }
    Merged::Otherwise(format!(
        "The merged commit {} does not hold the tree that was deployed ({} instead of {}): \
         somebody changed the base branch during the merge. The next deploy brings prod to what \
         the base branch holds.",
        commit.sha.short(),
        commit.tree.short(),
        checkout.tree.short()
    ))
}
