//! How a chore starts a program: its output shown, or captured under a time limit.
//!
//! Owns the repository's root and the search along `PATH`. Knows no program by name, except cargo.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::leash::{EndsOn, leash};

/// How often a wait looks again. Short beside the seconds that programs take to start.
const GLANCE: Duration = Duration::from_millis(50);

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
    let mut child = leash(command, EndsOn::Terminate, None)
        .spawn()
        .with_context(|| format!("cannot start: {line}"))?;
    let lifeline = child.stdin.take();
    let ended = wait_for(limit, || Ok(child.try_wait()?))?;
    drop(lifeline);
    match ended {
        Some(status) => anyhow::ensure!(status.success(), "failed ({status}): {line}"),
        None => {
            wait_for(END_LIMIT, || Ok(child.try_wait()?))?;
            anyhow::bail!("ended by us, because {} s are over: {line}", limit.as_secs());
        }
    }
    Ok(())
}

/// Whether `command` ends with success within `limit`; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command, limit: Duration) -> bool {
    capture(command, limit).is_ok_and(|output| output.status.success())
}

/// What `command` printed, or an error when it cannot start or outlasts `limit`.
///
/// For programs that print a page at most: more than a pipe holds would look like outlasting it.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    let line = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start: {line}"))?;
    if wait_for(limit, || Ok(child.try_wait()?))?.is_none() {
        child.kill()?;
        child.wait()?;
        anyhow::bail!("no answer within {} s: {line}", limit.as_secs());
    }
    Ok(child.wait_with_output()?)
}

/// Looks again and again until there is something to see; `None` when `limit` has passed.
///
/// For what tells nobody when it happens: a child that ends, a server that begins to answer.
pub(crate) fn wait_for<T>(
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look()? {
            return Ok(Some(seen));
        }
        if began.elapsed() > limit {
            return Ok(None);
        }
        std::thread::sleep(GLANCE);
    }
}

/// The first program called `name`, in `folders` and then along `PATH`.
pub(crate) fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let along_path = std::env::split_paths(&path);
    folders.iter().cloned().chain(along_path).map(|folder| folder.join(name)).find(|p| p.is_file())
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended_at_its_limit() {
        let mut hangs = Command::new("sleep");
        let error = capture(hangs.arg("1000"), Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.to_string(), "no answer within 0 s: sleep 1000");
    }

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
