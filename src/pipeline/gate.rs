//! The full gate check: everything about a head that needs its code.
//!
//! Reads top to bottom: load, lint, unit tests, PR environment, prod plan preview. The result is
//! sealed into the preview's check run, so that an approval that comes later runs none of it again.

use std::sync::Arc;

use crate::clock::unix_ms;
use crate::engine::{Loaded, Plan};
use crate::github::{Facts, PrState};
use crate::job::{GateCheck, Refresh};
use crate::lease::hold::{Lease, hold};
use crate::lease::{Wait, Wish};
use crate::outcome::{Reason, Refusal, Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::bridge::Bridge;
use crate::pipeline::coalesce;
use crate::pipeline::cx::{Cx, Ended};
use crate::pipeline::judge::{self, GateState};
use crate::pipeline::supersede;
use crate::pipeline::turn::in_turn;
use crate::policy::Policy;
use crate::policy::concern::concerns;
use crate::redact::Redactor;
use crate::render::checks::{self, CheckKind, Said};
use crate::render::deploy;
use crate::seal::{self, GateOutcome, GateResult, Previewed};

pub(crate) mod fork;
pub(crate) mod pr_environment;
pub(crate) mod tests;

use pr_environment::{Preview, Synced};
use tests::Sound;

impl Ended for Loaded {}

/// What a gate check works on.
pub(crate) struct Desk<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) policy: &'a Policy,
    pub(crate) board: &'a Board,
}

/// The full gate check, as a job.
///
/// It has the pull request's environment from its beginning to its end: a second one, for the same
/// head or a newer one, comes later and finds what this one made.
pub(crate) async fn run(cx: &Cx<'_>, check: &GateCheck) -> Result<(), Stop> {
    supersede::settled(cx, check).await?;
    if let Some((facts, policy, board)) = in_turn(cx, async || open(cx, check).await).await? {
        let environment = judge::pr_environment(&policy.bot, &cx.project, &facts);
        let wish = Wish::environment(&cx.job, &facts.head, &environment, Wait::No, &cx.cancel);
        let desk = Desk { facts: &facts, policy: &policy, board: &board };
        let keeper = cx.deps.keeper();
        let limit = cx.deps.settings.gate_timeout;
        // Shown under the lease: the next gate check of this head finds the result.
        let gating = hold(&keeper, wish, async |lease| {
            cx.mandate.bind(lease);
            if facts.fork {
                fork::gate(cx, &desk).await?;
                return show(cx, &board).await;
            }
            if is_made_by_another(cx, &facts, check).await? {
                return Ok(());
            }
            gate(cx, &desk, lease).await?;
            show(cx, &board).await
        });
        let watched = Box::pin(supersede::watched(cx, &facts.head, gating));
        let result = cx.within(limit, watched).await;
        if let Err(Stop::Interrupted(_)) = &result {
            // Whoever takes it up says what becomes of it.
            return result;
        }
        cx.mandate.unbind();
        if let Err(stop) = &result {
            conclude_stopped(cx, &desk, stop);
            show(cx, &board).await?;
        }
        result?;
    }
    judge::run(cx).await
}

/// Puts everything that was said in front of people.
async fn show(cx: &Cx<'_>, board: &Board) -> Result<(), Stop> {
    cx.stage(Stage::Report, board.flush()).await
}

