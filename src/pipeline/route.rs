//! Which projects of a repository a pull request concerns.
//!
//! An event of a repository that holds several projects comes to one job, whatever their number:
//! this one, which reads the facts once and publishes the same job for each project that a changed
//! file belongs to. Owns what a project shows where it is not concerned: where a check of its is
//! required, it succeeds at once, so that nothing hangs. Refuses to judge.

use std::sync::Arc;

use crate::github::{
    Attempt, Check, CheckStatus, CheckWrite, Facts, PrState, Report, ReportError, Reported,
};
use crate::job::{Job, Scope};
use crate::names::ProjectName;
use crate::outcome::{Stage, Stop};
use crate::pipeline::cx::{Cx, stop_of_github};
use crate::pipeline::turn::in_turn;
use crate::policy::concern::concerns;
use crate::project::Project;
use crate::render::checks::{self, CheckKind};

/// A job that is meant for every project that is concerned.
pub(crate) async fn run(cx: &Cx<'_>) -> Result<(), Stop> {
    in_turn(cx, async || spread(cx).await).await
}

async fn spread(cx: &Cx<'_>) -> Result<(), Stop> {
    if is_of_a_group(&cx.envelope.job) {
        // Each has to say something of it where its checks are required.
        for project in siblings(cx) {
            cx.publish(cx.envelope.job.clone().of(&project.name)).await?;
        }
        return Ok(());
    }
    let facts = cx.stage(Stage::Gate, cx.facts(None)).await?;
    let (concerned, others): (Vec<_>, Vec<_>) =
        siblings(cx).into_iter().partition(|project| concerns(project, &facts.changed));
    for project in &concerned {
        cx.publish(cx.envelope.job.clone().of(&project.name)).await?;
    }
    if facts.state != PrState::Open {
        return Ok(());
    }
    pass_by(cx, &facts, &others).await
}

fn is_of_a_group(job: &Job) -> bool {
    matches!(job, Job::GateCheck(check) if check.scope == Scope::Group)
}

/// The other projects that the pull request concerns as well.
pub(crate) fn others(cx: &Cx<'_>, facts: &Facts) -> Vec<ProjectName> {
    let others = siblings(cx).into_iter().filter(|one| one.name != cx.project.name);
    others.filter(|one| concerns(one, &facts.changed)).map(|one| one.name.clone()).collect()
}

/// The projects of the repository, this one among them.
fn siblings(cx: &Cx<'_>) -> Vec<Arc<Project>> {
    let home = cx.project.repository.as_str();
    let here = |one: &&Arc<Project>| one.repository.as_str().eq_ignore_ascii_case(home);
    cx.deps.projects.iter().filter(here).cloned().collect()
}

/// Shows that the pull request changes nothing of these projects, where that is not shown yet: on
/// their checks that the base branch requires. Where no project at all is concerned, and none is
/// required, one check says so to people, and to the sweep, which looks for heads that nobody has
/// seen. To be called within a turn.
pub(crate) async fn pass_by(
    cx: &Cx<'_>,
    facts: &Facts,
    projects: &[Arc<Project>],
) -> Result<(), Stop> {
    let mut writes: Vec<CheckWrite> =
        projects.iter().flat_map(|project| required(cx, facts, project)).collect();
    let ours = siblings(cx);
    let is_seen = || {
        let names = ours.iter().flat_map(|project| checks::names(project));
        names.into_iter().any(|name| facts.checks.iter().any(|check| check.name == name))
    };
    let concerns_nobody = !ours.iter().any(|project| concerns(project, &facts.changed));
    if writes.is_empty() && concerns_nobody && !is_seen() {
        let project = projects.first().unwrap_or(&cx.project);
        writes.extend(write(cx, facts, project, CheckKind::ProdPlan));
    }
    if writes.is_empty() {
        return Ok(());
    }
    let report = Report {
        ask: cx.ask(None),
        repository_id: facts.repository_id.clone(),
        pr_id: facts.id.clone(),
        head: facts.head.clone(),
        checks: writes,
        comment: None,
        eyes: None,
        attempt: Attempt::First,
    };
    cx.stage(Stage::Report, async {
        let written = cx.deps.github.report(&report).await;
        let failed = |ReportError { source, .. }| stop_of_github(source);
        written.map(|Reported { .. }| ()).map_err(failed)
    })
    .await
}

/// The checks of a project that have to succeed before the pull request can be merged, and those of
/// its gate that stand open since it was concerned.
fn required<'a>(
    cx: &'a Cx<'_>,
    facts: &'a Facts,
    project: &'a Project,
) -> impl Iterator<Item = CheckWrite> + 'a {
    let is_required = |kind: &&CheckKind| {
        let name = checks::name(**kind, project);
        let is_open = || {
            let open = |check: &Check| !matches!(check.status, CheckStatus::Completed(_));
            **kind != CheckKind::Deploy
                && facts.checks.iter().any(|check| check.name == name && open(check))
        };
        facts.required_pending.contains(&name) || is_open()
    };
    CheckKind::ALL
        .iter()
        .filter(is_required)
        .filter_map(move |kind| write(cx, facts, project, *kind))
}

/// The check as it is to be; `None` when it is so already.
fn write(cx: &Cx<'_>, facts: &Facts, project: &Project, kind: CheckKind) -> Option<CheckWrite> {
    let (name, said) = (checks::name(kind, project), checks::not_concerned(project));
    let there = facts.checks.iter().find(|check| check.name == name);
    if there.is_some_and(|check| check.status == said.status && check.title == said.title) {
        return None;
    }
    Some(CheckWrite {
        id: there.map(|check| check.id.clone()),
        name,
        external_id: cx.job.id.clone(),
        status: said.status,
        title: said.title,
        summary: said.summary,
        details_url: None,
    })
}
