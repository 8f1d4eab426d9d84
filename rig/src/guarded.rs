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
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::folder::{Folder, tell};
use crate::leash::{EndsOn, leash};
use crate::program::{capture, wait_for};

/// The leash's ten seconds, and some for a busy machine.
const END_LIMIT: Duration = Duration::from_secs(15);

/// What is shown of a log when a program fails.
const LOG_TAIL_BYTES: u64 = 2_000;

/// A running program. Dropping it ends its whole process group, waits, and removes its directory.
pub struct Guarded {
    child: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Guarded {
    /// Starts `program` (with its arguments and environment set) in a process group of its own.
    ///
    /// `directory` is the program's own: its log goes there, and it is removed at the end.
    ///
    /// # Errors
    /// The program cannot be started, or its log not be written.
    pub fn start(
        program: &Command,
        directory: &Path,
        ends_on: EndsOn,
        account: Option<Account>,
    ) -> anyhow::Result<Self> {
        Self::spawn((program, leash(program, ends_on, Some(directory))), directory, account)
    }

    /// The same in a folder that stays when the program ends. Output of an earlier one is kept.
    ///
    /// # Errors
    /// As [`Guarded::start`].
    pub fn start_in(program: &Command, folder: &Folder, ends_on: EndsOn) -> anyhow::Result<Self> {
        Self::spawn((program, leash(program, ends_on, None)), folder.path(), None)
    }

    fn spawn(
        (program, mut command): (&Command, Command),
        directory: &Path,
        account: Option<Account>,
    ) -> anyhow::Result<Self> {
        let name = Path::new(program.get_program()).file_name().unwrap_or_default();
        let log = directory.join(name).with_extension("log");
        let output = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        if program.get_current_dir().is_none() {
            command.current_dir(directory);
        }
        command.stdout(output.try_clone()?).stderr(output);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.get_program().display()))?;
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline, log })
    }

    /// The process id of the program, which leads its process group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program with all that is still in its process group (SIGKILL), and reaps it. What
    /// left the group is not reached.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if self.ended()?.is_none() {
            // The watcher goes too: nobody is left whom the end of the lifeline could tell.
            match killpg(self.pid()?, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).context("cannot kill it"),
            }
        }
        let ended = wait_for(END_LIMIT, || self.ended())?;
        ended.map(drop).context("it was killed and did not end")
    }

    /// Kills the program alone (SIGKILL), and reaps it: what it started has to end by itself.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill_alone(&mut self) -> anyhow::Result<()> {
        if self.ended()?.is_none() {
            kill(self.pid()?, Signal::SIGKILL).context("cannot kill it")?;
        }
        let ended = wait_for(END_LIMIT, || self.ended())?;
        ended.map(drop).context("it was killed and did not end")
    }

    /// Stops the program alone (SIGSTOP): it does nothing until it [goes on](Self::go_on).
    ///
    /// # Errors
    /// It has ended.
    pub fn stop(&self) -> anyhow::Result<()> {
        kill(self.pid()?, Signal::SIGSTOP).context("cannot stop it")
    }

    /// Continues what was stopped.
    ///
    /// # Errors
    /// It has ended.
    pub fn go_on(&self) -> anyhow::Result<()> {
        kill(self.pid()?, Signal::SIGCONT).context("cannot continue it")
    }

    /// Asks the program alone to end (SIGTERM); [`ended`](Self::ended) says when it has.
    ///
    /// # Errors
    /// It has ended.
    pub fn terminate(&self) -> anyhow::Result<()> {
        kill(self.pid()?, Signal::SIGTERM).context("cannot ask it to end")
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// Nobody can say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The end of what it wrote, for an error message.
    pub fn log(&self) -> String {
        read_tail(&self.log).unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let process = self.child.id();
        match wait_for(END_LIMIT, || self.ended()) {
            Ok(Some(_)) => {}
            Ok(None) => tell(&format!("process {process} did not end within {END_LIMIT:?}")),
            Err(error) => tell(&format!("cannot wait for process {process}: {error:#}")),
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
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account called `name`, if the machine has it.
    pub fn named(name: &str) -> Option<Self> {
        let number = |flag: &str| {
            let output = capture(Command::new("id").args([flag, name]), END_LIMIT).ok()?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        Some(Self { uid: number("-u")?, gid: number("-g")? })
    }

    /// Gives `path` to the account.
    ///
    /// # Errors
    /// The system refuses.
    pub fn own(self, path: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} away", path.display()))
    }

    /// Makes `command` run as the account.
    pub fn apply(self, command: &mut Command) {
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
        let seen = wait_for(END_LIMIT, || Ok(condition().then_some(()))).unwrap();
        seen.expect("it happens before the limit");
    }

    fn lives(process: &str) -> bool {
        let mut command = Command::new("kill");
        crate::program::succeeds(command.args(["-0", process]), END_LIMIT)
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
        let status = wait_for(END_LIMIT, || guarded.ended()).unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(3));
        assert_eq!(guarded.log(), "out of luck\n");
        drop(guarded);
        until(|| !directory.exists());
    }
}
