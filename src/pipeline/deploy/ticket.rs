//! The ticket: what a deploy is bound to, issued just before the apply and needed by it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::{Applied, Checkout, Plan};
use crate::github::{Facts, PrState};
use crate::lease::Release;
use crate::lease::hold::Lease;
use crate::outcome::{Reason, Stop};
use crate::pipeline::apply::{Applying, apply};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, Ended};
use crate::pipeline::deploy::clear::{self, Desk};
use crate::pipeline::deploy::finish;
use crate::pipeline::deploy::history;
use crate::pipeline::deploy::plan::Planned;
use crate::policy::clearance::Cleared;
use crate::policy::mergeability::{self, Mergeability};
use crate::render::checks::{self, CheckKind};

/// GitHub is asked again whether a pull request can be merged first after this long, then after
/// twice as long each time, up to [`ASK_AT_MOST`].
const ASK_FIRST: Duration = Duration::from_millis(250);
const ASK_AT_MOST: Duration = Duration::from_secs(15);

/// How much longer than the apply GitHub's history may take to show that it began.
const ENTRY_WITHIN: Duration = Duration::from_secs(5);

/// Head, base, policy and plan, as they were all valid together, just now.
///
/// [`Ticket::issue`] reads everything again, and no apply can be had without it.
pub(crate) struct Ticket {
    cleared: Option<Cleared>,
    planned: Planned,
    /// Its apply failed, and prod was seen not to stand at its plan.
    failed_in_order: bool,
}

impl Ended for Ticket {}

impl Ticket {
    /// Reads all facts again and issues the ticket if they allow this plan of this head. Asked when
    /// every lease is held, so that nothing is waited for between this and the apply.
    pub(crate) async fn issue(
        cx: &Cx<'_>,
        desk: &Desk<'_>,
        planned: Planned,
        snapshots: &Lease,
    ) -> Result<Self, Stop> {
        let facts = mergeable_facts(cx, desk).await?;
        let policy = cx.policy(&facts).await?;
        let cleared = clear::decide(cx, desk.job, &facts, &policy).await?;
        let moved = facts.base != planned.facts.base
            && facts.base_project_tree != planned.facts.base_project_tree;
        if moved {
            let why = format!("{} moved while the plan was built.", facts.base_branch);
            return Err(Stop::refused(Reason::BaseMoved, why));
        }
        if !snapshots.is_standing() {
            return Err(Stop::Interrupted("the lease was lost before the apply".to_owned()));
        }
        let planned = Planned { facts, ..planned };
        Ok(Self { cleared: Some(cleared), planned, failed_in_order: false })
    }

    /// A ticket for the merge alone: prod runs this head already, and is reserved for it. Whether
    /// it should was decided when it was applied; that main lacks it helps nobody. It is for a plan
    /// that [leaves the merge](Planned::leaves_the_merge), and no other.
    pub(crate) fn for_the_merge(planned: Planned) -> Self {
        Self { cleared: None, planned, failed_in_order: false }
    }

    /// Applies the plan, after people have been shown it.
    ///
    /// From before the first stage until the merge prod may run what main lacks: it is kept for
    /// this head, also when this fails, unless prod turns out not to stand at this plan. What an
    /// earlier try may have done to it is for [`if_untouched`](super::free::if_untouched) to see.
    pub(crate) async fn apply(
        &mut self,
        cx: &Cx<'_>,
        desk: &Desk<'_>,
        [environment, snapshots]: [&Lease; 2],
    ) -> Result<Applied, Stop> {
        let approved_by = self.cleared.as_ref().map_or(&[][..], Cleared::approved_by);
        let who = approved_by.iter().map(|login| format!("@{login}")).collect::<Vec<_>>();
        if !who.is_empty() {
            cx.note(format!("approved by {}", who.join(", ")));
        }
        let Planned { bridge, plan, facts, .. } = &mut self.planned;
        finish::show_applying(cx, desk, facts, plan);
        desk.board.flush().await?;
        if plan.has_effect {
            environment.reserve().await?;
        }
        let board = &desk.board;
        let check = CheckKind::Deploy;
        let applying = Applying { plan, environment, snapshots, board, check };
        // Beside it: nothing is waited for between this ticket and the apply, nor long after it.
        let entry = (&desk.entry, &desk.job.head);
        let begins = history::begins(cx, entry, environment.was_reserved() || !plan.has_effect);
        let over = CancellationToken::new();
        let begins = async {
            tokio::select! {
                () = begins => {}
                () = cx.cancel.cancelled() => {}
                () = snapshots.lost().cancelled_owned() => {}
                () = async { over.cancelled().await; cx.deps.clock.sleep(ENTRY_WITHIN).await } => {}
            }
        };
        let applies = async {
            let applied = apply(cx, bridge, &applying).await;
            over.cancel();
            applied
        };
        let (applied, ()) = tokio::join!(applies, begins);
        let stays = match &applied {
            Ok(applied) => applied.changed && desk.policy.bot.merge_method.is_some(),
            Err(_) => may_stand_at(bridge, plan).await,
        };
        if !stays && !environment.was_reserved() {
            environment.give_back(Release::Free);
        }
        self.failed_in_order = applied.is_err() && !stays;
        if stays && applied.is_ok() {
            cx.urgent.store(true, Ordering::Relaxed);
        }
        applied
    }

    /// Whether an apply failed so that prod is seen not to stand at its plan.
    pub(crate) fn failed_in_order(&self) -> bool {
        self.failed_in_order
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
    pub(crate) fn spent(self) -> (Bridge, Option<(Plan, Cleared)>) {
        let Self { cleared, planned: Planned { bridge, plan, .. }, .. } = self;
        (bridge, cleared.map(|cleared| (plan, cleared)))
    }
}

/// Whether prod may stand at the plan although applying it failed. Where nobody can say, it may.
async fn may_stand_at(bridge: &mut Bridge, plan: &Plan) -> bool {
    match bridge.session.environment(&plan.environment).await {
        Ok(state) => state.is_some_and(|state| state.plan_id == plan.plan_id),
        Err(_) => true,
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
        if facts.state != PrState::Open {
            // GitHub says of it neither yes nor no, and never will: the decision has its own words.
            return Ok(facts);
        }
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
