//! The end of a deploy: what is removed, and what people see.

use crate::engine::{Plan, Progress};
use crate::github::Facts;
use crate::lease::Obstacle;
use crate::outcome::{DeployOutcome, Reason, Stop};
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, stop_of_engine};
use crate::pipeline::deploy::Deployed;
use crate::pipeline::deploy::clear::Desk;
use crate::pipeline::deploy::merge::{Merged, NotMerged};
use crate::pipeline::judge;
use crate::pipeline::sticky;
use crate::render::checks;
use crate::render::comment::{PlanShown, State};
use crate::render::deploy::{self, Done};

/// Removes the pull request's environment, if the policy wants that, and ends the session.
pub(crate) async fn clean_up(
    cx: &Cx<'_>,
    desk: &Desk<'_>,
    facts: &Facts,
    mut bridge: Bridge,
) -> Result<(), Stop> {
    if desk.policy.bot.invalidate_environment_after_deploy {
        let environment = judge::pr_environment(&desk.policy.bot, &cx.project, facts);
        let gone = bridge.session.invalidate(&environment).await;
        gone.map_err(|error| stop_of_engine(error, Reason::PlanError))?;
    }
    bridge.close().await
}

/// Shows who has prod while this deploy waits for it.
pub(crate) fn show_waiting(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts, obstacle: &Obstacle) {
    let holder = obstacle.owner();
    desk.say(deploy::waiting(None, holder));
    let state = State::Waiting { position: None, holder };
    sticky::show(cx, &desk.board, (facts, &desk.policy), state, None);
}

/// Puts the plan that is about to be applied in front of people.
pub(crate) fn show_applying(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts, plan: &Plan) {
    let begun = Progress { phase: "starting".to_owned(), model: None, done: 0, total: 0 };
    desk.say(deploy::applying(&begun));
    let shown = Some(PlanShown::Applying(plan));
    sticky::show(cx, &desk.board, (facts, &desk.policy), State::Applying(&begun), shown);
}

/// Shows what became of the deploy. What is tried again stays in progress.
pub(crate) fn show(cx: &Cx<'_>, desk: &Desk<'_>, facts: &Facts, result: &Result<Deployed, Stop>) {
    let redactor = &cx.deps.settings.redactor;
    let comment = |state, plan| {
        sticky::show(cx, &desk.board, (facts, &desk.policy), state, plan);
    };
    match result {
        Ok(Deployed { merged: Merged::Not(not), .. }) => {
            let (why, next) = (not.why(), not.next());
            let (said, state) = match not {
                NotMerged::Elsewhere(_) => (
                    deploy::applied_merged_elsewhere(why, next),
                    State::MergedElsewhere { why, next },
                ),
                NotMerged::Refused(_) | NotMerged::HeadMoved => {
                    (deploy::applied_not_merged(why, next), State::NotMerged { why, next })
                }
            };
            desk.say(said);
            comment(state, None);
        }
        Ok(Deployed { merged: Merged::Otherwise(how), .. }) => {
            desk.say(deploy::broken(how, None, redactor));
            comment(State::Failed(how), None);
        }
        Ok(deployed) => {
            let done = deployed.done.as_ref();
            let merged = match &deployed.merged {
                Merged::As(commit) => Some(&commit.sha),
                _ => None,
            };
            desk.say(deploy::deployed(Done {
                head: &desk.job.head,
                plan: done.map(|(plan, _)| plan),
                approved_by: done.map_or(&[], |(_, cleared)| cleared.approved_by()),
                merged,
            }));
            comment(State::Deployed { merged }, done.map(|(plan, _)| PlanShown::Applied(plan)));
        }
        Err(Stop::Refused(refusals)) => {
            desk.say(deploy::refused(refusals));
            comment(State::Refused(refusals), None);
        }
        Err(Stop::Superseded(newer)) => desk.say(checks::superseded(newer)),
        Err(Stop::Broken { what, .. }) if cx.attempts_left == 0 => {
            desk.say(deploy::broken(what, None, redactor));
            comment(State::Failed(what), None);
        }
        Err(Stop::Broken { what, .. }) => desk.say(deploy::trying_again(what, redactor)),
        Err(Stop::Later { .. } | Stop::Interrupted(_)) => desk.say(deploy::waiting(None, None)),
    }
}

/// Counts the deploy when it has ended.
pub(crate) fn count(cx: &Cx<'_>, desk: &Desk<'_>, result: &Result<Deployed, Stop>) {
    let outcome = match result {
        Ok(Deployed { merged: Merged::Not(NotMerged::Refused(_)), .. }) if cx.attempts_left > 0 => {
            return;
        }
        Ok(Deployed { merged: Merged::Not(_), .. }) => DeployOutcome::AppliedNotMerged,
        Ok(Deployed { merged: Merged::Otherwise(_), .. }) => DeployOutcome::Failed,
        Ok(_) => DeployOutcome::Deployed,
        Err(Stop::Refused(_) | Stop::Superseded(_)) => DeployOutcome::Refused,
        Err(Stop::Broken { .. }) if cx.attempts_left == 0 => DeployOutcome::Failed,
        Err(_) => return,
    };
    desk.ended(cx, outcome);
}
