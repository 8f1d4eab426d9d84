//! `cargo xtask fuzz`: libFuzzer on the targets of the crate `fuzz`.
//!
//! Owns how a program is built so that libFuzzer sees what code of ours a text reaches, with the
//! toolchain that is here: no nightly, no cargo-fuzz, no sanitizer (there is no unsafe code to
//! watch). It needs a C++ compiler, for libFuzzer itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::shell;

/// How long each target runs when nobody says.
const SECONDS: u64 = 60;

/// For whatever ends on its own after its seconds: libFuzzer finishes the text at hand first.
const GRACE: Duration = Duration::from_secs(60);

/// What makes coverage visible, as `cargo fuzz` asks for it too, and the code fast. All of it is
/// stable in rustc.
const INSTRUMENTED: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Copt-level=2",
];

/// Compiles one crate of ours with coverage: what cargo starts instead of rustc, with rustc's path
/// and arguments. `None` when we were started for something else.
pub(crate) fn compile(arguments: &[String]) -> Option<anyhow::Result<()>> {
    let (rustc, rest) = arguments.split_first()?;
    (Path::new(rustc).file_stem()? == "rustc").then(|| {
        let mut compile = Command::new(rustc);
        compile.args(rest);
        // Cargo also asks what rustc is; a build script runs without libFuzzer.
        let name = rest.iter().skip_while(|word| *word != "--crate-name").nth(1);
        if name.is_some_and(|name| name.starts_with("sluice")) {
            compile.args(INSTRUMENTED);
        }
        let status = compile.status().with_context(|| format!("cannot start {rustc}"))?;
        anyhow::ensure!(status.success(), "{rustc} failed");
        Ok(())
    })
}

/// Fuzzes the targets that are named, or all of them, each for the seconds given.
pub(crate) fn fuzz(arguments: &[String]) -> anyhow::Result<()> {
    let Asked { seconds, targets } = Asked::of(arguments, &all_targets()?)?;
    anyhow::ensure!(
        ["c++", "g++", "clang++"].iter().any(|name| shell::find_program(name, &[]).is_some()),
        "libFuzzer is C++: install a compiler of it (on Debian: apt-get install g++)",
    );
    let folder = shell::target_folder().join("fuzz");
    let program = build()?;
    for target in targets {
        run(&program, &folder, &target, seconds)?;
    }
    Ok(())
}

struct Asked {
    seconds: u64,
    targets: Vec<String>,
}

impl Asked {
    fn of(arguments: &[String], known: &[String]) -> anyhow::Result<Self> {
        let mut asked = Self { seconds: SECONDS, targets: Vec::new() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--seconds" => {
                    let seconds = rest.next().context("--seconds needs a number")?;
                    asked.seconds = seconds.parse().context("--seconds needs a number")?;
                    anyhow::ensure!(asked.seconds > 0, "--seconds 0 would never end");
                }
                target if known.iter().any(|name| name == target) => {
                    asked.targets.push(target.to_owned());
                }
                other => anyhow::bail!("no target {other:?}; there are {}", known.join(", ")),
            }
        }
        if asked.targets.is_empty() {
            asked.targets = known.to_vec();
        }
        Ok(asked)
    }
}

/// Each has a folder with its seeds.
fn all_targets() -> anyhow::Result<Vec<String>> {
    let folder = seeds();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn seeds() -> PathBuf {
    shell::root().join("fuzz").join("corpus")
}

/// Builds the one program of all targets, with everything of others as the tests have it: only our
/// own crates are built once more, with coverage.
fn build() -> anyhow::Result<PathBuf> {
    let package = ["build", "--workspace", "--features", "sluice-fuzz/libfuzzer"];
    let mut build = shell::cargo(&package);
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    build.args(["--bin", "sluice-fuzz"]).env("RUSTC_WORKSPACE_WRAPPER", this);
    shell::show(&mut build)?;
    Ok(shell::target_folder().join("debug").join("sluice-fuzz"))
}

/// Runs one target. What libFuzzer finds new is kept for the next run; what fails is named.
fn run(program: &Path, folder: &Path, target: &str, seconds: u64) -> anyhow::Result<()> {
    let found = folder.join("corpus").join(target);
    let failures = folder.join("failures");
    for folder in [&found, &failures] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut fuzzer = Command::new(program);
    fuzzer.arg(format!("--target={target}")).arg(&found).arg(seeds().join(target));
    fuzzer.arg(format!("-max_total_time={seconds}"));
    fuzzer.arg(format!("-artifact_prefix={}/{target}-", failures.display()));
    fuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1"]);
    let ended = shell::show_within(Duration::from_secs(seconds) + GRACE, &fuzzer);
    ended.with_context(|| {
        format!(
            "{target} does not hold: mend it, and make a seed of the text in {}",
            failures.display(),
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn asked(arguments: &[&str]) -> anyhow::Result<Asked> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        Asked::of(&arguments, &["envelope".to_owned(), "wire".to_owned()])
    }

    #[test]
    fn it_is_told_what_to_fuzz_and_for_how_long() {
        let all = asked(&[]).unwrap();
        assert_eq!((all.seconds, all.targets.len()), (SECONDS, 2));
        let one = asked(&["--seconds", "5", "wire"]).unwrap();
        assert_eq!((one.seconds, one.targets), (5, vec!["wire".to_owned()]));
        for wrong in [&["--seconds"][..], &["--seconds", "x"], &["--seconds", "0"], &["weird"]] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }
}
