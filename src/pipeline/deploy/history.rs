//! GitHub's own history of what was deployed: one entry for each deploy that began to apply.
//!
//! An entry says whether prod runs the head; its words say what became of the merge. It is open
//! from the apply until the deploy has ended, however many tries that takes, and none stays so.
//! Refuses to decide anything, and to stop a deploy that may not be shown there.

use std::sync::OnceLock;

use crate::github::{
    Attempt, Check, CheckStatus, DeploymentId, DeploymentState, DeploymentWrite, Facts,
    GitHubError, PrState,
};
use crate::names::{Environment, Sha};
use crate::outcome::Stop;
use crate::pipeline::cx::{Cx, stop_of_github};
use crate::pipeline::deploy::Deployed;
use crate::pipeline::deploy::merge::Merged;
use crate::project::{Project, SharesRepository};
use crate::render::checks::{self, CheckKind};

/// What this try knows of its entry.
pub(crate) struct Entry {
    id: OnceLock<DeploymentId>,
    /// Whether the check shows that an earlier try may have made it: each says that it applies
    /// before it does.
    may_exist: bool,
}

impl Entry {
    /// What the facts say of it that a try begins with.
    pub(crate) fn of(cx: &Cx<'_>, facts: &Facts) -> Self {
        let name = checks::name(CheckKind::Deploy, &cx.project);
        let is_new = |check: &Check| {
            check.status == CheckStatus::Queued && check.external_id == cx.job.id.as_str()
        };
        let mut ours = facts.checks.iter().filter(|check| check.name == name);
        let is_first = cx.attempts_left == cx.deps.settings.retry.left(0);
        Self { id: OnceLock::new(), may_exist: !is_first || !ours.all(is_new) }
    }
}

/// How it ended, in GitHub's terms.
type End = (DeploymentState, String);

/// The plan is about to be applied. What fails here costs the entry, not the deploy.
///
/// Where none of an earlier try can be, none is looked for: `was_reserved` is what each leaves
/// behind that has something to apply.
pub(crate) async fn begins(cx: &Cx<'_>, (entry, head): (&Entry, &Sha), was_reserved: bool) {
    // A plan that is made once more is of the same deploy.
    if entry.id.get().is_some() || !cx.mandate.stands() {
        return;
    }
    let begun = (DeploymentState::InProgress, "Applying the plan".to_owned());
    let mut write = write(cx, head, None, begun);
    if !entry.may_exist && !was_reserved {
        write.attempt = Attempt::First;
    }
    match cx.deps.github.deployment(&write).await {
        Ok(Some(id)) => _ = entry.id.set(id),
        Ok(None) => {}
        Err(error) => cx.note(format!("GitHub's deployments do not show this one: {error}")),
    }
}

/// Tells how the deploy ended. What is tried again stays in progress.
pub(crate) async fn ends(
    cx: &Cx<'_>,
    (entry, head): (&Entry, &Sha),
    result: &Result<Deployed, Stop>,
) -> Result<(), Stop> {
    let Some(end) = end(cx, result) else { return Ok(()) };
    tell(cx, write(cx, head, entry.id.get().copied(), end)).await
}

/// A deploy that was told already: its entry as well, if its worker came to that.
pub(crate) async fn was_told(cx: &Cx<'_>, facts: &Facts) -> Result<(), Stop> {
    let PrState::Merged(commit) = &facts.state else { return Ok(()) };
    tell(cx, write(cx, &facts.head, None, merged_as(&commit.sha))).await
}

/// Nobody goes on with what an earlier try of this head's deploy may have begun: whoever comes
/// after it begins anew.
pub(crate) async fn is_left(cx: &Cx<'_>, head: &Sha, why: &str) -> Result<(), Stop> {
    tell(cx, write(cx, head, None, (DeploymentState::Error, why.to_owned()))).await
}

/// Only what may pass is worth another try, while there is one.
async fn tell(cx: &Cx<'_>, write: DeploymentWrite) -> Result<(), Stop> {
    match cx.deps.github.deployment(&write).await {
        Ok(_) | Err(GitHubError::NotFound(_) | GitHubError::Forbidden(_)) => Ok(()),
        Err(error @ GitHubError::Unavailable { .. }) if cx.attempts_left > 0 => {
            Err(stop_of_github(error))
        }
        Err(error @ GitHubError::Limited { .. }) => Err(stop_of_github(error)),
        Err(error) => {
            cx.note(format!("GitHub's deployments do not show how this one ended: {error}"));
            Ok(())
        }
    }
}

fn end(cx: &Cx<'_>, result: &Result<Deployed, Stop>) -> Option<End> {
    let is_last = cx.attempts_left == 0;
    Some(match result {
        Ok(Deployed { merged: Merged::As(commit), .. }) => merged_as(&commit.sha),
        Ok(Deployed { merged: Merged::NotWanted, .. }) => {
            (DeploymentState::Success, "Deployed".to_owned())
        }
        Ok(Deployed { merged: Merged::Otherwise(_), .. }) => {
            (DeploymentState::Success, "Deployed; merged with another tree".to_owned())
        }
        Ok(Deployed { merged: Merged::Not(not), .. }) if is_last || not.is_final() => {
            (DeploymentState::Success, format!("Deployed, not merged: {}", not.why()))
        }
        Err(Stop::Refused(why)) => {
            let first = why.first().map_or("Not deployed", |refusal| refusal.sentence.as_str());
            (DeploymentState::Failure, first.to_owned())
        }
        Err(Stop::Broken { what, .. }) if is_last => (DeploymentState::Error, what.clone()),
        Ok(Deployed { merged: Merged::Not(_), .. }) | Err(_) => return None,
    })
}

fn merged_as(commit: &Sha) -> End {
    (DeploymentState::Success, format!("Deployed, and merged as {}", commit.short()))
}

fn write(
    cx: &Cx<'_>,
    head: &Sha,
    known: Option<DeploymentId>,
    (state, description): End,
) -> DeploymentWrite {
    let line = description.lines().next().unwrap_or_default();
    DeploymentWrite {
        ask: cx.ask(None),
        head: head.clone(),
        environment: environment(&cx.project),
        task: format!("deploy:{}", cx.project.name),
        known,
        attempt: if known.is_some() { Attempt::First } else { Attempt::Again },
        state,
        description: cx.deps.settings.redactor.redact(line).into_owned(),
        log_url: cx.status_page(),
    }
}

/// Named as check runs are: with the project where the repository holds several.
fn environment(project: &Project) -> String {
    let prod = Environment::prod();
    match project.shares_repository {
        SharesRepository::No => prod.to_string(),
        SharesRepository::Yes => format!("{prod} ({})", project.name),
    }
}
