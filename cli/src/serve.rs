//! `sluice up`: producer and worker in one process, until it is told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use sluice::config::{Config, Role, process_variables};
use sluice_producer::Bound;
use sluice_worker::sqlmesh::{Environments, default_folder};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::assemble::assemble;

/// Runs everything in this process until SIGTERM or Ctrl-C.
pub(crate) async fn up(path: &Path) -> anyhow::Result<()> {
    let config = load(path)?;
    log("info");
    sluice_worker::privacy::hide()?;
    let shutdown = CancellationToken::new();
    stop_on_signals(&shutdown)?;
    let told = Arc::new(|line: &str| tracing::info!("{line}"));
    let all = assemble(&config, environments(told)?, Vec::new())?;
    let bound = Bound::new(config.producer.listen).await?;
    tracing::info!(
        address = %bound.address(),
        projects = config.projects.len(),
        "webhooks are received at /webhooks/github, metrics are at /metrics"
    );
    all.run(bound, shutdown).await;
    Ok(())
}

/// Prints the configuration as it is understood, without secrets.
pub(crate) fn print_config(path: &Path) -> anyhow::Result<()> {
    anstream::print!("{}", load(path)?.redacted());
    Ok(())
}

/// Where Python environments are made, and with what.
pub(crate) fn environments(told: sluice_worker::sqlmesh::Told) -> anyhow::Result<Environments> {
    let folder = default_folder().context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(Environments { folder, base: PathBuf::from("python3"), told })
}

/// Logs to standard error, in the words of `RUST_LOG`, or from this level on.
pub(crate) fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Fires the token at the first SIGTERM or Ctrl-C.
pub(crate) fn stop_on_signals(shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: running jobs may finish");
        shutdown.cancel();
    });
    Ok(())
}

fn load(path: &Path) -> anyhow::Result<Config> {
    Ok(Config::load(Some(path), &process_variables(), &[Role::Producer, Role::Worker])?)
}
