//! The chores of this repository: `cargo xtask <verb>`.
//!
//! Owns what the verbs are called and what they promise. Knows nothing of what sluice does: it
//! starts cargo, and the services that tests ask for. It depends on almost nothing, so that the
//! first chore on a new machine begins within seconds.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to its terminal")]
#![expect(
    clippy::disallowed_methods,
    reason = "a chore measures and waits by the real clock; no test of sluice runs through here"
)]

mod chores;
mod conformance;
mod debian;
mod fuzz;
mod guards;
mod services;
mod shell;
mod suite;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
Chores: cargo xtask <verb>

  demo [arguments]   build and tell the story of `sluice demo`; arguments go to it
  test [filters]     every test: doc-tests, then `cargo nextest run` (or `cargo test` without it);
                     with filters only the tests whose names contain one of them, no doc-tests
  chaos [--minutes N] [--seed S]
                     people and faults at random against real worker processes, a private broker and
                     store; prints the seed; fails when an invariant did not hold
  conformance        the tests that talk to the GitHub stand-in, and the table of what they covered
                     of GitHub's own descriptions; fails when something of ours was not covered
                     (so does `test` without filters)
  descriptions       make the slice of GitHub's descriptions in conformance/descriptions anew
                     (needs npm, tar and the network)
  ci                 exactly what CI runs: fmt --check, lint, doc, deny, test, demo
  fmt [--check]      format, or with --check only say what is not formatted
  lint               clippy over every target, warnings are errors
  doc                rustdoc of the workspace, warnings are errors
  deny               licences, sources and banned crates (needs cargo-deny)
  bench cluster [jobs|webhooks|handoff|waiting|idle ...]
                     what the cluster costs, on a broker and a Redis of its own, as ratios to what
                     the machine does without it (optimised build, about 4 minutes without it)
  fuzz [--seconds N] [target ...]
                     libFuzzer on what takes text from outside, each target for N seconds (60);
                     builds with coverage on stable Rust, needs a C++ compiler; the tests run each
                     target briefly without it
  guards [group or part of a name ...]
                     takes each guard (a signature, an epoch, the pin of a merge) out of a copy of
                     what is committed, and fails when no test misses it; two minutes each
  services           find or start RabbitMQ, Redis and PostgreSQL, print their addresses, keep
                     what was started until standard input ends
  help               this text

Tests get SLUICE_TEST_PROMTOOL and SLUICE_TEST_PROMETHEUS, which read and scrape our metrics. As
root on Debian they are fetched; elsewhere they have to be installed, or left out with the tests
that need them by SLUICE_TEST_WITHOUT_PROMETHEUS=1, and a line says so (CI leaves nothing out).
They get SLUICE_TEST_AMQP_URL, SLUICE_TEST_REDIS_URL and SLUICE_TEST_POSTGRES_URL for the services
that a suite asks for (REQUIRED in xtask/src/services.rs). One that is already set is used as it is.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(compiled) = fuzz::compile(&arguments) {
        // What is wrong with a crate rustc has said.
        return if compiled.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (verb, rest) = match arguments.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest),
        None => ("help", arguments),
    };
    // `cargo xtask demo -- --keep` and `cargo xtask demo --keep` mean the same.
    let rest = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest);
    match (verb, rest) {
        ("demo", _) => chores::demo(rest),
        ("test", _) => chores::test(rest),
        ("chaos", _) => chores::chaos(rest),
        ("conformance", []) => chores::conformance(),
        ("descriptions", []) => conformance::describe(),
        ("ci", []) => chores::ci(),
        ("fmt", []) => chores::format(),
        ("fmt", [check]) if check == "--check" => chores::check_format(),
        ("lint", []) => chores::lint(),
        ("doc", []) => chores::doc(),
        ("deny", []) => chores::deny(),
        ("bench", [what, which @ ..]) if what == "cluster" => chores::bench_cluster(which),
        ("fuzz", _) => fuzz::fuzz(rest),
        ("guards", _) => guards::guards(rest),
        ("services", []) => services::serve_until_input_ends(),
        ("help" | "--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => anyhow::bail!("no such chore: {}\n\n{USAGE}", arguments.join(" ")),
    }
}
