//! The `sluice` binary: all verbs, no decisions.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sluice_service::{Ended, Start, exit};

mod assemble;
mod demo;
mod serve;
mod timeline;
mod verbs;

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
    /// Show what waits, who holds what since when, what is paused, and what failed for good.
    Status(verbs::Common),
    /// Take a lease from whoever has it. Its epoch rises first, so that its holder stops.
    Unlock(verbs::unlock::Unlock),
    /// Begin no deploys for now; what runs goes on.
    Pause(verbs::pause::ToPause),
    /// Begin deploys again.
    Resume(verbs::pause::ToResume),
    /// What failed for good.
    #[command(subcommand)]
    Dead(verbs::dead::Dead),
    /// Check everything that a cluster needs, and say what to do about what is missing.
    Doctor(verbs::Common),
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(match Arguments::parse().verb {
        Verb::Demo(options) => demo::run(options).await.map(|()| Ended::InOrder),
        Verb::Up(start) => serve::up(&start).await,
        Verb::Status(common) => verbs::status::run(&common).await,
        Verb::Unlock(unlock) => verbs::unlock::run(&unlock).await,
        Verb::Pause(pause) => verbs::pause::pause(&pause).await,
        Verb::Resume(resume) => verbs::pause::resume(&resume).await,
        Verb::Dead(dead) => verbs::dead::run(&dead).await,
        Verb::Doctor(common) => verbs::doctor::run(&common).await,
    })
}
