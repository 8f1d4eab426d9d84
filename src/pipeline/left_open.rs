//! Checks that were left open by somebody who is gone.
//!
//! An open check of ours promises that a job will conclude it, and one that speaks of a merge to
//! come promises more when that has come. Jobs can be lost with the process that had them in
//! memory, or go to the dead letters without a word. Owns the rule that tells such a check from one
//! that is waited for or worked on, and how often a job is asked for again. What is judged wrongly
//! costs a job that finds its work done.

use std::time::Duration;

use crate::clock::unix_ms;
use crate::github::{Check, CheckStatus, Facts, PrState};
use crate::lease::{LeaseError, LeaseInfo, LeaseKey, Release, Standing};
use crate::names::{Environment, JobId, PrNumber, Sha};
use crate::outcome::{Stage, Stop};
use crate::pipeline::Deps;
use crate::pipeline::board::Board;
use crate::pipeline::cx::Cx;
use crate::pipeline::deploy;
use crate::pipeline::judge::keeping;
use crate::pipeline::standing::GateState;
use crate::project::Project;
use crate::queue::{QueueError, Route};
use crate::render::checks::{CheckKind, Said};
use crate::render::{self, checks};

/// A job that was lost so often is not asked for again by itself: it may be what kills workers.
const MOST_TIMES: u32 = 3;

/// GitHub's clock and ours may differ by this, and a job is stored before its check is shown.
const TOLERANCE: Duration = Duration::from_secs(60);

/// Who works on a project's pull requests and what waits for its workers, seen once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Busy {
    pub(crate) now_ms: u64,
    /// Pull requests that somebody holds an environment for.
    pub(crate) working: Vec<PrNumber>,
    /// Whether somebody holds prod.
    pub(crate) prod: bool,
    /// Which pull request and head prod is reserved for, or will be once its lease has run out.
    pub(crate) kept: Option<(PrNumber, Option<Sha>)>,
    pub(crate) gates: Line,
    pub(crate) deploys: Line,
    /// The longest that nothing may be seen of a job that is alive.
    pub(crate) quiet: Duration,
    pub(crate) gate_limit: Duration,
    pub(crate) deploy_limit: Duration,
}

/// What waits on a route.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    jobs: u64,
    /// How long ago the oldest of them was stored; `None` when none waits or nobody knows.
    oldest: Option<Duration>,
}

/// Nobody can say who works on what.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unseen {
    /// The leases did not answer.
    #[error(transparent)]
    Leases(#[from] LeaseError),
    /// The queue did not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Busy {
    /// Looks at leases and queues.
    pub(crate) async fn look(deps: &Deps, project: &Project) -> Result<Self, Unseen> {
        let name = &project.name;
        let leases = deps.leases.inspect(name).await?;
        let prod = LeaseKey::Environment(name.clone(), Environment::prod());
        let held = |lease: &&LeaseInfo| {
            lease.standing == Standing::Held && matches!(lease.key, LeaseKey::Environment(..))
        };
        let kept =
            leases.iter().find(|lease| lease.key == prod && lease.give_back == Release::Reserve);
        let now_ms = unix_ms(deps.clock.now());
        let settings = &deps.settings;
        let longest = settings.retry.delays.iter().max().copied().unwrap_or_default();
        Ok(Self {
            now_ms,
            working: leases.iter().filter(held).map(|lease| lease.owner.pr).collect(),
            prod: leases.iter().filter(held).any(|lease| lease.key == prod),
            kept: kept.map(|lease| (lease.owner.pr, lease.kept_for.clone())),
            gates: Line::look(deps, &Route::Gate, now_ms).await?,
            deploys: Line::look(deps, &Route::Deploy(name.clone()), now_ms).await?,
            quiet: settings.left_open_after + longest + settings.dead_after,
            gate_limit: settings.gate_timeout,
            deploy_limit: settings.deploy_timeout,
        })
    }

    /// Whether nobody works on the gate check that was asked for then, nor waits to.
    pub(crate) fn gate_is_left(&self, pr: PrNumber, asked_ms: Option<u64>) -> bool {
        self.is_left((pr, asked_ms), self.gates, self.gate_limit)
    }

    /// Whether nobody works on the deploy that was asked for then, nor waits to. One that waits in
    /// hand for a prod that is somebody else's, or kept for another, shows nothing of itself.
    pub(crate) fn deploy_is_left(&self, pr: PrNumber, asked_ms: Option<u64>) -> bool {
        let age = self.age(asked_ms);
        let is_kept = self.kept.as_ref().is_some_and(|(other, _)| *other != pr);
        let may_wait_in_hand = (self.prod || is_kept) && age <= self.quiet + self.deploy_limit;
        !may_wait_in_hand && self.is_left((pr, asked_ms), self.deploys, self.deploy_limit)
    }

    /// Whether a check that a look was to conclude is left: one more look costs nothing.
    pub(crate) fn look_is_left(&self, pr: PrNumber, asked_ms: Option<u64>) -> bool {
        !self.working.contains(&pr) && self.age(asked_ms) > self.quiet
    }

    fn is_left(
        &self,
        (pr, asked_ms): (PrNumber, Option<u64>),
        line: Line,
        limit: Duration,
    ) -> bool {
        let age = self.age(asked_ms);
        let bound = match line {
            Line { jobs: 0, .. } => self.quiet,
            Line { oldest: Some(oldest), .. } if oldest + TOLERANCE >= age => return false,
            Line { oldest: Some(_), .. } => self.quiet,
            // Some wait, and nobody knows for how long.
            Line { oldest: None, .. } => self.quiet + limit,
        };
        !self.working.contains(&pr) && age > bound
    }

    /// What GitHub does not date is new.
    fn age(&self, asked_ms: Option<u64>) -> Duration {
        let since = asked_ms.map_or(0, |asked_ms| self.now_ms.saturating_sub(asked_ms));
        Duration::from_millis(since)
    }
}

