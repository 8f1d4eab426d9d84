//! The `sluice` binary: all verbs, no decisions.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sluice_service::{Ended, Start, exit};

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
    /// Run producer and worker in one process, until SIGTERM or Ctrl-C.
    Up(Start),
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(match Arguments::parse().verb {
        Verb::Demo(options) => demo::run(options).await.map(|()| Ended::InOrder),
        Verb::Up(start) => serve::up(&start).await,
    })
}
