//! A program that cannot outlive this one.
//!
//! Owns the directory of a started program, its log and its end, which comes at the latest with
//! our own. Knows no program by name.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;

use crate::leash::{EndsOn, leash};
use crate::shell;

/// The leash's ten seconds, and some for a busy machine.
const END_LIMIT: Duration = Duration::from_secs(15);

/// What is shown of a log when a program fails.
const LOG_TAIL_BYTES: u64 = 2_000;

/// A running program. Dropping it ends its whole process group, waits, and removes its directory.
pub(super) struct Guarded {
    child: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Guarded {
    /// Starts `program` (with its arguments and environment set) in a process group of its own.
    ///
    /// `directory` is the program's own: its log goes there, and it is removed at the end.
    pub(super) fn start(
        program: &Command,
        directory: &Path,
        ends_on: EndsOn,
        account: Option<Account>,
    ) -> anyhow::Result<Self> {
        let log = directory.join("output.log");
        let output = std::fs::File::create(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = leash(program, ends_on, Some(directory));
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        command.current_dir(directory).stdout(output.try_clone()?).stderr(output);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.get_program().display()))?;
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline, log })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The end of what it wrote, for an error message.
    pub(super) fn log(&self) -> String {
        read_tail(&self.log).unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let process = self.child.id();
        match shell::wait_for(END_LIMIT, || self.ended()) {
            Ok(Some(_)) => {}
            Ok(None) => eprintln!("process {process} did not end within {END_LIMIT:?}"),
            Err(error) => eprintln!("cannot wait for process {process}: {error:#}"),
        }
    }
}

fn read_tail(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// The account to run a program under that refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account called `name`, if the machine has it.
    pub(super) fn named(name: &str) -> Option<Self> {
        let number = |flag: &str| {
            let output = shell::capture(Command::new("id").args([flag, name]), END_LIMIT).ok()?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        Some(Self { uid: number("-u")?, gid: number("-g")? })
    }

    /// Gives `path` to the account.
    pub(super) fn own(self, path: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} away", path.display()))
    }

    /// Makes `command` run as the account.
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::expect_used,
        clippy::unwrap_used,
        reason = "a test may stop at the first surprise"
    )]

    use super::*;

    /// A directory of the test's own, which the guard removes.
    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[track_caller]
    fn until(condition: impl Fn() -> bool) {
        let seen = shell::wait_for(END_LIMIT, || Ok(condition().then_some(()))).unwrap();
        seen.expect("it happens before the limit");
    }

    fn lives(process: &str) -> bool {
        let mut command = Command::new("kill");
        shell::succeeds(command.args(["-0", process]), END_LIMIT)
    }

    #[test]
    fn dropping_ends_the_grandchildren_too_and_removes_the_directory() {
        let directory = directory("drop");
        let mut program = Command::new("sh");
        program.args(["-c", "sleep 1000 & echo $! >grandchild.new; mv grandchild.new pid; wait"]);
        let guarded = Guarded::start(&program, &directory, EndsOn::Terminate, None).unwrap();
        until(|| directory.join("pid").exists());
        let grandchild = std::fs::read_to_string(directory.join("pid")).unwrap();
        assert!(lives(grandchild.trim()));
        drop(guarded);
        until(|| !lives(grandchild.trim()) && !directory.exists());
    }

    #[test]
    fn a_program_that_ends_early_is_noticed_with_its_last_words() {
        let directory = directory("early");
        let mut program = Command::new("sh");
        program.args(["-c", "echo out of luck; exit 3"]);
        let mut guarded = Guarded::start(&program, &directory, EndsOn::Terminate, None).unwrap();
        let status = shell::wait_for(END_LIMIT, || guarded.ended()).unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        assert_eq!(guarded.log(), "out of luck\n");
        drop(guarded);
        until(|| !directory.exists());
    }
}
