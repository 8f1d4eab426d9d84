//! The deploy: one head to prod, merged and cleaned up, with nobody else in between.
//!
//! [`deploy`] reads top to bottom. Apply and merge are one critical section under prod's lease: no
//! other deploy of the project may come between them, or main lacks what prod runs.

use std::time::Duration;

use crate::clock::unix_ms;
use crate::engine::Applied;
use crate::engine::Plan;
use crate::github::{Check, CheckStatus, Facts, PrState};
use crate::job::{Deploy, GateCheck, Job, Refresh, Scope};
use crate::lease::hold::{Lease, hold};
use crate::lease::{Obstacle, Release, Wait, Wish};
use crate::names::{Environment, JobId, Sha};
use crate::observe::What;
use crate::outcome::{Conclusion, DeployOutcome, Reason, Refusal, Stage, StageOutcome, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::Cx;
use crate::pipeline::judge;
use crate::pipeline::turn::in_turn;
use crate::policy::clearance::Cleared;
use crate::render;
use crate::render::checks::{self, CheckKind, Said};

pub(crate) mod clear;
mod finish;
pub(crate) mod free;
pub(crate) mod history;
mod merge;
mod plan;
mod queue;
mod ticket;

use clear::{Desk, Read};
use merge::Merged;
use ticket::Ticket;

/// What a deploy came to.
pub(crate) struct Deployed {
    /// What was applied, and who approved it; `None` when an earlier try did.
    done: Option<(Plan, Cleared)>,
    /// What the base branch has of it.
    merged: Merged,
}

/// The deploy, as a job: shows what became of it, whatever that is.
pub(crate) async fn run(cx: &Cx<'_>, job: &Deploy) -> Result<(), Stop> {
    clear::hasten(cx, job).await;
    // In turn: the look that published this deploy may still be writing what it says of it.
    let read = in_turn(cx, async || cx.stage(Stage::Gate, cx.facts(job.command.as_ref())).await);
    let facts = read.await?;
    if facts.head != job.head {
        return superseded(cx, job, facts).await;
    }
    if was_told(cx, &facts) && clear::reservation(cx).await?.is_none() {
        cx.note("deployed, merged and told already");
        return history::was_told(cx, &facts).await;
    }
    let policy = cx.policy(&facts).await?;
    let board = Board::new(cx, &facts);
    let (read_at, entry) = (cx.deps.clock.instant(), history::Entry::of(cx, &facts));
    let desk = Desk { job, policy, board, read_at, entry };
    let result = match &facts.state {
        PrState::Merged(_) => resumed(cx, &desk).await,
        _ => match deploy(cx, &desk, &facts).await {
            Err(Stop::Refused(why)) if is_about(&why, Reason::AlreadyMerged) => {
                merged_meanwhile(cx, &desk, why).await
            }
            result => result,
        },
    };
    if let Err(Stop::Interrupted(_)) = &result {
        // Whoever takes it up, or did so long ago, says what becomes of it.
        return result.map(drop);
    }
    finish::show(cx, &desk, &facts, &result);
    // Before the check: nobody looks for what a deploy that was told has left open.
    let told = history::ends(cx, (&desk.entry, &job.head), &result).await;
    // An end that nobody sees is none: the job comes back, finds the same, and shows it.
    cx.stage(Stage::Report, desk.board.flush()).await?;
    finish::count(cx, &desk, &result);
    let ended = match result {
        Ok(Deployed { merged: Merged::Not(not), .. }) => Err(not.stop()),
        result => result.map(drop),
    };
    if let Err(Stop::Refused(refusals)) = &ended {
        follow_up(cx, job, refusals).await?;
    }
    told?;
    ended
}

/// There is another head. Nothing is shown: what can be seen belongs to that one, whose own jobs
/// speak of it. When it was merged, nothing more comes of what prod may have been kept for.
async fn superseded(cx: &Cx<'_>, job: &Deploy, facts: Facts) -> Result<(), Stop> {
    if matches!(facts.state, PrState::Merged(_)) && clear::reservation(cx).await?.is_some() {
        free::merged(cx, &facts).await?;
    }
    cx.tell(What::DeployEnded(DeployOutcome::Refused));
    look_again(cx, job).await?;
    history::is_left(cx, &job.head, "Stopped: there is a newer head").await?;
    Err(Stop::Superseded(facts.head))
}

/// Whether this deploy got to its end, and said so: its message has come again.
fn was_told(cx: &Cx<'_>, facts: &Facts) -> bool {
    let check = own_check(cx, facts, &cx.job.id);
    matches!(facts.state, PrState::Merged(_))
        && check.is_some_and(|check| is_success(check) && !is_untold(check))
}

/// Asks once more for the deploy of what was merged, when its check does not tell its end: its job
/// is gone, and may be dead. It finds out what prod has, and says so.
pub(crate) async fn finish_untold(cx: &Cx<'_>, facts: &Facts) -> Result<(), Stop> {
    let id = JobId::of_deploy(&cx.project.name, facts.number, &facts.head);
    let Some(check) = own_check(cx, facts, &id) else { return Ok(()) };
    if !is_untold(check) {
        return Ok(());
    }
    cx.note("its deploy has not said how it ended: asking for it again");
    ask_again(cx, facts, check).await
}

/// Publishes the deploy that a check promises once more.
pub(crate) async fn ask_again(cx: &Cx<'_>, facts: &Facts, check: &Check) -> Result<(), Stop> {
    let job = Deploy {
        project: cx.project.name.clone(),
        pr: facts.number,
        head: facts.head.clone(),
        command: None,
        signalled_ms: check.started_ms.unwrap_or_else(|| unix_ms(cx.now())),
    };
    cx.publish(Job::Deploy(job)).await
}

/// The check of that very deploy.
fn own_check<'a>(cx: &Cx<'_>, facts: &'a Facts, id: &JobId) -> Option<&'a Check> {
    let name = checks::name(CheckKind::Deploy, &cx.project);
    facts.checks.iter().find(|check| check.name == name && check.external_id == id.as_str())
}

fn is_success(check: &Check) -> bool {
    check.status == CheckStatus::Completed(Conclusion::Success)
}

fn is_untold(check: &Check) -> bool {
    render::deploy::is_untold(check.status, &check.title)
}

/// What was cleared is not what is there: another look follows by itself.
async fn follow_up(cx: &Cx<'_>, job: &Deploy, refusals: &[Refusal]) -> Result<(), Stop> {
    let is_about = |reason| is_about(refusals, reason);
    if is_about(Reason::PlanChanged) {
        // With the head as it is: people get a new preview to approve.
        return preview_again(cx, job).await;
    }
    if is_about(Reason::HeadMoved) || is_about(Reason::GateMissing) {
        return look_again(cx, job).await;
    }
    Ok(())
}

/// Takes one head to prod.
async fn deploy(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts) -> Result<Deployed, Stop> {
    clear::run(cx, desk, facts).await?;
    let limit = cx.deps.settings.deploy_timeout;
    let told = |obstacle: &Obstacle| finish::show_waiting(cx, desk, facts, obstacle);
    let wait = Wait::UpTo { at_most: limit, told: &told };
    let prod = Environment::prod();
    let wish = Wish::environment(&cx.job, &desk.job.head, &prod, wait, &cx.cancel)
        .waiting_until(&cx.no_wait);
    let waiting = cx.begin(Stage::Lease);
    let held = hold(&cx.deps.keeper(), wish, async |lease| {
        waiting.end(StageOutcome::Ok);
        cx.mandate.bind(lease);
        cx.within(limit, Box::pin(under_lease(cx, desk, facts, lease))).await
    })
    .await;
    if !matches!(held, Err(Stop::Interrupted(_))) {
        cx.mandate.unbind();
    }
    let (deployed, bridge) = held?;
    if matches!(deployed.merged, Merged::Not(_)) {
        bridge.close().await?;
    } else {
        clean_up(cx, desk, facts, bridge).await;
    }
    Ok(deployed)
}

/// Removes what is no longer needed. Prod has the change and main has it: an environment that could
/// not be removed is SQLMesh's janitor's, and takes nothing back.
async fn clean_up(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts, bridge: Bridge) {
    let cleaned = cx.stage(Stage::Cleanup, finish::clean_up(cx, desk, facts, bridge)).await;
    if let Err(stop) = cleaned {
        tracing::warn!(job = %cx.job.id, why = %stop, "the PR environment was not removed");
        cx.note("the PR environment could not be removed: it expires by itself");
    }
}

/// How often a deploy is planned before it gives prod back: the base branch may move meanwhile.
const MOST_PLANS: u32 = 3;

/// The critical section: what prod runs and what main has are the same before it and after it.
async fn under_lease(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    facts: &Facts,
    lease: &Lease,
) -> Result<(Deployed, Bridge), Stop> {
    let mut read = clear::refresh(cx, desk, facts, lease).await?;
    let mut plans = 1;
    let (ticket, applied) = loop {
        let why = match Box::pin(applied(cx, desk, read, lease)).await {
            Err(Stop::Refused(why)) => why,
            result => break result?,
        };
        let is_about = |reason| is_about(&why, reason);
        // One automatic re-plan after a conflict; a base that moves is followed a little longer.
        let again = (is_about(Reason::Conflict) && plans == 1)
            || (is_about(Reason::BaseMoved) && plans < MOST_PLANS);
        if !again {
            return Err(Stop::Refused(why));
        }
        cx.note("prod or the base branch changed meanwhile: planning once more");
        read = clear::read_again(cx, desk, lease).await?;
        plans += 1;
    };
    let merged = cx.stage(Stage::Merge, merge::run(cx, desk, &ticket, &applied, lease)).await?;
    let (bridge, done) = ticket.spent();
    Ok((Deployed { done, merged }, bridge))
}

/// Plans, takes the snapshot versions, checks everything again, and applies.
async fn applied(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    read: Read,
    lease: &Lease,
) -> Result<(Ticket, Applied), Stop> {
    let planned = plan::run(cx, desk, read).await?;
    if planned.leaves_the_merge() {
        cx.note("prod runs it already: only the merge is left");
        let nothing = Applied { changed: false, plan_id: None, stages: Default::default() };
        return Ok((Ticket::for_the_merge(planned), nothing));
    }
    let told = |obstacle: &Obstacle| cx.note(obstacle.to_string());
    let wait = Wait::UpTo { at_most: cx.deps.settings.deploy_timeout, told: &told };
    let wish = Wish::snapshots(lease, planned.plan.builds.clone(), wait);
    Box::pin(hold(&cx.deps.keeper(), wish, async |snapshots| {
        let ticket = Ticket::issue(cx, desk, planned, snapshots);
        let mut ticket = cx.stage(Stage::Validate, ticket).await?;
        let applied = ticket.apply(cx, desk, [lease, snapshots]);
        match cx.stage(Stage::Apply, applied).await {
            Ok(applied) => Ok((ticket, applied)),
            Err(stop) => {
                free::if_untouched(cx, desk, (ticket, &stop), lease).await;
                Err(stop)
            }
        }
    }))
    .await
}

/// Merged already. When prod runs what the base branch has, another try of this deploy did that and
/// did not get to the end: only the cleanup is left. Only SQLMesh knows; a check run that says that
/// the deploy was on its way, or was applied once, does not say what prod runs now. One that says
/// that it succeeded does: what the base branch got since is none of its. Looked at under prod's
/// lease, which is this pull request's no longer: between another one's apply and its merge prod is
/// not what the base has.
async fn resumed(cx: &Cx<'_>, desk: &Desk<'_>) -> Result<Deployed, Stop> {
    let told = |obstacle: &Obstacle| cx.note(obstacle.to_string());
    let wait = Wait::UpTo { at_most: cx.deps.settings.deploy_timeout, told: &told };
    let prod = Environment::prod();
    let wish = Wish::environment(&cx.job, &desk.job.head, &prod, wait, &cx.cancel)
        .waiting_until(&cx.no_wait);
    let keeper = cx.deps.keeper();
    let looked = hold(&keeper, wish, async |lease| {
        let facts = cx.stage(Stage::Gate, cx.facts(desk.job.command.as_ref())).await?;
        if !cx.policy(&facts).await?.is_production(&facts.base_branch) {
            return Err(merged_elsewhere(&facts.base_branch, lease));
        }
        if lease.was_reserved() && matches!(facts.state, PrState::Merged(_)) {
            lease.give_back(Release::Free);
            cx.tell(What::AppliedNotMerged(false));
        }
        let (bridge, has_all) = free::base_in_prod(cx, desk, &facts).await?;
        Ok((facts, bridge, has_all))
    });
    let (facts, bridge, has_all) = Box::pin(looked).await?;
    let has_succeeded = |facts| own_check(cx, facts, &cx.job.id).is_some_and(is_success);
    let merged = match &facts.state {
        PrState::Merged(commit) if has_all || has_succeeded(&facts) => commit.clone(),
        _ => {
            return Err(Stop::refused(
                Reason::AlreadyMerged,
                "This pull request is merged, and prod does not run all that the base branch has: \
                 prod was left as it is, and the next deploy takes along what is missing.",
            ));
        }
    };
    cx.note("prod has what was merged: cleaning up");
    clean_up(cx, desk, &facts, bridge).await;
    Ok(Deployed { done: None, merged: Merged::As(merged) })
}

/// Main lacks it. Prod may run it all the same.
fn merged_elsewhere(branch: &str, lease: &Lease) -> Stop {
    let branch = render::markdown::code(branch);
    let prod = match lease.was_reserved() {
        true => {
            "Prod may run the change already, so it stays reserved, and every other deploy waits: \
             bring the change to the production branch or take it out of prod, and then free prod \
             (`sluice unlock`)."
        }
        false => "Prod was left as it is.",
    };
    let sentence =
        format!("This pull request was merged into {branch}, which is not production. {prod}");
    Stop::refused(Reason::NotProduction, sentence)
}

/// It was merged while this deploy waited. When another copy of this very job did that (its message
/// was taken from its worker, or came twice), there is nothing to refuse.
async fn merged_meanwhile(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    why: Vec<Refusal>,
) -> Result<Deployed, Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(desk.job.command.as_ref())).await?;
    match &facts.state {
        PrState::Merged(_) => resumed(cx, desk).await,
        PrState::Open | PrState::Closed => Err(Stop::Refused(why)),
    }
}

