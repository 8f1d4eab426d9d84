//! The programs that tests and the demo run and that cargo does not bring: Python, git, bubblewrap,
//! Prometheus.
//!
//! Owns which versions will do and the sentence that says what is missing.

use std::ffi::OsString;
use std::path::PathBuf;
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

/// Where tests find Prometheus' two programs; tests/it/prometheus.rs knows the variables and the
/// word.
const PROMETHEUS: [(&str, &str); 2] =
    [("SLUICE_TEST_PROMTOOL", "promtool"), ("SLUICE_TEST_PROMETHEUS", "prometheus")];
const LEFT_OUT: &str = "left out";

/// What a developer sets who has no Prometheus and wants the other tests all the same.
const WITHOUT: &str = "SLUICE_TEST_WITHOUT_PROMETHEUS";

/// Checks for what the tests need on top, and returns what to add to their environment: promtool,
/// which reads our metrics as Prometheus does, and Prometheus itself, which scrapes them.
///
/// # Errors
/// What is missing. Prometheus may be, where `SLUICE_TEST_WITHOUT_PROMETHEUS` is set and not on CI:
/// the tests that ask it are then left out, and a line says so.
pub(crate) fn check_for_tests() -> anyhow::Result<Vec<(&'static str, OsString)>> {
    check_for_demo()?;
    bubblewrap()?;
    let mut found = Vec::new();
    for (variable, program) in PROMETHEUS {
        if std::env::var_os(variable).is_none() {
            found.push((variable, prometheus(program)?));
        }
    }
    Ok(found)
}

/// Sees to the program that strangers' code is run apart with. It is installed, as workers look for
/// it where programs are.
fn bubblewrap() -> anyhow::Result<()> {
    if shell::find_program("bwrap", &[]).is_some() {
        return Ok(());
    }
    if debian::can_install() {
        return debian::install(&["bubblewrap"]);
    }
    anyhow::bail!("no `bwrap`\n  Debian, Ubuntu:  apt-get install bubblewrap")
}

/// Where a program of Debian's package `prometheus` is.
fn prometheus(program: &str) -> anyhow::Result<OsString> {
    if is_set(WITHOUT) {
        anyhow::ensure!(!in_ci(), "{WITHOUT} is set, and CI leaves no test out");
        println!("LEFT OUT: {program}, and the tests that ask it, as {WITHOUT} says");
        return Ok(LEFT_OUT.into());
    }
    if let Some(found) = shell::find_program(program, &[]) {
        return Ok(found.into());
    }
    if debian::can_install() {
        let path = format!("usr/bin/{program}");
        let unpacked = debian::unpack("prometheus", &path, &unpacked())
            .map_err(|error| error.context(format!("{program} cannot be had from Debian")))?;
        return Ok(unpacked.into());
    }
    anyhow::bail!(
        "no `{program}`\n  Debian, Ubuntu:  apt-get install prometheus\n  macOS:           brew \
         install prometheus\n  or set {WITHOUT}=1, and the tests that ask it are left out"
    )
}

/// Whether a CI system runs us, told in the way that all of them tell it.
pub(crate) fn in_ci() -> bool {
    is_set("CI")
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "false")
}

/// Where packages are unpacked, once for many runs.
fn unpacked() -> PathBuf {
    shell::target_folder().join("xtask-packages")
}

/// Whether `cargo <subcommand>` is installed.
pub(crate) fn has_cargo_subcommand(subcommand: &str) -> bool {
    shell::succeeds(&mut shell::cargo(&[subcommand, "--version"]), Duration::from_secs(30))
}