/// What the gate is to work on, announced; `None` when there is nothing to do.
async fn open(cx: &Cx<'_>, check: &GateCheck) -> Result<Option<(Facts, Arc<Policy>, Board)>, Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(check.command.as_ref())).await?;
    coalesce::seen(cx, &facts).await;
    if facts.state != PrState::Open {
        cx.note("nothing to check: the pull request is closed");
        return Ok(None);
    }
    if let Some(head) = check.head.as_ref().filter(|head| **head != facts.head) {
        return Err(cx.stage(Stage::Report, supersede::left(cx, facts, head)).await?);
    }
    if !concerns(&cx.project, &facts.changed) {
        // The look that follows says so.
        return Ok(None);
    }
    let policy = cx.policy(&facts).await?;
    if facts.fork {
        let board = fork::open(cx, &facts, &policy).await?;
        return Ok(board.map(|board| (facts, policy, board)));
    }
    if is_made(cx, &facts, check) {
        return Ok(None);
    }
    let board = Board::new(cx, &facts);
    if state(cx, &facts) == GateState::Missing {
        // What is not shown yet is created now, within the turn.
        judge::announce(cx, &facts, &policy, &board);
        board.flush().await?;
    }
    Ok(Some((facts, policy, board)))
}

fn state(cx: &Cx<'_>, facts: &Facts) -> GateState {
    judge::gate_state(facts, &cx.project, &cx.deps.settings.seal)
}

/// Whether a result is there that is good enough.
fn is_made(cx: &Cx<'_>, facts: &Facts, check: &GateCheck) -> bool {
    let asked_ms = match check.refresh {
        Refresh::No => 0,
        // One that was made since it was asked for is as good as a new one.
        Refresh::Yes => cx.envelope.enqueued_ms,
    };
    state(cx, facts).result().is_some_and(|result| result.made_ms >= asked_ms)
}

/// Whether another gate check, which had begun when the facts were read, has ended before the lease
/// came. The first one of a head, which announced itself, need not ask.
async fn is_made_by_another(cx: &Cx<'_>, facts: &Facts, check: &GateCheck) -> Result<bool, Stop> {
    if state(cx, facts) == GateState::Missing {
        return Ok(false);
    }
    let now = cx.stage(Stage::Gate, cx.facts(None)).await?;
    Ok(is_made(cx, &now, check))
}

/// The gate itself. A fault of the change is a result, not an error.
async fn gate(cx: &Cx<'_>, desk: &Desk<'_>, lease: &Lease) -> Result<(), Stop> {
    // Only now: what another gate check is still showing is not taken back.
    judge::announce(cx, desk.facts, desk.policy, desk.board);
    let mut bridge = cx.stage(Stage::Checkout, Bridge::open(cx, desk.facts)).await?;
    let gated = match cx.stage(Stage::Load, bridge.load()).await {
        Ok(_) => gated(cx, desk, &mut bridge, lease).await?,
        Err(Stop::Refused(refusals)) => {
            say_unloaded(cx, desk, refusals);
            Gated::unsound("the project does not load")
        }
        Err(stop) => return Err(stop),
    };
    let key = &cx.deps.settings.seal;
    let digest = gated.preview.as_ref().map(|plan| seal::plan_digest(&plan.digest_input));
    let before = judge::result_before(desk.facts, &cx.project, key);
    let before = before.and_then(|result| result.previewed);
    let now_ms = unix_ms(cx.now());
    let result = GateResult {
        v: seal::VERSION,
        project: cx.project.name.clone(),
        pr: desk.facts.number,
        base_branch: desk.facts.base_branch.clone(),
        // GitHub counts in whole seconds: an approval of this very second may be of what was
        // shown before.
        previewed: Previewed::next(before, digest.as_deref(), (now_ms / 1000 + 1) * 1000),
        head: desk.facts.head.clone(),
        base: desk.facts.base.clone(),
        policy: desk.facts.policy.clone(),
        outcome: gated.outcome,
        plan_digest: digest,
        digest_input: gated.preview.map(|plan| plan.digest_input).unwrap_or_default(),
        tree: bridge.session.checkout().tree.clone(),
        made_ms: now_ms,
    };
    let seal = seal::seal(&result, key);
    desk.board.say(CheckKind::PrEnvironment, gated.pr);
    desk.board.say(CheckKind::ProdPlan, gated.prod.sealed(&seal));
    bridge.close().await
}

