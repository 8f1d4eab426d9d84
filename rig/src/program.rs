//! How a program is run, and how what tells nobody is waited for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How often a wait looks again. Short beside the seconds that programs take to start.
const GLANCE: Duration = Duration::from_millis(50);

/// Whether `command` ends with success within `limit`; its output is thrown away.
pub fn succeeds(command: &mut Command, limit: Duration) -> bool {
    capture(command, limit).is_ok_and(|output| output.status.success())
}

/// What `command` printed.
///
/// # Errors
/// It cannot start, or outlasts `limit`. For programs that print a page at most: more
/// than a pipe holds would look like outlasting it.
pub fn capture(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
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
/// # Errors
/// What `look` says. For what tells nobody when it happens: a child that ends, a server that
/// begins to answer.
pub fn wait_for<T>(
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
pub fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let along_path = std::env::split_paths(&path);
    folders.iter().cloned().chain(along_path).map(|folder| folder.join(name)).find(|p| p.is_file())
}

/// The first program called `name`, or an error that says that it is missing.
///
/// # Errors
/// It is nowhere.
pub fn installed(name: &str, folders: &[PathBuf]) -> anyhow::Result<PathBuf> {
    find_program(name, folders).with_context(|| format!("{name} is not installed"))
}

/// Program and arguments, for a person.
pub fn describe(command: &Command) -> String {
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
}
