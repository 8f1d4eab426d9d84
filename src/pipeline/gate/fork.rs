//! A fork's head: held, until somebody who may deploy asks to have its code run.
//!
//! Then its linter and its unit tests run apart, without credentials, and nothing else does. Owns
//! what is shown of such a head. A deploy never follows from it ([`crate::policy::clearance`]).

use crate::github::{Check, CheckStatus, Facts};
use crate::job::{GateCheck, Job, Refresh, Scope};
use crate::names::{Login, NodeId};
use crate::observe::What;
use crate::outcome::{Refusal, Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::Cx;
use crate::pipeline::gate::{Desk, say_unloaded, tests};
use crate::pipeline::judge;
use crate::policy::Policy;
use crate::policy::signal::{self, CommandVerb};
use crate::project::Project;
use crate::render::checks::{self, CheckKind};

/// Shows what a fork's head waits for, where nothing is shown yet.
pub(crate) fn hold(cx: &Cx<'_>, (facts, policy): (&Facts, &Policy), board: &Board) {
    for kind in judge::gate_checks(policy) {
        if shown(facts, &cx.project, kind).is_some() {
            continue;
        }
        let why = match runs(kind) {
            true => format!(
                "the head is in a fork, whose code is run when somebody who may deploy comments \
                 `{}`",
                CommandVerb::Gate.written(policy),
            ),
            false => "the head is in a fork, whose code never gets credentials".to_owned(),
        };
        board.say(kind, checks::skipped(kind, &why));
    }
}

/// Whether it is one of the checks that are run for a fork.
fn runs(kind: CheckKind) -> bool {
    matches!(kind, CheckKind::Linter | CheckKind::UnitTests)
}

fn shown<'a>(facts: &'a Facts, project: &Project, kind: CheckKind) -> Option<&'a Check> {
    let name = checks::name(kind, project);
    facts.checks.iter().find(|check| check.name == name)
}

/// Who asks for it by the command that the facts hold, or why that does not count. The check of the
/// preview is written once for a fork's head, when it is first seen.
pub(crate) async fn asked_for(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
) -> Result<Result<Login, Vec<Refusal>>, Stop> {
    let role = judge::commenter_role(cx, facts, policy).await?;
    let seen_ms = shown(facts, &cx.project, CheckKind::ProdPlan).and_then(|check| check.started_ms);
    Ok(signal::gatekeeper(facts, policy, role, seen_ms))
}

/// Publishes the gate check, and announces it.
pub(crate) async fn ask(
    cx: &Cx<'_>,
    (facts, policy): (&Facts, &Policy),
    board: &Board,
    command: &NodeId,
) -> Result<(), Stop> {
    cx.publish(Job::GateCheck(GateCheck {
        project: cx.project.name.clone(),
        pr: facts.number,
        scope: Scope::Full,
        head: Some(facts.head.clone()),
        refresh: Refresh::Yes,
        command: Some(command.clone()),
    }))
    .await?;
    announce(board, policy);
    Ok(())
}

fn announce(board: &Board, policy: &Policy) {
    for kind in judge::gate_checks(policy).filter(|kind| runs(*kind)) {
        board.say(kind, checks::queued(kind));
    }
}

/// What the gate of a fork works on; `None` when its code may not be run, or was.
pub(crate) async fn open(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
) -> Result<Option<Board>, Stop> {
    let is_done = shown(facts, &cx.project, CheckKind::UnitTests).is_some_and(|check| {
        check.external_id == cx.job.id.as_str() && matches!(check.status, CheckStatus::Completed(_))
    });
    if is_done {
        cx.note("its checks were run before");
        return Ok(None);
    }
    if let Err(refusals) = asked_for(cx, facts, policy).await? {
        cx.note("nothing to check: the head is in a fork, and nobody who may asks for it");
        if facts.command.is_some() {
            cx.tell(What::Refused(refusals));
        }
        return Ok(None);
    }
    let board = Board::new(cx, facts);
    announce(&board, policy);
    board.flush().await?;
    Ok(Some(board))
}

/// The gate of a fork: its linter and its unit tests.
pub(crate) async fn gate(cx: &Cx<'_>, desk: &Desk<'_>) -> Result<(), Stop> {
    let mut bridge = cx.stage(Stage::Checkout, Bridge::open(cx, desk.facts)).await?;
    match cx.stage(Stage::Load, bridge.load()).await {
        Ok(_) => {
            tests::lint(cx, desk, &mut bridge).await?;
            tests::unit_tests(cx, desk, &mut bridge).await?;
        }
        Err(Stop::Refused(refusals)) => say_unloaded(cx, desk, refusals),
        Err(stop) => return Err(stop),
    }
    bridge.close().await
}
