//! The long, random form of the chaos suite: see `cargo xtask chaos`.
#![allow(clippy::print_stdout, reason = "it talks to its terminal")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use sluice_chaos::long::{Outcome, run};

/// People and faults at random, until the time is up; then quiet, and the invariants are checked.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// What everything that is chosen follows from; a new one when it is not said.
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("seed {seed}, {} minutes", arguments.minutes);
    let program = std::env::current_exe()?.with_file_name("sluice-chaos-worker");
    let program = program.to_str().context("the path of the program is not UTF-8")?;
    let time = Duration::from_secs(60 * arguments.minutes);
    let outcome = run(program, time, seed).await.with_context(|| format!("seed {seed}"))?;
    show(&outcome, seed);
    Ok(if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(outcome: &Outcome, seed: u64) {
    for violation in &outcome.violations {
        println!("{violation}");
    }
    println!("jobs        {}", outcome.jobs);
    println!("deploys     {}", outcome.deploys);
    println!("faults      {}", outcome.faults.values().sum::<usize>());
    for (kind, count) in &outcome.faults {
        println!("  {count:>4}  {kind}");
    }
    if let Some((took, fault)) = &outcome.recovery.slowest {
        let took = took.as_secs_f64();
        println!("slowest recovery  {took:.1} s, after: {fault}");
        println!("  (until every job that was stored and not done was handed out or ended)");
    }
    println!("not recovered     {} jobs", outcome.recovery.never);
    println!("violations  {} (seed {seed})", outcome.violations.len());
}
