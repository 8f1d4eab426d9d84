//! The fast look at a pull request: no Python, GitHub's facts only.
//!
//! It announces the checks, judges approval, and asks for what is missing: a full gate check, or
//! the deploy. Every event leads here, and so does the end of a full gate check: whoever of gate
//! and approval comes last sees the other's result, which was written before this read.

use std::sync::Arc;

use crate::clock::unix_ms;
use crate::github::{Check, CheckStatus, Facts, PrState, Role};
use crate::job::{Deploy, GateCheck, Job, Refresh, Scope};
use crate::names::{JobId, NodeId, Sha};
use crate::observe::What;
use crate::outcome::{Conclusion, Reason, Refusal, Stage, StageOutcome, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::coalesce;
use crate::pipeline::cx::{Cx, Ended, stop_of_github};
use crate::pipeline::deploy::clear::reservation;
use crate::pipeline::gate::fork;
use crate::pipeline::left_open;
use crate::pipeline::route;
use crate::pipeline::sticky;
use crate::pipeline::turn::in_turn;
use crate::policy::approval::{self, Approval};
use crate::policy::clearance::{self, Question};
use crate::policy::concern::concerns;
use crate::policy::files;
use crate::policy::owners::{self, Owners};
use crate::policy::{BotOptions, Policy};
use crate::project::Project;
use crate::render::checks::{self, CheckKind, Said};
use crate::render::comment::State;
use crate::render::deploy;
use crate::seal;

pub(crate) use crate::pipeline::standing::{
    GateState, about_the_preview, gate_state, result_before,
};

/// What approvers and owners said.
struct Opinions {
    approval: Approval,
    owners: Owners,
}

impl Opinions {
    fn are_missing(&self) -> bool {
        matches!(self.approval, Approval::Missing { .. }) || self.owners.are_missing()
    }
}

impl Ended for Opinions {
    fn ended(&self) -> StageOutcome {
        if self.are_missing() { StageOutcome::Refused } else { StageOutcome::Ok }
    }
}

/// The look that ends another job: it is never left out.
pub(crate) async fn run(cx: &Cx<'_>) -> Result<(), Stop> {
    in_turn(cx, async || coalesce::noted(cx, coalesce::before(cx).await, look(cx)).await).await
}

/// The look itself, in a turn.
pub(crate) async fn look(cx: &Cx<'_>) -> Result<(), Stop> {
    let facts = cx.stage(Stage::Gate, facts(cx)).await?;
    coalesce::seen(cx, &facts).await;
    match facts.state {
        PrState::Open => {}
        PrState::Merged(_) => return left_open::after_the_merge(cx, &facts).await,
        PrState::Closed => {
            cx.note("the pull request is closed: nothing to judge");
            return Ok(());
        }
    }
    if !concerns(&cx.project, &facts.changed) {
        return route::pass_by(cx, &facts, &[Arc::clone(&cx.project)]).await;
    }
    let policy = cx.policy(&facts).await?;
    let board = Board::new(cx, &facts);
    judge(cx, &facts, &policy, &board).await?;
    cx.stage(Stage::Report, board.flush()).await
}

/// The facts, with those of a command that waits for the gate.
pub(crate) async fn facts(cx: &Cx<'_>) -> Result<Facts, Stop> {
    let facts = cx.facts(None).await?;
    match waiting_command(&facts, &cx.project) {
        Some(command) => cx.facts(Some(&command)).await,
        None => Ok(facts),
    }
}

/// Judges what the facts allow, shows it on the board, and publishes what follows.
///
/// Publishing comes before showing: a crash in between repeats the publishing, which is harmless,
/// and never shows a promise that nobody keeps.
pub(crate) async fn judge(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
    board: &Board,
) -> Result<(), Stop> {
    let environment = pr_environment(&policy.bot, &cx.project, facts);
    cx.tell(What::Judged { head: facts.head.clone(), environment });
    if fork::is_anothers(facts) {
        cx.note("the head of this fork is another pull request's as well, and so are its checks");
        return Ok(());
    }
    let seen = facts;
    let facts = &about_the_preview(facts, &cx.project, &cx.deps.settings.seal);
    let opinions = cx.stage(Stage::Approval, async {
        let approval = approval::decide(facts, policy, &cx.project);
        Ok(Opinions { approval, owners: owners::decide(facts, policy, &cx.project) })
    });
    let opinions = opinions.await?;
    let gate = gate_state(facts, &cx.project, &cx.deps.settings.seal);
    let gate = left_open::gate(cx, facts, board, gate).await;
    if facts.fork {
        fork::hold(cx, (facts, policy), board).await;
    } else if gate == GateState::Missing {
        ask_for_gate(cx, facts, policy, board).await?;
    }
    if !policy.approvers.is_empty() || opinions.owners != Owners::NotAsked {
        let edited = files::changed(&cx.project, &facts.changed);
        let said = checks::approval(&opinions.approval);
        let branch = &facts.base_branch;
        let said = checks::with_owners(said, &opinions.owners, &facts.ownership, branch);
        board.say(CheckKind::Approval, checks::with_changed_policy(said, &edited, branch));
    }
    let next = match &gate {
        GateState::Missing | GateState::Running if !facts.fork => {
            await_gate(facts, policy, board);
            Next::Checking
        }
        _ if facts != seen && opinions.are_missing() => {
            let why = vec![approve_again()];
            if !deploy_is_under_way(cx, facts) && !deploy_asks_for_approval(facts, &cx.project) {
                board.say(CheckKind::Deploy, deploy::refused(&why));
            }
            Next::Held(why)
        }
        gate => ask_for_deploy(cx, facts, policy, board, gate).await?,
    };
    let state = match &next {
        Next::Checking => State::Checking,
        Next::Ready => State::Ready,
        Next::Published => State::Waiting { position: None, holder: None },
        Next::Held(refusals) => State::Held(refusals),
        // The comment says what the deploy wrote.
        Next::Settled => return Ok(()),
    };
    sticky::show(cx, board, (facts, policy), state, None);
    Ok(())
}

/// The approvals that are there speak of another plan.
fn approve_again() -> Refusal {
    Refusal::new(
        Reason::PlanChanged,
        "The plan changed since it was approved. Look at the new preview, and approve again if it \
         is what you want.",
    )
}

/// The deploy that found the plan changed says so already, and how.
fn deploy_asks_for_approval(facts: &Facts, project: &Project) -> bool {
    let name = checks::name(CheckKind::Deploy, project);
    let asks = CheckStatus::Completed(Conclusion::ActionRequired);
    facts.checks.iter().any(|check| check.name == name && check.status == asks)
}

/// What happens next to a pull request.
enum Next {
    /// The gate has no result yet.
    Checking,
    /// The gate has its result, and no deploy can come.
    Ready,
    /// The deploy is on its way.
    Published,
    /// Something is missing.
    Held(Vec<Refusal>),
    /// A deploy of this head is on its way or done already.
    Settled,
}

/// Publishes the full gate check and announces its checks.
async fn ask_for_gate(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
    board: &Board,
) -> Result<(), Stop> {
    cx.publish(Job::GateCheck(GateCheck {
        project: cx.project.name.clone(),
        pr: facts.number,
        scope: Scope::Full,
        head: Some(facts.head.clone()),
        refresh: Refresh::No,
        command: None,
    }))
    .await?;
    announce(cx, facts, policy, board);
    Ok(())
}

/// Shows the gate's checks as queued.
pub(crate) fn announce(cx: &Cx<'_>, facts: &Facts, policy: &Policy, board: &Board) {
    for kind in gate_checks(policy) {
        board.say(kind, keeping(cx, facts, kind, checks::queued(kind)));
    }
}

/// What a check says, with the last result kept behind it while a new one is made: which preview
/// the approvals speak of must not be forgotten.
pub(crate) fn keeping(cx: &Cx<'_>, facts: &Facts, kind: CheckKind, mut said: Said) -> Said {
    let key = &cx.deps.settings.seal;
    let before = result_before(facts, &cx.project, key);
    if let (CheckKind::ProdPlan, Some(before)) = (kind, before) {
        said.summary = format!("{}\n{}", said.summary, seal::seal(&before, key));
    }
    said
}

/// The checks that a full gate check concludes.
pub(crate) fn gate_checks(policy: &Policy) -> impl Iterator<Item = CheckKind> {
    let linter = policy.linter.then_some(CheckKind::Linter);
    let always = [CheckKind::UnitTests, CheckKind::PrEnvironment, CheckKind::ProdPlan];
    linter.into_iter().chain(always)
}

/// While the gate is not done the deploy's check says that it waits for it.
fn await_gate(facts: &Facts, policy: &Policy, board: &Board) {
    if !policy.can_deploy() || !policy.is_production(&facts.base_branch) {
        return;
    }
    let said = marked(checks::queued(CheckKind::Deploy), facts);
    board.say(CheckKind::Deploy, said);
}

/// Publishes the deploy when everything is there, else shows why not. Says what holds it back.
async fn ask_for_deploy(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
    board: &Board,
    gate: &GateState,
) -> Result<Next, Stop> {
    if !policy.can_deploy() || !policy.is_production(&facts.base_branch) {
        return Ok(Next::Ready);
    }
    let id = JobId::of_deploy(&cx.project.name, facts.number, &facts.head);
    let lost = left_open::deploy(cx, facts, board, &id).await;
    if !lost && deploy_is_settled(facts, policy, &cx.project, &id) {
        return Ok(Next::Settled);
    }
    let question = Question {
        facts,
        policy,
        project: &cx.project,
        head: &facts.head,
        role: commenter_role(cx, facts, policy).await?,
        gate: gate.result(),
        others: &route::others(cx, facts),
    };
    match clearance::decide(&question) {
        // The head that prod is kept for was cleared when it was applied: its deploy goes on.
        Err(refusals) if !(lost && prod_is_kept_for(cx, &facts.head).await?) => {
            board.say(CheckKind::Deploy, deploy::refused(&refusals));
            cx.tell(What::Refused(refusals.clone()));
            Ok(Next::Held(refusals))
        }
        _ => {
            let command = facts.command.as_ref().map(|command| command.id.clone());
            cx.publish(Job::Deploy(Deploy {
                project: cx.project.name.clone(),
                pr: facts.number,
                head: facts.head.clone(),
                command,
                signalled_ms: unix_ms(cx.now()),
            }))
            .await?;
            board.say_for(CheckKind::Deploy, marked(deploy::waiting(None, None), facts), Some(id));
            Ok(Next::Published)
        }
    }
}

async fn prod_is_kept_for(cx: &Cx<'_>, head: &Sha) -> Result<bool, Stop> {
    let kept = reservation(cx).await?;
    Ok(kept.is_some_and(|lease| lease.kept_for.as_ref() == Some(head)))
}

/// What the commenter may do, asked only where it matters: no approvers, and a command.
pub(crate) async fn commenter_role(
    cx: &Cx<'_>,
    facts: &Facts,
    policy: &Policy,
) -> Result<Option<Role>, Stop> {
    let author = facts.command.as_ref().and_then(|command| command.author.as_ref());
    match author {
        Some(author) if policy.approvers.is_empty() => {
            let role = cx.deps.github.role(&cx.ask(None), author).await;
            role.map(Some).map_err(stop_of_github)
        }
        _ => Ok(None),
    }
}

/// A deploy of this head was published and has not ended: its check is its own.
pub(crate) fn deploy_is_under_way(cx: &Cx<'_>, facts: &Facts) -> bool {
    let id = JobId::of_deploy(&cx.project.name, facts.number, &facts.head);
    let name = checks::name(CheckKind::Deploy, &cx.project);
    facts.checks.iter().filter(|check| check.name == name).any(|check| {
        check.external_id == id.as_str() && !matches!(check.status, CheckStatus::Completed(_))
    })
}

/// A deploy of this head was published and has not ended, or has succeeded.
///
/// Where deploys merge, an open pull request with a success is one whose merge is under way, or
/// whose worker died just before it: another deploy of it does no harm, and finishes the latter.
fn deploy_is_settled(facts: &Facts, policy: &Policy, project: &Project, id: &JobId) -> bool {
    let name = checks::name(CheckKind::Deploy, project);
    let ours = |check: &&Check| check.name == name && check.external_id == id.as_str();
    facts.checks.iter().filter(ours).any(|check| match check.status {
        CheckStatus::Completed(conclusion) => {
            conclusion == Conclusion::Success && policy.bot.merge_method.is_none()
        }
        CheckStatus::Queued | CheckStatus::InProgress => true,
    })
}

/// A hidden line that remembers which comment asked for the deploy. It need not be signed: the
/// comment itself is read again, and judged, whenever it counts.
pub(crate) fn command_mark(command: &NodeId) -> String {
    format!("<!-- sluice:command {command} -->")
}

/// What an open deploy check says, with the command that it waits with.
fn marked(mut said: Said, facts: &Facts) -> Said {
    if let Some(command) = &facts.command {
        said.summary = format!("{}\n{}", said.summary, command_mark(&command.id));
    }
    said
}

/// The command that an open deploy check remembers.
fn waiting_command(facts: &Facts, project: &Project) -> Option<NodeId> {
    let name = checks::name(CheckKind::Deploy, project);
    let check = facts.checks.iter().find(|check| check.name == name)?;
    if matches!(check.status, CheckStatus::Completed(_)) {
        return None;
    }
    let (_, rest) = check.summary.split_once("<!-- sluice:command ")?;
    NodeId::new(rest.split_once(" -->")?.0).ok()
}

/// The environment of a pull request.
pub(crate) fn pr_environment(
    bot: &BotOptions,
    project: &Project,
    facts: &Facts,
) -> crate::names::Environment {
    let prefix = bot.pr_environment_name.as_deref().unwrap_or(project.repository.name());
    crate::names::Environment::of_pr(prefix, facts.number)
}
