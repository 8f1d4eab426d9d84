//! A group of the base branch's merge queue: may the branch become that commit?
//!
//! Where our checks are required, GitHub asks for them on the group's commit as well. They say yes
//! to what prod runs, and to what changes nothing of the project, on top of what they have said yes
//! to before; so nothing of the project is merged that was not deployed, whoever put it into the
//! queue, whatever is in the group. Refuses to believe more of the event than which pull request it
//! is about: the group is read again.

use std::time::Duration;

use crate::clock::unix_ms;
use crate::github::{
    Attempt, Check, CheckStatus, CheckWrite, Facts, Group, MergeQueue, PrState, Report, ReportError,
};
use crate::job::GateCheck;
use crate::names::{JobId, Sha};
use crate::outcome::{Conclusion, Stage, Stop};
use crate::pipeline::cx::{Cx, stop_of_github};
use crate::pipeline::deploy::clear::reservation;
use crate::pipeline::turn::in_turn;
use crate::policy::Policy;
use crate::policy::concern::concerns;
use crate::render::checks::{self, CheckKind, Said};
use crate::render::group;

/// The group is asked for again after this long at first, where GitHub has not made it, or the one
/// before it has no answer yet; later after a fourth of the time that it has taken so far.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// No longer than this; GitHub itself gives a group up after an hour, unless told otherwise.
const NO_LONGER_THAN_MS: u64 = 45 * 60 * 1000;

/// The check of a group, as a job.
pub(crate) async fn run(cx: &Cx<'_>, check: &GateCheck) -> Result<(), Stop> {
    let Some(head) = &check.head else { return Ok(()) };
    in_turn(cx, async || look(cx, head).await).await
}

async fn look(cx: &Cx<'_>, head: &Sha) -> Result<(), Stop> {
    let facts = cx.stage(Stage::Gate, cx.facts(None)).await?;
    let group = match &facts.queue {
        MergeQueue::In { group: Some(group) } if group.head == *head => group.clone(),
        MergeQueue::In { group: None } => return later(cx, "GitHub has not made the group yet"),
        MergeQueue::In { .. } | MergeQueue::Out | MergeQueue::None => {
            cx.note("the group is in the merge queue no more");
            return Ok(());
        }
    };
    let names = asked_for(cx, &facts);
    if facts.state != PrState::Open || names.is_empty() {
        return Ok(());
    }
    let said = match below(cx, &facts, &group, &names).await? {
        Below::Yes => of_the_pull_request(cx, &facts, &names).await?,
        Below::No => same(&names, &group::on_what_was_refused()),
        Below::Unknown if is_old(cx) => same(&names, &group::on_what_is_unknown()),
        Below::Unknown => return later(cx, "the group before it is not judged yet"),
    };
    write(cx, &facts, head, said).await
}

/// Comes back in a moment, for a while.
fn later(cx: &Cx<'_>, why: &str) -> Result<(), Stop> {
    if is_old(cx) {
        cx.note(format!("{why}: given up"));
        return Ok(());
    }
    let after = AGAIN_AFTER.max(Duration::from_millis(age_ms(cx) / 4));
    Err(Stop::Later { why: why.to_owned(), after })
}

fn is_old(cx: &Cx<'_>) -> bool {
    age_ms(cx) > NO_LONGER_THAN_MS
}

fn age_ms(cx: &Cx<'_>) -> u64 {
    unix_ms(cx.now()).saturating_sub(cx.envelope.enqueued_ms)
}

/// Those of the project's checks that may be required: the head has them, or lacks them.
fn asked_for(cx: &Cx<'_>, facts: &Facts) -> Vec<String> {
    let is_asked = |name: &String| {
        facts.required_pending.contains(name) || facts.checks.iter().any(|it| it.name == *name)
    };
    checks::names(&cx.project).into_iter().filter(is_asked).collect()
}

/// What we have said of what the group is on top of.
enum Below {
    Yes,
    No,
    Unknown,
}

