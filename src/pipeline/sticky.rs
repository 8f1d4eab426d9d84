//! The sticky comment of a pull request, put together from what a job knows.

use crate::github::Facts;
use crate::pipeline::board::Board;
use crate::pipeline::cx::Cx;
use crate::pipeline::judge;
use crate::policy::Policy;
use crate::policy::approval;
use crate::render::comment::{self, CommentView, PlanShown, State};
use crate::seal::GateOutcome;

/// Puts the comment on the board; it is written with the board's next write, if it changed.
pub(crate) fn show(
    cx: &Cx<'_>,
    board: &Board,
    (facts, policy): (&Facts, &Policy),
    state: State<'_>,
    plan: Option<PlanShown<'_>>,
) {
    let gate = judge::gate_state(facts, &cx.project, &cx.deps.settings.seal);
    let synced = gate.result().is_some_and(|gate| gate.outcome == GateOutcome::Passed);
    let environment = judge::pr_environment(&policy.bot, &cx.project, facts);
    let approval = approval::decide(facts, policy, &cx.project);
    let before = facts.comment.as_ref().map(|comment| comment::earlier(&comment.body));
    let deployable = policy.can_deploy() && policy.is_production(&facts.base_branch);
    let view = CommentView {
        head: &facts.head,
        state,
        environment: synced.then_some(&environment),
        policy: deployable.then_some(policy),
        approval: Some(&approval),
        plan,
        earlier: before.unwrap_or_default(),
    };
    board.comment(comment::render(&view, &comment::marker(&cx.project)));
}