impl Line {
    async fn look(deps: &Deps, route: &Route, now_ms: u64) -> Result<Self, QueueError> {
        let waiting = deps.queue.waiting(route).await?;
        let oldest = match waiting.oldest {
            Some(oldest) => Some(oldest),
            None => {
                let stored_ms = deps.ledger.oldest(route).await;
                stored_ms.map(|ms| Duration::from_millis(now_ms.saturating_sub(ms)))
            }
        };
        Ok(Self { jobs: waiting.jobs, oldest })
    }
}

/// The gate's state, seen with what nobody works on: a gate check that was left is missing, or
/// broke when it was left too often.
pub(crate) async fn gate(cx: &Cx<'_>, facts: &Facts, board: &Board, state: GateState) -> GateState {
    let check = open_check(cx, facts, CheckKind::ProdPlan);
    let (GateState::Running, Some(check)) = (&state, check) else { return state };
    let Some(busy) = seen(cx, check).await else { return state };
    if !busy.gate_is_left(facts.number, check.started_ms) {
        return state;
    }
    if let Some(said) = once_more(cx, check) {
        board.say(CheckKind::ProdPlan, said);
        return GateState::Missing;
    }
    for kind in board.open().into_iter().filter(|kind| *kind != CheckKind::Deploy) {
        board.say(kind, keeping(cx, facts, kind, given_up(cx, kind)));
    }
    GateState::Broke
}

/// Whether the deploy that an open check promises has to be asked for again. What it says of that
/// is said for the deploy.
pub(crate) async fn deploy(cx: &Cx<'_>, facts: &Facts, board: &Board, id: &JobId) -> bool {
    let check = untold(cx, facts);
    let Some(check) = check.filter(|check| check.external_id == id.as_str()) else { return false };
    // Who merged it may still be cleaning up.
    let merged_ms = match &facts.state {
        PrState::Merged(commit) => commit.at_ms,
        PrState::Open | PrState::Closed => None,
    };
    let since_ms = check.started_ms.max(merged_ms);
    let Some(busy) = seen(cx, check).await else { return false };
    if !busy.deploy_is_left(facts.number, since_ms) {
        return false;
    }
    if let Err(error) = deploy::history::is_left(cx, &facts.head, "Its job was lost").await {
        // It is asked for again all the same: that counts for more than how the history reads.
        tracing::warn!(job = %cx.job.id, %error, "GitHub's history does not know that it was left");
    }
    let again = once_more(cx, check);
    let is_asked = again.is_some();
    let said = again.unwrap_or_else(|| match facts.state {
        PrState::Merged(_) => render::deploy::unseen(),
        PrState::Open | PrState::Closed => given_up(cx, CheckKind::Deploy),
    });
    board.say_for(CheckKind::Deploy, said, Some(id.clone()));
    is_asked
}

