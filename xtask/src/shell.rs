//! How a chore starts a program: its output shown.
//!
//! Owns the repository's root. Knows no program by name, except cargo.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
pub(crate) use sluice_rig::program::{capture, describe, find_program, succeeds, wait_for};
use sluice_rig::{EndsOn, leash};

/// The root of the workspace, wherever the chore was started from.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The cargo that started us (so that the toolchain stays the same), in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from))
}

/// Runs `command` with its output shown; an error when it does not succeed.
///
/// It reads nothing: a program that asks a question must fail, not hang a machine.
pub(crate) fn show(command: &mut Command) -> anyhow::Result<()> {
    let line = describe(command);
    println!("==> {line}");
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start: {line}"))?;
    anyhow::ensure!(status.success(), "failed ({status}): {line}");
    Ok(())
}

/// How long a program may take to end when it is told to: the leash's ten seconds, and some more.
const END_LIMIT: Duration = Duration::from_secs(15);

/// As [`show`], but at `limit`, or when we end, `command` ends with all that it has started.
///
/// For what may hang: a machine of CI has better things to do.
pub(crate) fn show_within(limit: Duration, command: &Command) -> anyhow::Result<()> {
    let line = describe(command);
    println!("==> {line}");
    let status = status_within(limit, command, None)?;
    anyhow::ensure!(status.success(), "failed ({status}): {line}");
    Ok(())
}

/// Whether `command` ends well; `said` gets its output.
///
/// # Errors
/// It cannot start, or outlasts `limit`: then it is ended with all that it has started.
pub(crate) fn ends_well_within(
    limit: Duration,
    command: &Command,
    said: &File,
) -> anyhow::Result<bool> {
    Ok(status_within(limit, command, Some(said))?.success())
}

fn status_within(
    limit: Duration,
    command: &Command,
    said: Option<&File>,
) -> anyhow::Result<ExitStatus> {
    let line = describe(command);
    let mut leashed = leash(command, EndsOn::Terminate, None);
    if let Some(said) = said {
        leashed.stdout(said.try_clone()?).stderr(said.try_clone()?);
    }
    let mut child = leashed.spawn().with_context(|| format!("cannot start: {line}"))?;
    let lifeline = child.stdin.take();
    let ended = wait_for(limit, || Ok(child.try_wait()?))?;
    drop(lifeline);
    if let Some(status) = ended {
        return Ok(status);
    }
    wait_for(END_LIMIT, || Ok(child.try_wait()?))?;
    anyhow::bail!("ended by us, because {} s are over: {line}", limit.as_secs());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn a_program_is_ended_at_its_limit_with_all_that_it_started() {
        let alive = std::env::temp_dir().join(format!("xtask-limit-{}", std::process::id()));
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "sleep 1000 & echo $! >\"$0\"; wait"]).arg(&alive);
        let error = show_within(Duration::from_millis(500), &hangs).unwrap_err().to_string();
        assert!(error.starts_with("ended by us, because 0 s are over: sh"), "{error}");
        let child = std::fs::read_to_string(&alive).unwrap();
        std::fs::remove_file(&alive).unwrap();
        let lives = || succeeds(Command::new("kill").args(["-0", child.trim()]), END_LIMIT);
        assert!(wait_for(END_LIMIT, || Ok((!lives()).then_some(()))).unwrap().is_some());
    }

    #[test]
    fn a_failing_program_is_an_error_that_names_it() {
        let error = show(&mut Command::new("false")).unwrap_err();
        assert_eq!(error.to_string(), "failed (exit status: 1): false");
        let error = show_within(END_LIMIT, &Command::new("false")).unwrap_err();
        assert_eq!(error.to_string(), "failed (exit status: 1): false");
    }
}
