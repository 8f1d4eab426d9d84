//! Applying a plan: the only place where an environment changes.
//!
//! It takes the leases of the environment and of every snapshot version that the plan builds as
//! proof, asks before every stage of SQLMesh's evaluator whether they all still stand and whether
//! the job may go on, and kills the session when a lease is lost.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::{Applied, EngineError, Fault, Fence, Plan, Progress, Watch};
use crate::lease::hold::Lease;
use crate::outcome::{Reason, StageOutcome, Stop};
use crate::pipeline::board::Board;
use crate::pipeline::bridge::Bridge;
use crate::pipeline::cx::{Cx, Ended, stop_of_engine};
use crate::render::checks::CheckKind;
use crate::render::deploy;

impl Ended for Applied {
    fn ended(&self) -> StageOutcome {
        if self.changed { StageOutcome::Ok } else { StageOutcome::Skipped }
    }
}

/// A plan on its way into its environment.
pub(crate) struct Applying<'a> {
    pub(crate) plan: &'a Plan,
    /// Proof that the plan's environment is ours.
    pub(crate) environment: &'a Lease,
    /// Proof that every snapshot version that the plan builds is ours, within that.
    pub(crate) snapshots: &'a Lease,
    /// Where progress is shown, and on which check.
    pub(crate) board: &'a Board,
    pub(crate) check: CheckKind,
}

/// Applies the plan while the leases stand, and reads back that the environment stands at it. When
/// a lease is lost the session is killed, and this returns only when all its processes are gone.
pub(crate) async fn apply(
    cx: &Cx<'_>,
    bridge: &mut Bridge,
    applying: &Applying<'_>,
) -> Result<Applied, Stop> {
    if !applying.plan.has_effect {
        return Ok(Applied { changed: false, plan_id: None, stages: Default::default() });
    }
    let watch = LeaseWatch {
        leases: [applying.environment, applying.snapshots],
        clock: cx.deps.clock.as_ref(),
        board: applying.board,
        check: applying.check,
        every: cx.deps.settings.progress_every,
        shown: Mutex::new(None),
        halt: &cx.halt,
    };
    let kill = bridge.kill.clone();
    let lost = applying.snapshots.lost();
    let applied = {
        let work = bridge.session.apply(applying.plan, &watch);
        tokio::pin!(work);
        tokio::select! {
            applied = &mut work => applied,
            // Fires when either is lost: the inner one ends with the outer one.
            () = lost.cancelled() => {
                kill.cancel();
                work.await
            }
        }
    };
    let applied = applied.map_err(|error| match error {
        // In the pull request's own environment SQLMesh's message says which model failed: the
        // change is at fault. A deploy that fails is tried again, since the same change was built
        // before.
        EngineError::Declared { class: Fault::Apply, message, .. }
            if applying.check == CheckKind::PrEnvironment =>
        {
            Stop::refused(Reason::PlanError, message)
        }
        error => stop_of_engine(error, Reason::PlanError),
    })?;
    if applied.changed && applied.plan_id.as_ref() != Some(&applying.plan.plan_id) {
        return Err(Stop::Broken {
            what: format!(
                "{} stands at plan {} after plan {} was applied",
                applying.plan.environment,
                applied.plan_id.as_deref().unwrap_or("none"),
                applying.plan.plan_id
            ),
            source: None,
        });
    }
    Ok(applied)
}

/// Answers the fence from the leases, and shows progress.
struct LeaseWatch<'a> {
    leases: [&'a Lease; 2],
    clock: &'a dyn Clock,
    board: &'a Board,
    check: CheckKind,
    every: Duration,
    shown: Mutex<Option<Instant>>,
    halt: &'a CancellationToken,
}

#[async_trait]
impl Watch for LeaseWatch<'_> {
    async fn may_start(&self, stage: &str) -> Fence {
        if self.halt.is_cancelled() {
            return Fence::Halt;
        }
        for lease in &self.leases {
            if !lease.is_standing() {
                return Fence::Halt;
            }
            lease.phase(stage);
        }
        Fence::Go
    }

    fn progress(&self, progress: Progress) {
        let now = self.clock.instant();
        let mut shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if shown.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            return;
        }
        *shown = Some(now);
        self.board.say(self.check, deploy::applying(&progress));
    }
}
