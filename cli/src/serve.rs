//! `sluice up`: producer and worker in one process, until it is told to stop.

use std::sync::Arc;

use sluice::clock::{Clock, SystemClock};
use sluice::config::Role;
use sluice_service::{Bound, Ended, Shutdown, Start, Stores};

use crate::assemble::assemble;

/// Runs everything in this process until SIGTERM or Ctrl-C.
pub(crate) async fn up(start: &Start) -> anyhow::Result<Ended> {
    let Some(config) = start.begin(&[Role::Producer, Role::Worker])? else {
        return Ok(Ended::InOrder);
    };
    sluice_worker::privacy::hide()?;
    let shutdown = Shutdown::on_signals()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = Stores::connect(&config, &sluice_service::host("sluice up"), &clock)?;
    let told = Arc::new(|line: &str| tracing::info!("{line}"));
    let environments = sluice_worker::environments(told)?;
    let all = assemble(&config, environments, stores, Vec::new())?;
    let bound = Bound::new(config.producer.listen).await?;
    tracing::info!(
        address = %bound.address(),
        projects = config.projects.len(),
        "webhooks are received at /webhooks/github, metrics are at /metrics"
    );
    Ok(all.run(bound, shutdown).await)
}
