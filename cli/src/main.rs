//! The `sluice` binary: all verbs, no decisions.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod assemble;
mod demo;
mod serve;
mod timeline;

/// Approval gates and serialized production deploys for SQLMesh projects on GitHub.
#[derive(Parser)]
#[command(name = "sluice", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show the whole main job on this machine: real SQLMesh, real git, a GitHub stand-in.
    Demo(demo::Options),
    /// Run producer and worker in one process, with the queue and the leases in memory.
    Up {
        /// The configuration.
        #[arg(long, default_value = "sluice.toml")]
        config: PathBuf,
        /// Print the configuration as it is understood, without secrets, and stop.
        #[arg(long)]
        print_config: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Demo(options) => demo::run(options).await,
        Verb::Up { config, print_config: true } => serve::print_config(&config),
        Verb::Up { config, print_config: false } => serve::up(&config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::debug!(?error, "the verb failed");
            anstream::eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
