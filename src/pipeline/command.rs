//! A comment that may be a command: read again from GitHub, and judged before anything is started.

use crate::github::{Facts, PrState};
use crate::job::Command;
use crate::names::NodeId;
use crate::observe::What;
use crate::outcome::{Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::coalesce;
use crate::pipeline::cx::Cx;
use crate::pipeline::gate::fork;
use crate::pipeline::judge::{self, GateState};
use crate::pipeline::sticky;
use crate::pipeline::turn::in_turn;
use crate::policy::Policy;
use crate::policy::signal::{self, CommandVerb};
use crate::render::comment::State;

/// The command, as a job.
///
/// A command that finds the gate at work leaves its mark for the gate's own look. The gate may have
/// looked just before the mark was written, so the command looks once more after it.
pub(crate) async fn run(cx: &Cx<'_>, command: &Command) -> Result<(), Stop> {
    match in_turn(cx, async || obey(cx, command).await).await? {
        Obeyed::Fully => Ok(()),
        Obeyed::OnceTheGateIsDone => judge::run(cx).await,
    }
}

/// How far a command could be followed.
enum Obeyed {
    /// Nothing is left to do about it.
    Fully,
    /// It waits for the gate.
    OnceTheGateIsDone,
}

async fn obey(cx: &Cx<'_>, command: &Command) -> Result<Obeyed, Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(Some(&command.comment))).await?;
    coalesce::seen(cx, &facts).await;
    let policy = cx.policy(&facts).await?;
    let Some(verb) = verb(&facts, &policy) else {
        cx.note("the comment is no command of this project");
        return Ok(Obeyed::Fully);
    };
    let board = Board::new(cx, &facts);
    board.eyes(&command.comment);
    match verb {
        CommandVerb::Deploy if facts.state == PrState::Open => {
            deploy(cx, &facts, &policy, &board).await?;
        }
        CommandVerb::Gate if facts.state == PrState::Open && facts.fork => {
            fork_gate(cx, (&facts, &policy), &board, &command.comment).await?;
        }
        // Only a fork's gate waits for it: looking again is all there is.
        CommandVerb::Gate if facts.state == PrState::Open => {
            judge::judge(cx, &facts, &policy, &board).await?;
        }
        CommandVerb::Deploy | CommandVerb::Gate => cx.note("the pull request is closed"),
    }
    cx.stage(Stage::Report, board.flush()).await?;
    let gate = judge::gate_state(&facts, &cx.project, &cx.deps.settings.seal);
    Ok(match (verb, gate) {
        (CommandVerb::Deploy, GateState::Missing | GateState::Running) => Obeyed::OnceTheGateIsDone,
        _ => Obeyed::Fully,
    })
}

fn verb(facts: &Facts, policy: &Policy) -> Option<CommandVerb> {
    signal::parse_command(&facts.command.as_ref()?.body, policy)
}

/// Someone asks to have a fork's code run. One who may not is told so.
async fn fork_gate(
    cx: &Cx<'_>,
    (facts, policy): (&Facts, &Policy),
    board: &Board,
    comment: &NodeId,
) -> Result<(), Stop> {
    match fork::asked_for(cx, facts, policy).await? {
        Ok(by) => {
            cx.note(format!("@{by} asks for the gate of a fork"));
            fork::ask(cx, (facts, policy), board, comment).await
        }
        Err(refusals) => {
            cx.tell(What::Refused(refusals.clone()));
            sticky::show(cx, board, (facts, policy), State::Refused(&refusals), None);
            Ok(())
        }
    }
}

/// Someone asks for a deploy. One who may not is told so; one who may sets off whatever is missing.
async fn deploy(cx: &Cx<'_>, facts: &Facts, policy: &Policy, board: &Board) -> Result<(), Stop> {
    let role = judge::commenter_role(cx, facts, policy).await?;
    match signal::commander(facts, policy, role) {
        Ok(by) => {
            cx.note(format!("@{by} asks for a deploy"));
            judge::judge(cx, facts, policy, board).await
        }
        Err(refusals) => {
            cx.tell(What::Refused(refusals.clone()));
            // A deploy that is under way has the comment: who may not deploy may not talk over it.
            if !judge::deploy_is_under_way(cx, facts) {
                // Everything else is shown as it is without the command.
                let facts = Facts { command: None, ..facts.clone() };
                sticky::show(cx, board, (&facts, policy), State::Refused(&refusals), None);
            }
            Ok(())
        }
    }
}
