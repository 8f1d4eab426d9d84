//! How running jobs are told to end once the worker is told to stop.
//!
//! Owns the levels and their times. Refuses to know what a job does about them.

use std::sync::Arc;
use std::time::Duration;

use sluice::clock::Clock;
use sluice::job::JobKind;
use sluice::pipeline::Signals;
use sluice_service::Shutdown;
use tokio_util::sync::CancellationToken;

/// How long running jobs may go on after the worker was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graces {
    /// Gate checks, looks, commands, cleanups; then they are cancelled and given back.
    pub gate: Duration,
    /// Deploys; then they stop before the next stage of SQLMesh's evaluator, and are given back.
    pub deploy: Duration,
    /// How long a deploy may take to come to such a border; then it is cancelled.
    pub border: Duration,
}

/// What sort of grace a job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Check,
    Deploy,
}

impl Kind {
    pub(super) fn of(kind: JobKind) -> Self {
        match kind {
            JobKind::Deploy => Self::Deploy,
            JobKind::Gate | JobKind::Approval | JobKind::Command | JobKind::Cleanup => Self::Check,
        }
    }
}

/// The levels that all running jobs are told.
pub(super) struct Drain {
    shutdown: Shutdown,
    halt: CancellationToken,
    cut_checks: CancellationToken,
    cut_deploys: CancellationToken,
}

impl Drain {
    /// Counts from the moment that `shutdown` says to drain. Ends with the runtime, or when all
    /// levels are told.
    pub(super) fn new(clock: &Arc<dyn Clock>, graces: Graces, shutdown: Shutdown) -> Self {
        let [cut_checks, cut_deploys] = [(); 2].map(|()| shutdown.cut.child_token());
        // A deploy that is cancelled is halted as well.
        let halt = cut_deploys.child_token();
        let drain = Self { shutdown, halt, cut_checks, cut_deploys };
        let fire = |after: Duration, level: &CancellationToken| {
            let (clock, drain) = (Arc::clone(clock), drain.shutdown.drain.clone());
            let level = level.clone();
            tokio::spawn(async move {
                drain.cancelled().await;
                tokio::select! {
                    () = clock.sleep(after) => level.cancel(),
                    () = level.cancelled() => {}
                }
            });
        };
        fire(graces.gate, &drain.cut_checks);
        fire(graces.deploy, &drain.halt);
        fire(graces.deploy + graces.border, &drain.cut_deploys);
        drain
    }

    /// Returns when the worker was told to stop.
    pub(super) async fn is_told(&self) {
        self.shutdown.drain.cancelled().await;
    }

    /// Returns when jobs of this sort are cancelled.
    pub(super) async fn is_cut(&self, kind: Kind) {
        self.cut(kind).cancelled().await;
    }

    /// Passes each level on to one job, as it comes. Never returns.
    pub(super) async fn tell(&self, kind: Kind, signals: &Signals) {
        let waits = async {
            self.is_told().await;
            signals.no_wait.cancel();
        };
        let halts = async {
            if kind == Kind::Deploy {
                self.halt.cancelled().await;
                signals.halt.cancel();
            }
        };
        let cuts = async {
            self.is_cut(kind).await;
            signals.cancel.cancel();
        };
        tokio::join!(waits, halts, cuts);
        std::future::pending::<()>().await;
    }

    fn cut(&self, kind: Kind) -> &CancellationToken {
        match kind {
            Kind::Check => &self.cut_checks,
            Kind::Deploy => &self.cut_deploys,
        }
    }
}