fn is_about(refusals: &[Refusal], reason: Reason) -> bool {
    refusals.iter().any(|refusal| refusal.reason == reason)
}

/// Publishes a look at the pull request as it is now.
async fn look_again(cx: &Cx<'_>, job: &Deploy) -> Result<(), Stop> {
    gate_check(cx, job, (Scope::Approval, None, Refresh::No)).await
}

/// Publishes a new gate check of the same head.
async fn preview_again(cx: &Cx<'_>, job: &Deploy) -> Result<(), Stop> {
    gate_check(cx, job, (Scope::Full, Some(job.head.clone()), Refresh::Yes)).await
}

async fn gate_check(
    cx: &Cx<'_>,
    job: &Deploy,
    (scope, head, refresh): (Scope, Option<Sha>, Refresh),
) -> Result<(), Stop> {
    let (project, pr) = (job.project.clone(), job.pr);
    cx.publish(Job::GateCheck(GateCheck { project, pr, scope, head, refresh, command: None })).await
}

impl Desk<'_> {
    /// Signal → now.
    fn lead(&self, cx: &Cx<'_>) -> Duration {
        Duration::from_millis(unix_ms(cx.now()).saturating_sub(self.job.signalled_ms))
    }

    /// The hidden line that remembers which comment asked for the deploy.
    fn mark(&self) -> String {
        self.job.command.as_ref().map(judge::command_mark).unwrap_or_default()
    }

    /// What the deploy's check says, with that line behind it while it is open.
    fn say(&self, mut said: Said) {
        if !matches!(said.status, CheckStatus::Completed(_)) {
            said.summary = format!("{}\n{}", said.summary, self.mark());
        }
        self.board.say(CheckKind::Deploy, said);
    }

    /// Tells how the deploy ended.
    fn ended(&self, cx: &Cx<'_>, outcome: DeployOutcome) {
        if outcome == DeployOutcome::Deployed {
            cx.tell(What::Deployed { lead: self.lead(cx) });
        }
        cx.tell(What::DeployEnded(outcome));
    }
}
