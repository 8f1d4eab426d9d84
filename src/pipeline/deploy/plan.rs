//! The plan that is to be applied: head merged into the *current* base, tested as merged, and
//! doing nothing directly that people did not see in its preview.

use crate::engine::{Plan, Purpose};
use crate::github::Facts;
use crate::names::Environment;
use crate::outcome::{Reason, Refusal, Stage, StageOutcome, Stop};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, Ended};
use crate::pipeline::deploy::clear::{Desk, Read};
use crate::pipeline::gate;
use crate::pipeline::gate::tests::{Sound, run_lint, run_tests};
use crate::pipeline::judge;
use crate::render::checks::{self, CheckKind};

impl Ended for Plan {
    fn ended(&self) -> StageOutcome {
        if self.has_effect { StageOutcome::Ok } else { StageOutcome::Skipped }
    }
}

/// A plan, with the session that built it and the facts that it was built on.
pub(crate) struct Planned {
    pub(crate) bridge: Bridge,
    pub(crate) plan: Plan,
    pub(crate) facts: Facts,
    pub(crate) resumes: bool,
}

impl Planned {
    /// An earlier try of this deploy was cleared, and prod runs what it applied.
    pub(crate) fn leaves_the_merge(&self) -> bool {
        self.resumes && !self.plan.has_changes
    }
}

/// Opens the checkout and builds the plan, under the lease. Unless only the merge is left to do,
/// the gate must have a result for this head, the merged tree must be sound, and the plan must do
/// nothing directly that its preview did not show.
pub(crate) async fn run(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    Read { facts, resumes }: Read,
) -> Result<Planned, Stop> {
    desk.say(checks::running(CheckKind::Deploy));
    let mut bridge = cx.stage(Stage::Checkout, Bridge::open(cx, &facts)).await?;
    cx.stage(Stage::Load, bridge.load()).await?;
    let plan = cx.stage(Stage::Plan, plan(desk, &facts, &mut bridge)).await?;
    let mut planned = Planned { bridge, plan, facts, resumes };
    if planned.leaves_the_merge() {
        return Ok(planned);
    }
    let gate = judge::gate_state(&planned.facts, &cx.project, &cx.deps.settings.seal);
    let Some(gate) = gate.result() else {
        return Err(Stop::refused(Reason::GateMissing, "The gate has no result for this head."));
    };
    if planned.bridge.session.checkout().tree != gate.tree {
        test_again(cx, desk, &mut planned.bridge).await?;
    }
    // Nothing that this change does directly is left to do, such as after an apply that was stopped
    // on its way: then there is nothing to have been previewed otherwise.
    let does = &planned.plan.digest_input;
    let unforeseen = if does.is_empty() { Vec::new() } else { gate.unforeseen(does) };
    if !unforeseen.is_empty() {
        return Err(Stop::Refused(vec![plan_changed(&unforeseen)]));
    }
    Ok(planned)
}

/// The base has moved since the gate: what is deployed is tested as merged.
async fn test_again(cx: &Cx<'_>, desk: &Desk<'_>, bridge: &mut Bridge) -> Result<(), Stop> {
    cx.note("the base has moved since the gate: testing the merged tree");
    let mut wrong = Vec::new();
    if desk.policy.linter {
        let lint = cx.stage(Stage::Lint, run_lint(bridge)).await?;
        wrong.extend(lint.errors);
    }
    let tests = cx.stage(Stage::Test, run_tests(bridge)).await?;
    if !tests.is_sound() {
        wrong.extend(tests.failures.into_iter().map(|failure| failure.name));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Stop::refused(
        Reason::TestsFailed,
        format!(
            "Merged into the current base, this change fails: {}. Merge the base branch into it \
             and mend that.",
            wrong.join("; ")
        ),
    ))
}

/// The prod plan.
async fn plan(desk: &Desk<'_>, facts: &Facts, bridge: &mut Bridge) -> Result<Plan, Stop> {
    let at = gate::Desk { facts, policy: &desk.policy, board: &desk.board };
    let prod = Environment::prod();
    let planned = gate::pr_environment::plan(&at, bridge, Purpose::Prod, &prod).await?;
    planned.map_err(|refusal| Stop::Refused(vec![refusal]))
}

/// What the base branch alone would change in prod.
pub(crate) async fn of_base(
    desk: &Desk<'_>,
    facts: &Facts,
    bridge: &mut Bridge,
) -> Result<Plan, Stop> {
    let at = gate::Desk { facts, policy: &desk.policy, board: &desk.board };
    let prod = Environment::prod();
    let planned = gate::pr_environment::plan(&at, bridge, Purpose::ProdPreview, &prod).await?;
    planned.map_err(|refusal| Stop::Refused(vec![refusal]))
}

fn plan_changed(unforeseen: &[String]) -> Refusal {
    Refusal::new(
        Reason::PlanChanged,
        format!(
            "The plan changed since it was approved. {} Look at the new preview, and approve again \
             if it is what you want.",
            unforeseen.join(" ")
        ),
    )
}
