//! A fork's head: held, until somebody who may deploy asks to have its code run.
//!
//! Then its linter and its unit tests run apart, without credentials, and nothing else does. Owns
//! what is shown of such a head. A deploy never follows from it ([`crate::policy::clearance`]).

use crate::github::{Check, CheckStatus, Facts};
use crate::job::{GateCheck, Job, Refresh, Scope};
use crate::names::{JobId, Login, NodeId, PrNumber};
use crate::observe::What;
use crate::outcome::{Conclusion, Reason, Refusal, Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::Cx;
use crate::pipeline::gate::{Desk, redactor, say_unloaded, tests};
use crate::pipeline::judge;
use crate::pipeline::left_open::Busy;
use crate::policy::Policy;
use crate::policy::signal;
use crate::project::Project;
use crate::render::checks::{self, CheckKind, Said};

/// Shows what a fork's head waits for, where its code was not run and nobody is about to.
pub(crate) async fn hold(cx: &Cx<'_>, (facts, policy): (&Facts, &Policy), board: &Board) {
    let is_left = is_left(cx, facts).await;
    for kind in judge::gate_checks(policy) {
        let stays = shown(facts, &cx.project, kind).is_some_and(|check| match check.status {
            CheckStatus::Queued | CheckStatus::InProgress => !is_left,
            CheckStatus::Completed(conclusion) => {
                runs(kind) && matches!(conclusion, Conclusion::Success | Conclusion::Failure)
            }
        });
        if !stays {
            board.say(kind, held(kind, facts, policy));
        }
    }
}

fn held(kind: CheckKind, facts: &Facts, policy: &Policy) -> Said {
    if !runs(kind) {
        return checks::skipped(kind, "the head is in a fork, whose code never gets credentials");
    }
    let why = format!(
        "the head is in a fork, whose code is run when somebody who may deploy has looked at it, \
         and comments `{}`",
        signal::gate_of(&facts.head, policy),
    );
    checks::skipped(kind, &why)
}

/// Whether what stands open for this head was left: nobody works on it, nor is about to.
async fn is_left(cx: &Cx<'_>, facts: &Facts) -> bool {
    let shown = shown(facts, &cx.project, CheckKind::UnitTests);
    let Some(check) = shown.filter(|check| !matches!(check.status, CheckStatus::Completed(_)))
    else {
        return true;
    };
    match Busy::look(cx.deps, &cx.project).await {
        Ok(busy) => busy.gate_is_left(facts.number, check.started_ms),
        Err(error) => {
            tracing::debug!(job = %cx.job.id, %error, "nobody says who works on a fork's checks");
            false
        }
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

/// Whether the checks of a fork's head are those of another pull request: a commit of ours may be
/// the head of a fork as well, and checks belong to commits.
pub(crate) fn is_anothers(facts: &Facts) -> bool {
    let of_another = |pr: PrNumber| pr != facts.number;
    facts.fork && facts.checks.iter().any(|check| whose(check).is_some_and(of_another))
}

/// The pull request whose job wrote a check last.
fn whose(check: &Check) -> Option<PrNumber> {
    JobId::pr_of(&check.external_id)
}

/// Who asks for it by the command that the facts hold, or why that does not count.
pub(crate) async fn asked_for(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
) -> Result<Result<Login, Vec<Refusal>>, Stop> {
    if is_anothers(facts) {
        let why = "Its newest commit is the head of another pull request as well, whose checks \
                   would be written over: push another one.";
        return Ok(Err(vec![Refusal::new(Reason::Fork, why)]));
    }
    let role = judge::commenter_role(cx, facts, policy).await?;
    Ok(signal::gatekeeper(facts, policy, role))
}

/// Publishes the gate check, and announces it; once for each command, however often that comes.
pub(crate) async fn ask(
    cx: &Cx<'_>,
    (facts, policy): (&Facts, &Policy),
    board: &Board,
    command: &NodeId,
) -> Result<(), Stop> {
    let job = Job::GateCheck(GateCheck {
        project: cx.project.name.clone(),
        pr: facts.number,
        scope: Scope::Full,
        head: Some(facts.head.clone()),
        refresh: Refresh::Yes,
        command: Some(command.clone()),
    });
    let id = cx.envelope.following(job.clone(), 0).id;
    let ours = |check: &Check| check.external_id == id.as_str();
    let is_asked = shown(facts, &cx.project, CheckKind::UnitTests).is_some_and(ours);
    cx.publish(job).await?;
    if !is_asked {
        announce(board, policy, Some(&id));
    }
    Ok(())
}

fn announce(board: &Board, policy: &Policy, job: Option<&JobId>) {
    for kind in judge::gate_checks(policy).filter(|kind| runs(*kind)) {
        board.say_for(kind, checks::queued(kind), job.cloned());
    }
}

/// What the gate of a fork works on; `None` when its code may not be run, or was.
pub(crate) async fn open(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
) -> Result<Option<Board>, Stop> {
    let is_done = |check: &Check| {
        check.external_id == cx.job.id.as_str() && matches!(check.status, CheckStatus::Completed(_))
    };
    if shown(facts, &cx.project, CheckKind::UnitTests).is_some_and(is_done) {
        cx.note("its checks were run before");
        return Ok(None);
    }
    let board = Board::new(cx, facts);
    if let Err(refusals) = asked_for(cx, facts, policy).await? {
        cx.note("nothing to check: the head is in a fork, and nobody who may asks for it");
        for kind in board.open().into_iter().filter(|kind| runs(*kind)) {
            board.say(kind, held(kind, facts, policy));
        }
        board.flush().await?;
        cx.tell(What::Refused(refusals));
        return Ok(None);
    }
    announce(&board, policy, None);
    board.flush().await?;
    Ok(Some(board))
}

/// The gate of a fork: its linter and its unit tests. Whatever goes wrong once its code runs is its
/// own doing, and a result.
pub(crate) async fn gate(cx: &Cx<'_>, desk: &Desk<'_>) -> Result<(), Stop> {
    let mut bridge = match cx.stage(Stage::Checkout, Bridge::open(cx, desk.facts)).await {
        Ok(bridge) => bridge,
        Err(Stop::Refused(refusals)) => {
            say_unloaded(cx, desk, refusals);
            return Ok(());
        }
        Err(stop) => return Err(stop),
    };
    match run(cx, desk, &mut bridge).await {
        Ok(()) => bridge.close().await,
        Err(Stop::Refused(refusals)) => {
            say_unloaded(cx, desk, refusals);
            bridge.close().await
        }
        Err(Stop::Broken { what, .. }) => {
            for kind in desk.board.open().into_iter().filter(|kind| runs(*kind)) {
                desk.board.say(kind, checks::broken(kind, &what, None, redactor(cx)));
            }
            Ok(())
        }
        Err(stop) => Err(stop),
    }
}

async fn run(cx: &Cx<'_>, desk: &Desk<'_>, bridge: &mut Bridge) -> Result<(), Stop> {
    cx.stage(Stage::Load, bridge.load()).await?;
    tests::lint(cx, desk, bridge).await?;
    tests::unit_tests(cx, desk, bridge).await?;
    Ok(())
}
