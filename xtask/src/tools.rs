//! The programs that tests and the demo run and that cargo does not bring: Python, git, promtool.
//!
//! Owns which versions will do and the sentence that says what is missing.

use std::process::Command;
use std::time::Duration;

use crate::{debian, shell};

/// SQLMesh projects run on 3.11 or later here; ensurepip is what Debian splits off from venv.
const PYTHON_WILL_DO: &str =
    "import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 11) else 1)";

const MISSING_PYTHON: &str = "\
no Python that will do: `python3` must be 3.11 or later and have the modules venv and ensurepip
  Debian, Ubuntu:  apt-get install python3 python3-venv
  macOS:           brew install python@3.12";

/// Checks for what every run needs: Python with venv, and git.
///
/// # Errors
/// Everything that is missing, at once, each with what to install.
pub(crate) fn check_for_demo() -> anyhow::Result<()> {
    let limit = Duration::from_secs(30);
    let mut missing = Vec::new();
    if !shell::succeeds(Command::new("python3").args(["-c", PYTHON_WILL_DO]), limit) {
        missing.push(MISSING_PYTHON);
    }
    if !shell::succeeds(Command::new("git").arg("--version"), limit) {
        missing.push("no `git`\n  install git 2.38 or later (merges without a working tree)");
    }
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

/// Checks for what the tests need on top: promtool, which reads our metrics as Prometheus does.
///
/// # Errors
/// What is missing; promtool only where it cannot be installed from here.
pub(crate) fn check_for_tests() -> anyhow::Result<()> {
    check_for_demo()?;
    if shell::find_program("promtool", &[]).is_none() {
        println!("no `promtool` here, and a test asks it whether our metrics are well formed");
        debian::install(&["prometheus"]).map_err(|error| {
            error.context("no `promtool`: install Prometheus (Debian: apt-get install prometheus)")
        })?;
    }
    Ok(())
}

/// Whether `cargo <subcommand>` is installed.
pub(crate) fn has_cargo_subcommand(subcommand: &str) -> bool {
    shell::succeeds(&mut shell::cargo(&[subcommand, "--version"]), Duration::from_secs(30))
}
