//! The pull request's own environment, and the preview of what a deploy would do to prod.

use crate::engine::{EngineError, Fault, Plan, PlanRequest, Purpose};
use crate::lease::hold::{Lease, hold};
use crate::lease::{Wait, Wish};
use crate::names::Environment;
use crate::outcome::{Conclusion, Reason, Refusal, StageOutcome, Stop};
use crate::pipeline::apply::{Applying, apply};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, Ended, stop_of_engine};
use crate::pipeline::gate::Desk;
use crate::pipeline::judge;
use crate::render::checks::{self, CheckKind, PrEnvironment, Said};

/// What became of the pull request's environment.
pub(crate) enum Synced {
    /// It stands as this plan says.
    Plan(Box<Plan>),
    /// Nothing differs from prod.
    NoChanges,
    /// SQLMesh refuses.
    Refused(Refusal),
}

/// What became of the preview.
pub(crate) enum Preview {
    /// There is one.
    Plan(Box<Plan>),
    /// SQLMesh refuses.
    Refused(Refusal),
}

impl Ended for Synced {
    fn ended(&self) -> StageOutcome {
        match self {
            Self::Plan(_) => StageOutcome::Ok,
            Self::NoChanges => StageOutcome::Skipped,
            Self::Refused(_) => StageOutcome::Failed,
        }
    }
}

impl Ended for Preview {
    fn ended(&self) -> StageOutcome {
        match self {
            Self::Plan(plan) if plan.has_changes => StageOutcome::Ok,
            Self::Plan(_) => StageOutcome::Skipped,
            Self::Refused(_) => StageOutcome::Failed,
        }
    }
}

impl Synced {
    /// What its check run says.
    pub(crate) fn said(&self, cx: &Cx<'_>, desk: &Desk<'_>) -> Said {
        let environment = judge::pr_environment(&desk.policy.bot, &cx.project, desk.facts);
        let what = match self {
            Self::Plan(plan) => PrEnvironment::Synced(plan),
            Self::NoChanges => PrEnvironment::NoChanges,
            Self::Refused(refusal) => return refused(CheckKind::PrEnvironment, refusal),
        };
        checks::pr_environment(&environment, what)
    }
}

impl Preview {
    /// What its check run says.
    pub(crate) fn said(&self) -> Said {
        match self {
            Self::Plan(plan) if plan.has_changes => checks::prod_plan(plan),
            Self::Plan(_) => checks::skipped(CheckKind::ProdPlan, "nothing differs from prod"),
            Self::Refused(refusal) => refused(CheckKind::ProdPlan, refusal),
        }
    }
}

/// A plan that SQLMesh refuses: somebody has to act when models need a category, else it is a
/// fault.
fn refused(kind: CheckKind, refusal: &Refusal) -> Said {
    let conclusion = match refusal.reason {
        Reason::Uncategorized => Conclusion::ActionRequired,
        _ => Conclusion::Failure,
    };
    checks::plan_refused(kind, conclusion, refusal)
}

/// Plans and applies the environment, under its lease and those of every snapshot version that the
/// plan builds. When one is taken the gate gives its slot back and comes later.
pub(crate) async fn run(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    bridge: &mut Bridge,
    lease: &Lease,
) -> Result<Synced, Stop> {
    let environment = judge::pr_environment(&desk.policy.bot, &cx.project, desk.facts);
    let plan = match plan(desk, bridge, Purpose::Pr, &environment).await? {
        Ok(plan) if !plan.has_effect && plan.is_new_environment => return Ok(Synced::NoChanges),
        Ok(plan) => plan,
        Err(refusal) => return Ok(Synced::Refused(refusal)),
    };
    let wish = Wish::snapshots(lease, plan.builds.clone(), Wait::No);
    let keeper = cx.deps.keeper();
    let applied = hold(&keeper, wish, async |snapshots| {
        let applying = Applying {
            plan: &plan,
            environment: lease,
            snapshots,
            board: desk.board,
            check: CheckKind::PrEnvironment,
        };
        apply(cx, bridge, &applying).await
    });
    match applied.await {
        Ok(_) => Ok(Synced::Plan(Box::new(plan))),
        Err(Stop::Refused(mut refusals)) if refusals.len() == 1 => {
            Ok(Synced::Refused(refusals.remove(0)))
        }
        Err(stop) => Err(stop),
    }
}

/// What a deploy would do to prod, now.
pub(crate) async fn preview(desk: &Desk<'_>, bridge: &mut Bridge) -> Result<Preview, Stop> {
    let planned = plan(desk, bridge, Purpose::ProdPreview, &Environment::prod()).await?;
    Ok(match planned {
        Ok(plan) => Preview::Plan(Box::new(plan)),
        Err(refusal) => Preview::Refused(refusal),
    })
}

/// Builds a plan; SQLMesh's no is a refusal, not an error.
pub(crate) async fn plan(
    desk: &Desk<'_>,
    bridge: &mut Bridge,
    purpose: Purpose,
    environment: &Environment,
) -> Result<Result<Plan, Refusal>, Stop> {
    let request = PlanRequest {
        purpose,
        environment: environment.clone(),
        options: desk.policy.bot.clone(),
        head_branch: desk.facts.head_branch.clone(),
    };
    let plan = match bridge.session.plan(&request).await {
        Ok(plan) => plan,
        Err(EngineError::Declared { class: Fault::Uncategorized, message, .. }) => {
            return Ok(Err(Refusal::new(Reason::Uncategorized, message)));
        }
        Err(EngineError::Declared { class: Fault::Plan | Fault::Config, message, .. }) => {
            return Ok(Err(Refusal::new(Reason::PlanError, message)));
        }
        Err(error) => return Err(stop_of_engine(error, Reason::PlanError)),
    };
    if !plan.uncategorized.is_empty() {
        let models = plan.uncategorized.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>();
        return Ok(Err(Refusal::new(
            Reason::Uncategorized,
            format!(
                "These models need a change category: {}. Run `sqlmesh plan` for this environment \
                 and choose one, or let `cicd_bot.auto_categorize_changes` do it.",
                models.join(", ")
            ),
        )));
    }
    Ok(Ok(plan))
}
