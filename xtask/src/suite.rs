//! The tests, built and run: those of this repository, or of a copy of it.
//!
//! Owns what they need around them (services, programs, where our own programs are) and in which
//! order cargo is asked.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::conformance::Covered;
use crate::services::{self, Prepared};
use crate::{shell, tools};

/// For all tests and what is built for them: several times what two cores take from nothing.
const WITHIN: Duration = Duration::from_secs(60 * 60);

/// Everything around the tests. What was started for them ends with it.
pub(crate) struct Suite {
    services: Prepared,
    programs: Vec<(&'static str, OsString)>,
    place: Option<Place>,
}

/// A copy of the repository.
pub(crate) struct Place {
    /// Its root.
    pub(crate) source: PathBuf,
    /// Where cargo puts what it builds of it.
    pub(crate) target: PathBuf,
    /// Where its tests are that are run, in cargo's words.
    pub(crate) targets: &'static [&'static str],
}

impl Suite {
    /// The tests of this repository, or of a copy.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn prepared(place: Option<Place>) -> anyhow::Result<Self> {
        let programs = tools::check_for_tests()?;
        let services = services::prepare(services::REQUIRED)?;
        Ok(Self { services, programs, place })
    }

    /// Runs the tests whose names contain one of the filters; without any, all and the doc-tests.
    /// Doc-tests come first: the summary of the others is what a reader looks for.
    pub(crate) fn run(&self, filters: &[String], covered: &Covered) -> anyhow::Result<()> {
        let end = Instant::now() + WITHIN;
        let show = |mut command: Command| {
            command.envs([covered.environment()]);
            shell::show_within(end.saturating_duration_since(Instant::now()), &command)
        };
        if filters.is_empty() {
            show(self.cargo(&["test", "--quiet", "--workspace", "--doc"])?)?;
        }
        show(self.build()?)?;
        show(self.tests(filters)?)
    }

    /// Builds all, and writes what cargo says to a file; whether that worked.
    pub(crate) fn builds(&self, said: &File, limit: Duration) -> anyhow::Result<bool> {
        shell::ends_well_within(limit, &self.build()?, said)
    }

    /// Runs some tests, and writes what they say to a file; whether all of them passed.
    pub(crate) fn passes(
        &self,
        filters: &[String],
        said: &File,
        limit: Duration,
    ) -> anyhow::Result<bool> {
        shell::ends_well_within(limit, &self.tests(filters)?, said)
    }

    /// With the tests, so that all of them are built for the same features and nothing twice.
    fn build(&self) -> anyhow::Result<Command> {
        let mut build = self.cargo(&["build", "--quiet", "--workspace", "--bins"])?;
        build.args(self.place.as_ref().map_or(&["--tests"][..], |place| place.targets));
        Ok(build)
    }

    fn tests(&self, filters: &[String]) -> anyhow::Result<Command> {
        let targets = self.place.as_ref().map(|place| place.targets);
        let mut run;
        if tools::has_cargo_subcommand("nextest") {
            let profile = if tools::in_ci() { "ci" } else { "default" };
            run = self.cargo(&["nextest", "run", "--workspace", "--profile", profile])?;
            run.args(targets.unwrap_or_default());
        } else {
            println!("no cargo-nextest here: `cargo test` runs the same tests, with one limit");
            run = self.cargo(&["test", "--workspace", "--no-fail-fast"])?;
            run.args(targets.unwrap_or(&["--all-targets"])).arg("--");
        }
        run.args(filters);
        Ok(run)
    }

    fn cargo(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut cargo = shell::cargo(arguments);
        cargo.envs(self.services.environment()).envs(self.programs.clone());
        let binaries = match &self.place {
            Some(Place { source, target, .. }) => {
                cargo.current_dir(source).env("CARGO_TARGET_DIR", target);
                // It is built again and again with a line that differs.
                cargo.env("CARGO_INCREMENTAL", "1");
                target.join("debug")
            }
            // Cargo puts them beside this one.
            None => {
                let this = std::env::current_exe().context("cannot tell where this program is")?;
                this.parent().map(Path::to_owned).context("this program is in no folder")?
            }
        };
        cargo.env("SLUICE_TEST_BINARIES", binaries);
        Ok(cargo)
    }
}
