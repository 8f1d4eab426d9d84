//! The command line of `sluice-worker`.

use std::sync::Arc;

use clap::Parser;
use sluice::config::Role;
use sluice_service::{Bound, Ended, Shutdown, Start};

use crate::assemble::{Around, assemble, engine, environments};
use crate::{privacy, run};

/// Runs gate checks and deploys until SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "sluice-worker", version)]
pub struct Arguments {
    #[command(flatten)]
    start: Start,
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps the worker from starting.
pub async fn main(arguments: Arguments) -> anyhow::Result<Ended> {
    let Some(config) = arguments.start.begin(&[Role::Worker])? else { return Ok(Ended::InOrder) };
    privacy::hide()?;
    let shutdown = Shutdown::on_signals()?;
    let around = Around::shared(&config)?;
    let told = Arc::new(|line: &str| tracing::info!("{line}"));
    let environments = environments(told)?;
    let engine = |credentials| engine(&config, environments, credentials);
    let worker = assemble(&config, engine, around)?;
    let bound = Bound::new(config.worker.metrics_listen).await?;
    tracing::info!(
        address = %bound.address(),
        projects = config.projects.len(),
        "jobs are run; metrics are at /metrics"
    );
    Ok(run(bound, worker, shutdown).await)
}