/// Shows why the project does not load.
fn say_unloaded(cx: &Cx<'_>, desk: &Desk<'_>, refusals: Vec<Refusal>) {
    let why = refusals.into_iter().map(|refusal| refusal.sentence).collect::<Vec<_>>();
    let said = checks::broken(CheckKind::UnitTests, &why.join("\n"), None, redactor(cx));
    desk.board.say(CheckKind::UnitTests, said);
    if desk.policy.linter {
        let said = checks::skipped(CheckKind::Linter, "the project does not load");
        desk.board.say(CheckKind::Linter, said);
    }
}

/// What the stages came to.
struct Gated {
    outcome: GateOutcome,
    pr: Said,
    prod: Said,
    preview: Option<Plan>,
}

impl Gated {
    /// Nothing is planned.
    fn unsound(why: &str) -> Self {
        Self {
            outcome: GateOutcome::Failed,
            pr: checks::skipped(CheckKind::PrEnvironment, why),
            prod: checks::skipped(CheckKind::ProdPlan, why),
            preview: None,
        }
    }
}

/// The stages that need a loaded project.
async fn gated(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    bridge: &mut Bridge,
    lease: &Lease,
) -> Result<Gated, Stop> {
    let lint = tests::lint(cx, desk, bridge).await?;
    let tests = tests::unit_tests(cx, desk, bridge).await?;
    if !lint.is_sound() {
        return Ok(Gated::unsound("the linter found errors"));
    }
    if !tests.is_sound() {
        return Ok(Gated::unsound("unit tests fail"));
    }
    desk.board.say(CheckKind::PrEnvironment, checks::running(CheckKind::PrEnvironment));
    let synced = pr_environment::run(cx, desk, bridge, lease);
    let synced = cx.stage(Stage::PrEnvironment, synced).await?;
    if let Synced::Refused(_) = &synced {
        let unsound = Gated::unsound("the PR environment could not be built");
        return Ok(Gated { pr: synced.said(cx, desk), ..unsound });
    }
    let pr = synced.said(cx, desk);
    desk.board.say(CheckKind::PrEnvironment, pr.clone());
    let running = checks::running(CheckKind::ProdPlan);
    desk.board
        .say(CheckKind::ProdPlan, judge::keeping(cx, desk.facts, CheckKind::ProdPlan, running));
    let previewed = cx.stage(Stage::ProdPlan, pr_environment::preview(desk, bridge)).await?;
    let prod = previewed.said();
    let (outcome, preview) = match previewed {
        Preview::Plan(plan) if plan.has_changes => (GateOutcome::Passed, Some(*plan)),
        Preview::Plan(plan) => (GateOutcome::NoChanges, Some(*plan)),
        Preview::Refused(_) => (GateOutcome::Failed, None),
    };
    Ok(Gated { outcome, pr, prod, preview })
}

pub(crate) fn redactor<'a>(cx: &'a Cx<'_>) -> &'a Redactor {
    &cx.deps.settings.redactor
}

/// Shows on every open check why the gate stopped. What is tried again stays in progress.
fn conclude_stopped(cx: &Cx<'_>, desk: &Desk<'_>, stop: &Stop) {
    for kind in desk.board.open() {
        let said = match stop {
            _ if kind == CheckKind::Deploy && judge::deploy_is_under_way(cx, desk.facts) => {
                continue;
            }
            Stop::Broken { .. } if kind == CheckKind::Deploy && cx.attempts_left == 0 => {
                let why = "The checks could not be run to their end: run them again.";
                deploy::refused(&[Refusal::new(Reason::GateMissing, why)])
            }
            Stop::Refused(refusals) => deploy::refused(refusals),
            Stop::Superseded(newer) => checks::superseded(newer),
            Stop::Broken { what, .. } if cx.attempts_left == 0 => {
                checks::broken(kind, what, None, redactor(cx))
            }
            Stop::Broken { .. } | Stop::Later { .. } | Stop::Interrupted(_) => continue,
        };
        desk.board.say(kind, judge::keeping(cx, desk.facts, kind, said));
    }
}