/// A merged pull request whose deploy never said how it ended: nobody else comes back to it. The
/// deploy is asked for once more, finds out what prod has, and says so.
pub(crate) async fn after_the_merge(cx: &Cx<'_>, facts: &Facts) -> Result<(), Stop> {
    let id = JobId::of_deploy(&cx.project.name, facts.number, &facts.head);
    let board = Board::new(cx, facts);
    let check = untold(cx, facts);
    if let (true, Some(check)) = (deploy(cx, facts, &board, &id).await, check) {
        deploy::ask_again(cx, facts, check).await?;
        // It waits from now on, which GitHub dates anew.
        board.say_for(CheckKind::Deploy, render::deploy::waiting(None, None), Some(id));
    }
    cx.stage(Stage::Report, board.flush()).await
}

/// The deploy's check, when it does not tell how that ended.
fn untold<'a>(cx: &Cx<'_>, facts: &'a Facts) -> Option<&'a Check> {
    if !matches!(facts.state, PrState::Merged(_)) {
        return open_check(cx, facts, CheckKind::Deploy);
    }
    let check = named(cx, facts, CheckKind::Deploy);
    check.filter(|check| render::deploy::is_untold(check.status, &check.title))
}

fn open_check<'a>(cx: &Cx<'_>, facts: &'a Facts, kind: CheckKind) -> Option<&'a Check> {
    let check = named(cx, facts, kind);
    check.filter(|check| !matches!(check.status, CheckStatus::Completed(_)))
}

fn named<'a>(cx: &Cx<'_>, facts: &'a Facts, kind: CheckKind) -> Option<&'a Check> {
    let name = checks::name(kind, &cx.project);
    facts.checks.iter().find(|check| check.name == name)
}

/// Who works on what; `None` when the check is too young to ask, or nobody can say.
async fn seen(cx: &Cx<'_>, check: &Check) -> Option<Busy> {
    let age_ms = unix_ms(cx.now()).saturating_sub(check.started_ms?);
    if Duration::from_millis(age_ms) <= cx.deps.settings.left_open_after {
        return None;
    }
    match Busy::look(cx.deps, &cx.project).await {
        Ok(busy) => Some(busy),
        Err(error) => {
            tracing::warn!(job = %cx.job.id, %error, "cannot tell whether a check was left open");
            None
        }
    }
}

/// What a check says when its job is asked for once more; `None` when that was enough.
fn once_more(cx: &Cx<'_>, check: &Check) -> Option<Said> {
    let times = times(&check.summary) + 1;
    if times > MOST_TIMES {
        return None;
    }
    cx.note(format!("{} was left open by somebody who is gone: asking for it again", check.name));
    let (status, title) = (check.status, check.title.clone());
    let summary = format!("{}\n{}", without_mark(&check.summary), mark(times));
    Some(Said { status, title, summary })
}

fn given_up(cx: &Cx<'_>, kind: CheckKind) -> Said {
    let what = format!(
        "Its job was lost {MOST_TIMES} times, and is not asked for again by itself. Look at the \
         dead letters (`sluice dead list`) and the workers' logs, then press “Re-run”, or push."
    );
    checks::broken(kind, &what, None, &cx.deps.settings.redactor)
}

const MARK: &str = "<!-- sluice:again ";

/// A hidden line that counts how often a job was asked for again. It need not be signed: who can
/// write our checks can do worse.
fn mark(times: u32) -> String {
    format!("{MARK}{times} -->")
}

fn times(summary: &str) -> u32 {
    let counted = summary.split_once(MARK).and_then(|(_, rest)| rest.split_once(" -->"));
    counted.and_then(|(times, _)| times.parse().ok()).unwrap_or_default()
}

fn without_mark(summary: &str) -> &str {
    summary.split_once(MARK).map_or(summary, |(before, _)| before).trim_end()
}

/// What a check says, with the count that it had for as long as it stays open: a job that kills its
/// worker each time must not begin to count anew each time.
pub(crate) fn still_counting(before: Option<&Said>, mut said: Said) -> Said {
    let counted = before.map_or(0, |before| times(&before.summary));
    let is_open = !matches!(said.status, CheckStatus::Completed(_));
    if is_open && counted > 0 && times(&said.summary) == 0 {
        said.summary = format!("{}\n{}", said.summary, mark(counted));
    }
    said
}

#[cfg(test)]
mod tests;
