//! The ticket: what a deploy is bound to, issued just before the apply and needed by it.

use std::time::Duration;

use crate::engine::{Applied, Checkout, Plan};
use crate::github::Facts;
use crate::lease::hold::Lease;
use crate::lease::{Obstacle, Release, Wait};
use crate::names::Sha;
use crate::outcome::{Reason, Stop};
use crate::pipeline::apply::{Applying, apply};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, Ended, stop_of_github};
use crate::pipeline::deploy::clear::{self, Desk};
use crate::pipeline::deploy::finish;
use crate::pipeline::deploy::plan::Planned;
use crate::policy::clearance::Cleared;
use crate::policy::mergeability::{self, Mergeability};
use crate::render::checks::{self, CheckKind};

/// GitHub is asked again whether a pull request can be merged first after this long, then after
/// twice as long each time, up to [`ASK_AT_MOST`].
const ASK_FIRST: Duration = Duration::from_millis(250);
const ASK_AT_MOST: Duration = Duration::from_secs(15);

/// Head, base, policy and plan, as they were all valid together, just now.
///
/// It has one constructor, which reads everything again, and the apply cannot be had without it.
pub(crate) struct Ticket {
    cleared: Cleared,
    planned: Planned,
}

impl Ended for Ticket {}

impl Ticket {
    /// Reads all facts again and issues the ticket if they allow this plan of this head.
    pub(crate) async fn issue(
        cx: &Cx<'_>,
        desk: &Desk<'_>,
        planned: Planned,
        lease: &Lease,
    ) -> Result<Self, Stop> {
        let facts = mergeable_facts(cx, desk).await?;
        let policy = cx.policy(&facts).await?;
        let cleared = clear::decide(cx, desk.job, &facts, &policy).await?;
        let moved = facts.base != planned.facts.base
            && facts.base_project_tree != planned.facts.base_project_tree;
        if moved {
            // Back to the head of the queue, to be planned on the new base.
            return Err(Stop::Interrupted(format!(
                "{} moved while the plan was built",
                facts.base_branch
            )));
        }
        if !lease.is_standing() {
            return Err(Stop::Interrupted("the lease was lost before the apply".to_owned()));
        }
        Ok(Self { cleared, planned: Planned { facts, ..planned } })
    }

    /// Applies the plan, after people have been shown it.
    pub(crate) async fn apply(
        &mut self,
        cx: &Cx<'_>,
        desk: &Desk<'_>,
        lease: &Lease,
    ) -> Result<Applied, Stop> {
        let who = self.cleared.approved_by().iter().map(|login| format!("@{login}"));
        let who = who.collect::<Vec<_>>().join(", ");
        if !who.is_empty() {
            cx.note(format!("approved by {who}"));
        }
        let Planned { bridge, plan, facts } = &mut self.planned;
        finish::show_applying(cx, desk, facts, plan);
        desk.board.flush().await.map_err(stop_of_github)?;
        let applying =
            Applying { plan, environment: lease, board: &desk.board, check: CheckKind::Deploy };
        let told = |obstacle: &Obstacle| cx.note(obstacle.to_string());
        let wait = Wait::UpTo { at_most: cx.deps.settings.deploy_timeout, told: &told };
        let applied = apply(cx, bridge, &applying, wait).await?;
        if desk.policy.bot.merge_method.is_some() {
            // From here until the merge prod runs what main lacks: nobody else may deploy.
            lease.give_back(Release::Reserve);
        }
        Ok(applied)
    }

    /// The head that the ticket is for.
    pub(crate) fn head(&self) -> &Sha {
        self.cleared.head()
    }

    /// The facts that it was issued on.
    pub(crate) fn facts(&self) -> &Facts {
        &self.planned.facts
    }

    /// The tree that was planned, tested and applied.
    pub(crate) fn checkout(&self) -> &Checkout {
        self.planned.bridge.session.checkout()
    }

    /// It has served: the session that is left to close, and what was done.
    pub(crate) fn spent(self) -> (Bridge, Plan, Cleared) {
        (self.planned.bridge, self.planned.plan, self.cleared)
    }
}

/// Fresh facts in which GitHub says whether the pull request can be merged: an unknown is asked
/// again, never passed.
async fn mergeable_facts(cx: &Cx<'_>, desk: &Desk<'_>) -> Result<Facts, Stop> {
    let own: Vec<String> =
        CheckKind::ALL.iter().map(|kind| checks::name(*kind, &cx.project)).collect();
    let deadline = cx.deps.clock.instant() + cx.deps.settings.mergeability_patience;
    let mut pause = ASK_FIRST;
    loop {
        let facts = cx.facts(desk.job.command.as_ref()).await?;
        match mergeability::decide(&facts, &desk.policy, &own) {
            Mergeability::Yes => return Ok(facts),
            Mergeability::No(refusals) => return Err(Stop::Refused(refusals)),
            Mergeability::AskAgain if cx.deps.clock.instant() >= deadline => {
                return Err(Stop::refused(
                    Reason::MergeabilityUnknown,
                    "GitHub does not say whether this can be merged. Ask again in some minutes.",
                ));
            }
            Mergeability::AskAgain => {}
        }
        tokio::select! {
            () = cx.deps.clock.sleep(pause) => pause = (pause * 2).min(ASK_AT_MOST),
            () = cx.cancel.cancelled() => {
                return Err(Stop::Interrupted("cancelled while GitHub was asked".to_owned()));
            }
        }
    }
}
