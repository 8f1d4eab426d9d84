//! The command line of `sluice-producer`.

use std::sync::Arc;

use clap::{Parser, Subcommand};
use sluice::clock::{Clock, SystemClock};
use sluice::config::{Config, Role};
use sluice::metrics::Metrics;
use sluice::names::ProjectName;
use sluice_service::{Bound, Ended, Shutdown, Start, Stores, Told, host};

use crate::{Actions, Deps, Enqueue, Settings, actions, assemble, enqueue, serve};

/// Turns GitHub's webhooks into jobs.
#[derive(Debug, Parser)]
#[command(name = "sluice-producer", version)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Receive webhooks until SIGTERM or Ctrl-C.
    Serve(Start),
    /// Ask for a job by hand.
    Enqueue {
        #[command(flatten)]
        start: Start,
        #[command(subcommand)]
        what: Enqueue,
    },
    /// Inside a step of a GitHub Actions workflow: ask for the jobs of the workflow's event, and
    /// wait for what becomes of them.
    #[command(after_help = actions::CODES)]
    Actions {
        #[command(flatten)]
        start: Start,
        #[command(flatten)]
        asked: Actions,
    },
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from starting, or a job from being stored.
pub async fn main(arguments: Arguments) -> anyhow::Result<Ended> {
    match arguments.verb {
        Verb::Serve(start) => {
            if let Some(config) = start.begin(&[Role::Producer])? {
                let Connected { settings, deps, told, .. } = connected(&config)?;
                let received = receive(settings, deps).await;
                told.close().await;
                received?;
            }
        }
        Verb::Enqueue { start, what } => {
            if let Some(config) = start.begin(&[Role::Producer])? {
                let Connected { deps, told, .. } = connected(&config)?;
                let stored = enqueue(&config, &deps, &what).await;
                told.close().await;
                anstream::println!("{}", stored?);
            }
        }
        Verb::Actions { start, asked } => return Box::pin(actions::run(&start, &asked)).await,
    }
    Ok(Ended::InOrder)
}

/// A producer, put together.
pub(crate) struct Connected {
    pub(crate) settings: Settings,
    pub(crate) deps: Deps,
    pub(crate) told: Told,
    pub(crate) stores: Stores,
}

/// A producer as the configuration says.
pub(crate) fn connected(config: &Config) -> anyhow::Result<Connected> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = Stores::connect_shared(config, &host("sluice-producer"), &clock)?;
    let projects: Vec<ProjectName> = config.projects.iter().map(|p| p.name.clone()).collect();
    let metrics = Arc::new(Metrics::new(&projects, env!("CARGO_PKG_VERSION"))?);
    let told = stores.told(vec![metrics.clone()], None);
    let (settings, deps) = assemble(config, &stores, clock, told.observer.clone(), metrics);
    Ok(Connected { settings, deps, told, stores })
}

async fn receive(settings: Settings, deps: Deps) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let bound = Bound::new(settings.listen).await?;
    tracing::info!(
        address = %bound.address(),
        "webhooks are received at /webhooks/github, metrics are at /metrics"
    );
    tokio::select! {
        () = serve(bound, settings, deps, shutdown.drain.clone()) => {}
        // Told twice: what is not stored yet is not answered with a 2xx either.
        () = shutdown.cut.cancelled() => {}
    }
    Ok(())
}
