//! When prod is given to everybody again: main has what it runs, or it runs what main has.

use crate::github::Facts;
use crate::lease::hold::{Lease, hold};
use crate::lease::{Release, Wait, Wish};
use crate::names::Environment;
use crate::observe::What;
use crate::outcome::{Stage, Stop};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::Cx;
use crate::pipeline::deploy;
use crate::pipeline::deploy::clear::Desk;
use crate::pipeline::deploy::plan;
use crate::pipeline::deploy::ticket::Ticket;

/// Gives a prod that is kept for a merged pull request to everybody again, unless that was merged
/// to where main does not get it. [`Stop::Later`] while somebody works under it: he frees it
/// himself, or is gone, and it will be reserved. A deploy that has not said how it ended is asked
/// for once more, under the lease: once, however often this has to come back.
pub(crate) async fn merged(cx: &Cx<'_>, facts: &Facts) -> Result<(), Stop> {
    if !is_production(cx, facts).await? {
        cx.note("merged, and not into production: prod stays reserved");
        return deploy::finish_untold(cx, facts).await;
    }
    let prod = Environment::prod();
    let wish = Wish::environment(&cx.job, &facts.head, &prod, Wait::No, &cx.cancel);
    hold(&cx.deps.keeper(), wish, async |lease| {
        if lease.was_reserved() {
            cx.note("merged: prod is kept for it no longer");
            deploy::finish_untold(cx, facts).await?;
        }
        lease.give_back(Release::Free);
        Ok(())
    })
    .await?;
    cx.tell(What::AppliedNotMerged(false));
    Ok(())
}

/// Whether what was merged is in production now. A configuration that cannot be read is no answer:
/// who asked has to come back, or prod stays reserved and nobody knows.
async fn is_production(cx: &Cx<'_>, facts: &Facts) -> Result<bool, Stop> {
    match cx.policy(facts).await {
        Ok(policy) => Ok(policy.is_production(&facts.base_branch)),
        Err(Stop::Refused(why)) => {
            let why = Stop::Refused(why);
            let what = format!("nobody can say whether it was merged into production: {why}");
            Err(Stop::Broken { what, source: None })
        }
        Err(stop) => Err(stop),
    }
}

/// Frees a prod that an earlier try had reserved, after an apply that failed in order, when prod is
/// seen to run exactly what the base branch has: then no try has changed it. Where that cannot be
/// seen it stays reserved.
pub(crate) async fn if_untouched(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    (ticket, stop): (Ticket, &Stop),
    lease: &Lease,
) {
    let is_over = matches!(stop, Stop::Interrupted(_) | Stop::Later { .. });
    if is_over || !ticket.failed_in_order() || !lease.was_reserved() {
        return;
    }
    let facts = ticket.facts().clone();
    let seen = async {
        // Its seat is needed for the next session.
        ticket.spent().0.close().await?;
        let (bridge, has_all) = base_in_prod(cx, desk, &facts).await?;
        bridge.close().await?;
        Ok::<_, Stop>(has_all)
    };
    match seen.await {
        Ok(true) => {
            cx.note("prod runs what the base branch has: it is kept no longer");
            lease.give_back(Release::Free);
            cx.tell(What::AppliedNotMerged(false));
        }
        Ok(false) => cx.note("prod does not run what the base branch has: it stays reserved"),
        Err(why) => cx.note(format!("nobody can say what prod runs: it stays reserved ({why})")),
    }
}

/// A session on the base branch alone, and whether prod runs what that has.
pub(crate) async fn base_in_prod(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    facts: &Facts,
) -> Result<(Bridge, bool), Stop> {
    let mut bridge = cx.stage(Stage::Checkout, Bridge::at_base(cx, facts)).await?;
    cx.stage(Stage::Load, bridge.load()).await?;
    let plan = cx.stage(Stage::Plan, plan::of_base(desk, facts, &mut bridge)).await?;
    Ok((bridge, !plan.has_changes))
}
