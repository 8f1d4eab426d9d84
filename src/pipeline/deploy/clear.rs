//! May this head go to prod? Asked before waiting for the lease, and again when it was waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::github::Facts;
use crate::job::Deploy;
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

/// Decides from the facts whether this head may go to prod.
pub(crate) async fn run(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts) -> Result<Cleared, Stop> {
    decide(cx, desk.job, facts, &desk.policy).await
}

/// The facts as they are now that the lease is ours, cleared again if they had to be read again.
pub(crate) async fn refresh(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts) -> Result<Facts, Stop> {
    let age = cx.deps.clock.instant().saturating_duration_since(desk.read_at);
    if age < FRESH {
        return Ok(facts.clone());
    }
    let facts = cx.stage(Stage::Gate, cx.facts(desk.job.command.as_ref())).await?;
    let policy = cx.policy(&facts).await?;
    decide(cx, desk.job, &facts, &policy).await?;
    Ok(facts)
}

/// The decision itself, from facts and the policy that goes with them.
pub(crate) async fn decide(
    cx: &Cx<'_>,
    job: &Deploy,
    facts: &Facts,
    policy: &Policy,
) -> Result<Cleared, Stop> {
    let gate = judge::gate_state(facts, &cx.project, &cx.deps.settings.seal);
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