/// The base branch as it is was judged before it became that. Anything else is another group.
async fn below(cx: &Cx<'_>, facts: &Facts, group: &Group, names: &[String]) -> Result<Below, Stop> {
    if group.onto == facts.base {
        return Ok(Below::Yes);
    }
    let there = cx.deps.github.checks(&cx.ask(None), &group.onto).await.map_err(stop_of_github)?;
    let of = |name: &String| there.iter().find(|check| check.name == *name).map(|it| it.status);
    let statuses: Vec<Option<CheckStatus>> = names.iter().map(of).collect();
    let is = |wanted: fn(Conclusion) -> bool| {
        move |status: &Option<CheckStatus>| match status {
            Some(CheckStatus::Completed(conclusion)) => wanted(*conclusion),
            _ => false,
        }
    };
    if statuses.iter().any(is(|conclusion| !passes(conclusion))) {
        return Ok(Below::No);
    }
    // It has only those that are required, where it is none of the project's.
    let mut there = statuses.iter().filter(|status| status.is_some()).peekable();
    let is_judged = there.peek().is_some() && there.all(is(passes));
    Ok(if is_judged { Below::Yes } else { Below::Unknown })
}

fn passes(conclusion: Conclusion) -> bool {
    matches!(conclusion, Conclusion::Success | Conclusion::Neutral | Conclusion::Skipped)
}

/// What the pull request itself adds to the group.
async fn of_the_pull_request(
    cx: &Cx<'_>,
    facts: &Facts,
    names: &[String],
) -> Result<Vec<(String, Said)>, Stop> {
    if !concerns(&cx.project, &facts.changed) {
        return Ok(same(names, &checks::not_concerned(&cx.project)));
    }
    let policy = cx.policy(facts).await?;
    if !policy.can_deploy() || !policy.is_production(&facts.base_branch) {
        let as_on_head = |name: &String| {
            let check = facts.checks.iter().find(|check| check.name == *name);
            (name.clone(), group::as_on_the_head(check))
        };
        return Ok(names.iter().map(as_on_head).collect());
    }
    let said = match is_in_prod(cx, facts, &policy).await? {
        true => group::is_in_prod(&facts.head),
        false => group::is_not_in_prod(&facts.head),
    };
    Ok(same(names, &said))
}

/// Prod is kept for this head until it is merged; where sluice merges nothing, the deploy's check
/// says that it was deployed.
async fn is_in_prod(cx: &Cx<'_>, facts: &Facts, policy: &Policy) -> Result<bool, Stop> {
    if policy.bot.merge_method.is_some() {
        let kept = reservation(cx).await?;
        return Ok(kept.is_some_and(|lease| lease.kept_for.as_ref() == Some(&facts.head)));
    }
    let id = JobId::of_deploy(&cx.project.name, facts.number, &facts.head);
    let name = checks::name(CheckKind::Deploy, &cx.project);
    let is_done = |check: &Check| {
        check.name == name
            && check.external_id == id.as_str()
            && check.status == CheckStatus::Completed(Conclusion::Success)
    };
    Ok(facts.checks.iter().any(is_done))
}

fn same(names: &[String], said: &Said) -> Vec<(String, Said)> {
    names.iter().map(|name| (name.clone(), said.clone())).collect()
}

/// Shows it on the group's commit: what is there already is changed, and not made twice.
async fn write(
    cx: &Cx<'_>,
    facts: &Facts,
    head: &Sha,
    said: Vec<(String, Said)>,
) -> Result<(), Stop> {
    let there = cx.deps.github.checks(&cx.ask(None), head).await.map_err(stop_of_github)?;
    let write = |(name, said): (String, Said)| CheckWrite {
        id: there.iter().find(|check| check.name == name).map(|check| check.id.clone()),
        name,
        external_id: cx.job.id.clone(),
        status: said.status,
        title: said.title,
        summary: said.summary,
        details_url: cx.status_page(),
    };
    let report = Report {
        ask: cx.ask(None),
        repository_id: facts.repository_id.clone(),
        pr_id: facts.id.clone(),
        head: head.clone(),
        checks: said.into_iter().map(write).collect(),
        comment: None,
        eyes: None,
        attempt: Attempt::First,
    };
    cx.stage(Stage::Report, async {
        let written = cx.deps.github.report(&report).await;
        written.map(drop).map_err(|ReportError { source, .. }| stop_of_github(source))
    })
    .await
}
