//! What is paused, as this worker knows it.
//!
//! Owns the asking: one task for all projects, woken by changes, with a slow poll behind it.

use std::sync::Arc;
use std::time::Duration;

use sluice::names::ProjectName;
use sluice::pause::{Pause, is_paused};
use sluice::pipeline::Deps;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How old an answer may become when nobody tells of a change.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// How long is waited before pauses that could not be read are asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The shortest time between two questions.
const SETTLE: Duration = Duration::from_millis(100);

/// What is paused; `None` until it was read once: a worker that comes up while nobody can say
/// begins no deploy. (It could not get a lease either.)
pub(super) type Paused = watch::Receiver<Option<Arc<[Pause]>>>;

/// Whether a project's deploys may be taken.
pub(super) fn is_open(paused: &Option<Arc<[Pause]>>, project: &ProjectName) -> bool {
    paused.as_ref().is_some_and(|pauses| !is_paused(pauses, project))
}

/// Keeps what is paused up to date until `shutdown`.
pub(super) fn watch(deps: &Deps, shutdown: &CancellationToken) -> Paused {
    let (said, paused) = watch::channel(None);
    let deps = deps.clone();
    let shutdown = shutdown.clone();
    tokio::spawn(async move { shutdown.run_until_cancelled(ask(deps, said)).await });
    paused
}

async fn ask(deps: Deps, said: watch::Sender<Option<Arc<[Pause]>>>) {
    let mut is_away = false;
    loop {
        let began = deps.clock.instant();
        match deps.pauses.list().await {
            Ok(pauses) => {
                if is_away {
                    tracing::info!("pauses can be read again");
                }
                is_away = false;
                said.send_replace(Some(pauses.into()));
                deps.pauses.changed(ASK_EVERY.mul_f64(rand::random_range(0.5..1.0))).await;
                // Changes in quick succession, or an adapter that cannot wait, are no busy loop.
                let took = deps.clock.instant().saturating_duration_since(began);
                deps.clock.sleep(SETTLE.saturating_sub(took)).await;
            }
            Err(error) => {
                if !is_away {
                    tracing::warn!(%error, "what was paused before stays so");
                }
                is_away = true;
                deps.clock.sleep(ASK_AGAIN.mul_f64(rand::random_range(0.5..1.0))).await;
            }
        }
    }
}
