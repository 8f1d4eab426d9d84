//! A comment that may be a command: read again from GitHub, and judged before anything is started.

use crate::github::{Facts, PrState};
use crate::job::Command;
use crate::observe::What;
use crate::outcome::{Stage, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::cx::{Cx, stop_of_github};
use crate::pipeline::judge;
use crate::pipeline::sticky;
use crate::policy::Policy;
use crate::policy::signal::{self, CommandVerb};
use crate::render::comment::State;

/// The command, as a job.
pub(crate) async fn run(cx: &Cx<'_>, command: &Command) -> Result<(), Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(Some(&command.comment))).await?;
    let policy = cx.policy(&facts).await?;
    let Some(verb) = verb(&facts, &policy) else {
        cx.note("the comment is no command of this project");
        return Ok(());
    };
    let board = Board::new(cx.deps, &cx.project, &facts, &cx.job.id);
    board.eyes(&command.comment);
    match verb {
        CommandVerb::Deploy if facts.state == PrState::Open => {
            deploy(cx, &facts, &policy, &board).await?;
        }
        CommandVerb::Gate if facts.state == PrState::Open => {
            // Only a fork's gate waits for it, and forks are not run: looking again is all there
            // is.
            judge::judge(cx, &facts, &policy, &board).await?;
        }
        CommandVerb::Deploy | CommandVerb::Gate => cx.note("the pull request is closed"),
    }
    cx.stage(Stage::Report, async { board.flush().await.map_err(stop_of_github) }).await
}

fn verb(facts: &Facts, policy: &Policy) -> Option<CommandVerb> {
    signal::parse_command(&facts.command.as_ref()?.body, policy)
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
            // Everything else is shown as it is without the command.
            let facts = Facts { command: None, ..facts.clone() };
            sticky::show(cx, board, (&facts, policy), State::Refused(&refusals), None);
            Ok(())
        }
    }
}
