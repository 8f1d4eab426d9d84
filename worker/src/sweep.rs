//! The sweeping of open pull requests: when, and by whom of all workers.
//!
//! Owns the interval. Refuses to know what a sweep looks for: that is
//! [`sluice::pipeline::sweep`]'s.

use std::time::Duration;

use sluice::github::Redelivered;
use sluice::pipeline::Deps;
use sluice::pipeline::missed::Missed;
use sluice::pipeline::sweep::{Sweeper, Swept};
use tokio_util::sync::CancellationToken;

/// How long a sweep may take where the interval is shorter, which the configuration refuses: it
/// must not be cut off each time.
const AT_LEAST: Duration = Duration::from_secs(60);

/// Sweeps every repository now and then every `sweep_every`, more or less, until `shutdown`. Of all
/// workers that share their leases one does it each time. A sweep that fails is logged here and
/// counted, and stops nothing.
pub async fn run(deps: Deps, shutdown: CancellationToken) {
    let every = deps.settings.sweep_every;
    if every.is_zero() {
        return;
    }
    let (mut sweepers, mut missed) = (Sweeper::of_all(&deps), Missed::default());
    loop {
        // Whoever sweeps the first repository looks for what was missed of all of them.
        let mut looks = Some(&mut missed);
        for sweeper in &mut sweepers {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sweep(&deps, sweeper, looks.take()) => {}
                () = deps.clock.sleep(every.max(AT_LEAST)) => {
                    let repository = sweeper.repository();
                    tracing::warn!(%repository, "a sweep took too long, and begins anew later");
                }
            }
        }
        let pause = every.mul_f64(rand::random_range(0.9..1.1));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = deps.clock.sleep(pause) => {}
        }
    }
}

async fn sweep(deps: &Deps, sweeper: &mut Sweeper, missed: Option<&mut Missed>) {
    let swept = match sweeper.is_due(deps).await {
        Ok(true) => {
            if let Some(missed) = missed {
                ask_again(deps, missed).await;
            }
            sweeper.sweep(deps).await
        }
        Ok(false) => return,
        Err(error) => Err(error),
    };
    let repository = sweeper.repository();
    match swept {
        Ok(swept) => {
            let Swept { pulls, looks, cleanups } = swept;
            tracing::debug!(%repository, pulls, looks, cleanups, "swept");
        }
        Err(error) => {
            let why = error.to_string();
            let why = deps.settings.redactor.redact(&why);
            tracing::warn!(%repository, %why, "a sweep failed");
        }
    }
}

async fn ask_again(deps: &Deps, missed: &mut Missed) {
    match missed.ask_again(deps).await {
        Ok(Some(redelivered)) if redelivered.again > 0 => {
            let Redelivered { seen, again, .. } = redelivered;
            tracing::info!(seen, again, "GitHub sends webhooks again that it could not deliver");
        }
        Ok(_) => {}
        Err(error) => {
            let why = error.to_string();
            let why = deps.settings.redactor.redact(&why);
            tracing::warn!(%why, "GitHub did not say which webhooks it could not deliver");
        }
    }
}
