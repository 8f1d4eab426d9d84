//! The chores that are cargo with the right words.
//!
//! Owns the flags; `.ci/run` and a developer call the same functions, so neither can drift.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::conformance::{self, Covered};
use crate::suite::Suite;
use crate::{shell, tools};

/// For the demo and the Python packages that it installs: a few minutes on a slow network.
const DEMO_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Builds and runs `sluice demo`, after a look at what it needs.
pub(crate) fn demo(arguments: &[String]) -> anyhow::Result<()> {
    tools::check_for_demo()?;
    shell::show(told().args(arguments))
}

/// The demo as CI tells it: to its end, which has to come.
fn demo_in_time() -> anyhow::Result<()> {
    tools::check_for_demo()?;
    shell::show_within(DEMO_WITHIN, &told())
}

fn told() -> Command {
    let run = ["run", "--quiet", "--package", "sluice-cli", "--bin", "sluice", "--", "demo"];
    shell::cargo(&run)
}

/// Builds the roles as a release runs them (but for the slow end of the linking) and measures them.
pub(crate) fn bench_cluster(which: &[String]) -> anyhow::Result<()> {
    let profile = "bench-fast";
    let packages = ["--package", "sluice-bench", "--package", "sluice-worker"];
    shell::show(shell::cargo(&["build", "--bins", "--profile", profile]).args(packages))?;
    println!("profile: {profile}");
    let folder = shell::target_folder().join(profile);
    let mut bench = Command::new(folder.join("sluice-bench"));
    shell::show(bench.args(which).env("SLUICE_BENCH_WORKER", folder.join("sluice-worker")))
}

/// Runs the tests.
pub(crate) fn test(filters: &[String]) -> anyhow::Result<()> {
    let covered = Covered::nothing_yet()?;
    Suite::prepared(None)?.run(filters, &covered)?;
    if filters.is_empty() { covered.tell() } else { Ok(()) }
}

/// Runs the tests that talk to the stand-in, and tells what they covered.
pub(crate) fn conformance() -> anyhow::Result<()> {
    let covered = Covered::nothing_yet()?;
    Suite::prepared(None)?.run(&conformance::TESTS.map(str::to_owned), &covered)?;
    covered.tell()
}

/// The long, random form of the chaos suite.
pub(crate) fn chaos(arguments: &[String]) -> anyhow::Result<()> {
    shell::show(&mut shell::cargo(&["build", "--quiet", "--package", "sluice-chaos", "--bins"]))?;
    let run = ["run", "--quiet", "--package", "sluice-chaos", "--bin", "sluice-chaos", "--"];
    shell::show(shell::cargo(&run).args(arguments))
}

/// A chore without arguments.
type Chore = fn() -> anyhow::Result<()>;

/// What CI runs, in order, with the time that each phase took.
pub(crate) fn ci() -> anyhow::Result<()> {
    let phases: [(&str, Chore); 6] = [
        ("fmt", check_format),
        ("lint", lint),
        ("doc", doc),
        ("deny", deny_if_installed),
        ("test", || test(&[])),
        ("demo", demo_in_time),
    ];
    let mut timings = Vec::new();
    for (name, phase) in phases {
        let began = Instant::now();
        let result = phase();
        timings.push(timing_line(name, began.elapsed()));
        if let Err(error) = result {
            println!("{}", timings.join("\n"));
            return Err(error.context(format!("the phase `{name}` failed")));
        }
    }
    println!("{}", timings.join("\n"));
    Ok(())
}

/// Formats every crate.
pub(crate) fn format() -> anyhow::Result<()> {
    shell::show(&mut shell::cargo(&["fmt", "--all"]))
}

/// Says what is not formatted, and fails if anything is not.
pub(crate) fn check_format() -> anyhow::Result<()> {
    shell::show(&mut shell::cargo(&["fmt", "--all", "--check"]))
}

/// Clippy over everything, tests included.
pub(crate) fn lint() -> anyhow::Result<()> {
    let lint = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::show(&mut shell::cargo(&lint))
}

/// The documentation, in which a broken link is an error.
pub(crate) fn doc() -> anyhow::Result<()> {
    let mut doc = shell::cargo(&["doc", "--quiet", "--workspace", "--no-deps"]);
    shell::show(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The parts of cargo-deny that need no network.
pub(crate) fn deny() -> anyhow::Result<()> {
    println!("advisories are left out: their database is fetched from the network");
    let check = ["deny", "--all-features", "check", "bans", "licenses", "sources"];
    shell::show(&mut shell::cargo(&check))
}

/// Building cargo-deny takes longer than all other phases together, so CI does not.
fn deny_if_installed() -> anyhow::Result<()> {
    if tools::has_cargo_subcommand("deny") {
        return deny();
    }
    println!("LEFT OUT: deny (cargo-deny is not installed: `cargo install --locked cargo-deny`)");
    Ok(())
}

fn timing_line(phase: &str, took: Duration) -> String {
    format!("time: {phase:<6} {:>6.1} s", took.as_secs_f64())
}
