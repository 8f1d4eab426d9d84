//! May this head go to prod? Asked before waiting for the lease, and again when it was waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::github::Facts;
use crate::job::Deploy;
use crate::lease::hold::Lease;
use crate::lease::{LeaseKey, Release};
use crate::names::Environment;
use crate::outcome::{Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::cx::Cx;
use crate::pipeline::judge;
use crate::policy::Policy;
use crate::policy::clearance::{self, Cleared, Question};

/// Facts that are older than this when the lease comes are read again before anything is planned.
/// Before the apply they are read again in any case.
const FRESH: Duration = Duration::from_secs(5);

/// What a deploy works with.
pub(crate) struct Desk<'a> {
    pub(crate) job: &'a Deploy,
    pub(crate) policy: Arc<Policy>,
    pub(crate) board: Board,
    /// When the first facts were read.
    pub(crate) read_at: Instant,
}

/// Decides from the facts whether this head may go to prod. A pull request that prod is kept for
/// was cleared when it was applied: it goes on, and whatever it still applies is cleared again
/// then.
pub(crate) async fn run(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts) -> Result<(), Stop> {
    if prod_is_kept(cx).await? {
        cx.note("prod is kept for this pull request: going on where an earlier try stopped");
        return Ok(());
    }
    decide(cx, desk.job, facts, &desk.policy).await.map(drop)
}

/// Whether prod is reserved for this pull request, or will be once the lease of an earlier try has
/// run out, which may be gone without a word.
pub(crate) async fn prod_is_kept(cx: &Cx<'_>) -> Result<bool, Stop> {
    let prod = LeaseKey::Environment(cx.project.name.clone(), Environment::prod());
    let leases = cx.deps.leases.inspect(&cx.project.name).await;
    let leases = leases.map_err(|error| Stop::broken(error.to_string(), error))?;
    Ok(leases.iter().any(|lease| {
        lease.key == prod && lease.give_back == Release::Reserve && lease.owner.pr == cx.job.pr
    }))
}

/// The facts as they are now that the lease is ours, cleared again if they had to be read again.
pub(crate) async fn refresh(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    facts: &Facts,
    lease: &Lease,
) -> Result<Facts, Stop> {
    let age = cx.deps.clock.instant().saturating_duration_since(desk.read_at);
    if age < FRESH {
        return Ok(facts.clone());
    }
    read_again(cx, desk, lease).await
}

/// The facts as they are now, cleared unless prod is kept for this pull request.
pub(crate) async fn read_again(cx: &Cx<'_>, desk: &Desk<'_>, lease: &Lease) -> Result<Facts, Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(desk.job.command.as_ref())).await?;
    if !lease.was_reserved() {
        let policy = cx.policy(&facts).await?;
        decide(cx, desk.job, &facts, &policy).await?;
    }
    Ok(facts)
}

/// The decision itself, from facts and the policy that goes with them.
pub(crate) async fn decide(
    cx: &Cx<'_>,
    job: &Deploy,
    facts: &Facts,
    policy: &Policy,
) -> Result<Cleared, Stop> {
    let key = &cx.deps.settings.seal;
    let gate = judge::gate_state(facts, &cx.project, key);
    let facts = &judge::about_the_preview(facts, &cx.project, key);
    let question = Question {
        facts,
        policy,
        project: &cx.project,
        head: &job.head,
        role: judge::commenter_role(cx, facts, policy).await?,
        gate: gate.result(),
    };
    clearance::decide(&question).map_err(Stop::Refused)
}
