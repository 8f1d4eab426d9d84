//! What a closed pull request leaves behind: its environment.

use crate::engine::Source;
use crate::github::{CheckStatus, Facts, PrState};
use crate::job::Cleanup;
use crate::outcome::{Conclusion, Reason, Stage, Stop};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, stop_of_engine};
use crate::pipeline::deploy::{clear, free};
use crate::pipeline::judge;
use crate::render::checks::{self, CheckKind};

/// The cleanup, as a job. A deploy that merged the pull request cleans up itself, and frees prod
/// while it has it; one that is gone left that to whoever comes first.
pub(crate) async fn run(cx: &Cx<'_>, job: &Cleanup) -> Result<(), Stop> {
    let undertaken = cx.deps.ledger.is_cleanup_undertaken(&job.project, job.pr).await;
    if undertaken && clear::reservation(cx).await?.is_none() {
        return Ok(());
    }
    let facts = cx.stage(Stage::Gate, cx.facts(None)).await?;
    if matches!(facts.state, PrState::Merged(_)) && clear::reservation(cx).await?.is_some() {
        free::merged(cx, &facts).await?;
    }
    if undertaken || facts.state == PrState::Open || was_deployed(cx, &facts) {
        cx.note("there is nothing to clean up");
        return Ok(());
    }
    let policy = cx.policy(&facts).await?;
    let environment = judge::pr_environment(&policy.bot, &cx.project, &facts);
    let mut bridge = cx.stage(Stage::Checkout, Bridge::at_base(cx, &facts)).await?;
    cx.stage(Stage::Load, bridge.load()).await?;
    let invalidate = async {
        let gone = bridge.session.invalidate(&environment).await;
        gone.map_err(|error| stop_of_engine(error, Reason::PlanError))
    };
    cx.stage(Stage::Cleanup, invalidate).await?;
    bridge.close().await
}

/// Our own deploy check says that a deploy got to its end, cleanup included.
fn was_deployed(cx: &Cx<'_>, facts: &Facts) -> bool {
    let name = checks::name(CheckKind::Deploy, &cx.project);
    let done = CheckStatus::Completed(Conclusion::Success);
    facts.checks.iter().any(|check| check.name == name && check.status == done)
}

impl Bridge {
    /// The base alone: what is left to do needs the project, not the change.
    pub(crate) async fn at_base(cx: &Cx<'_>, facts: &Facts) -> Result<Self, Stop> {
        let source = Source {
            project: std::sync::Arc::clone(&cx.project),
            pr: facts.number,
            base_branch: facts.base_branch.clone(),
            base: facts.base.clone(),
            head: facts.base.clone(),
            confined: false,
        };
        Self::of(cx, &source).await
    }
}
