//! `cargo xtask bench cluster`: what sluice costs on a real broker and a real Redis, as ratios to
//! what the same machine does without it.
//!
//! Owns the order of the measurements and how they are shown. Everything runs on servers of its
//! own, which end with it.
#![allow(clippy::print_stdout, reason = "it talks to its terminal")]

mod bare;
mod figures;
mod handoff;
mod idle;
mod jobs;
mod machine;
mod still;
mod waiting;
mod webhooks;

use machine::Machine;

fn main() -> anyhow::Result<()> {
    // As in production, every job says how it ended; here nobody listens.
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    println!("build: {}", build());
    let machine = Machine::start()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().build()?.block_on(measure(&machine))
}

/// All measurements, or those that are named.
async fn measure(machine: &Machine) -> anyhow::Result<()> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| named.is_empty() || named.iter().any(|wanted| wanted == name);
    machine.thaw().await?;
    for prefetch in [16, 64].into_iter().filter(|_| is_wanted("jobs")) {
        println!("{}", Box::pin(jobs::measure(machine, prefetch)).await?);
    }
    if is_wanted("webhooks") {
        println!("{}", Box::pin(webhooks::measure(machine)).await?);
    }
    if is_wanted("handoff") {
        println!("{}", Box::pin(handoff::measure(machine)).await?);
    }
    if is_wanted("waiting") {
        println!("{}", Box::pin(waiting::measure(machine)).await?);
    }
    if is_wanted("idle") {
        println!("{}", Box::pin(idle::measure(machine)).await?);
    }
    Ok(())
}

fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug: the figures mean nothing" } else { "optimised" }
}
