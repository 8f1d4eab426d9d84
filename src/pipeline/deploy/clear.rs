//! May this head go to prod? Asked before waiting for the lease, and again when it was waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::github::{Facts, PrState};
use crate::job::Deploy;
use crate::lease::hold::Lease;
use crate::lease::{LeaseError, LeaseInfo, LeaseKey, Release};
use crate::names::{Environment, Sha};
use crate::outcome::{Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::cx::Cx;
use crate::pipeline::deploy::history::Entry;
use crate::pipeline::judge;
use crate::pipeline::route;
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
    /// What is known of it in GitHub's history.
    pub(crate) entry: Entry,
}

/// Facts that were read for a deploy that has prod.
pub(crate) struct Read {
    pub(crate) facts: Facts,
    /// An earlier try was cleared and applied this head, or began to: see [`resumes`].
    pub(crate) resumes: bool,
}

/// Decides from the facts whether this head may go to prod. A head that prod is kept for was
/// cleared when it was applied: it goes on, and whatever it still applies is cleared again then.
pub(crate) async fn run(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts) -> Result<(), Stop> {
    let kept = reservation(cx).await?;
    let kept_for = kept.as_ref().and_then(|lease| lease.kept_for.as_ref());
    if resumes(desk.job, kept_for, facts, &desk.policy) {
        cx.note("prod is kept for this head: going on where an earlier try stopped");
        return Ok(());
    }
    decide(cx, desk.job, facts, &desk.policy).await.map(drop)
}

/// A deploy whose head prod is kept for has its merge before it: what it asks goes before what
/// others ask. Where nobody can say, it asks as they do.
pub(crate) async fn hasten(cx: &Cx<'_>, job: &Deploy) {
    if let Ok(Some(LeaseInfo { kept_for: Some(head), .. })) = reservation(cx).await
        && head == job.head
    {
        cx.urgent.store(true, Ordering::Relaxed);
    }
}

/// Whether this deploy only goes on with what an earlier try of it was cleared for: prod is kept
/// for this very head, and the pull request still takes it to production. What prod is kept for
/// says nothing of another head of the same pull request, whatever that changes, or of another base
/// branch.
fn resumes(job: &Deploy, kept_for: Option<&Sha>, facts: &Facts, policy: &Policy) -> bool {
    kept_for == Some(&job.head)
        && facts.head == job.head
        && facts.state == PrState::Open
        && policy.is_production(&facts.base_branch)
}

/// What prod is reserved for, if it is for this pull request, or will be once the lease of an
/// earlier try has run out, which may be gone without a word. [`Stop::Later`] when nobody can say.
pub(crate) async fn reservation(cx: &Cx<'_>) -> Result<Option<LeaseInfo>, Stop> {
    let prod = LeaseKey::Environment(cx.project.name.clone(), Environment::prod());
    let leases = cx.deps.leases.inspect(&cx.project.name).await;
    let leases = leases.map_err(|error| match error {
        LeaseError::Unavailable(_) => {
            let after = cx.deps.settings.lease.come_back_after();
            Stop::Later { why: error.to_string(), after }
        }
        error => Stop::broken(error.to_string(), error),
    })?;
    Ok(leases.into_iter().find(|lease| {
        lease.key == prod && lease.give_back == Release::Reserve && lease.owner.pr == cx.job.pr
    }))
}

/// The facts as they are now that the lease is ours, cleared again if they had to be read again.
pub(crate) async fn refresh(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    facts: &Facts,
    lease: &Lease,
) -> Result<Read, Stop> {
    let age = cx.deps.clock.instant().saturating_duration_since(desk.read_at);
    if age < FRESH {
        let resumes = resumes(desk.job, lease.was_kept_for(), facts, &desk.policy);
        return Ok(Read { facts: facts.clone(), resumes });
    }
    read_again(cx, desk, lease).await
}

/// The facts as they are now, cleared unless prod was kept for this head when it was taken.
pub(crate) async fn read_again(cx: &Cx<'_>, desk: &Desk<'_>, lease: &Lease) -> Result<Read, Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(desk.job.command.as_ref())).await?;
    let policy = cx.policy(&facts).await?;
    let resumes = resumes(desk.job, lease.was_kept_for(), &facts, &policy);
    if !resumes {
        decide(cx, desk.job, &facts, &policy).await?;
    }
    Ok(Read { facts, resumes })
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
        others: &route::others(cx, facts),
    };
    clearance::decide(&question).map_err(Stop::Refused)
}
