//! A command that cannot outlive this program, nor leave anything of its own behind.
//!
//! Owns the process group around a started program and the way in which it ends: a watcher in that
//! group holds the other end of a pipe from us, so it notices our end too, in whatever way we end.
//! Knows no program by name.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs in the new process group: starts the watcher, then becomes the program. The pipe on
/// standard input ends when xtask does, in whatever way. Arguments: the directory to remove (none
/// if empty), the signal that means "end in order", the program with its arguments.
const SCRIPT: &str = r#"
directory=$1 signal=$2
shift 2
exec 3<&0 </dev/null
(
    trap '' TERM INT
    cat <&3 >/dev/null
    kill -s "$signal" 0
    tries=0
    while kill -0 $$ 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    [ -z "$directory" ] || rm -rf -- "$directory"
    kill -KILL 0
) >/dev/null 2>&1 &
exec 3<&- "$@"
"#;

/// The signal on which a program ends in order.
#[derive(Clone, Copy, Debug)]
pub enum EndsOn {
    /// Most programs.
    Terminate,
    /// PostgreSQL waits for its clients on SIGTERM, and closes their connections on SIGINT.
    Interrupt,
    /// None: it is not worth the time, its data are thrown away or restored as after a crash.
    Kill,
}

impl EndsOn {
    fn signal(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
        }
    }
}

/// A command that runs `program`, as it is set up, in a process group of its own.
///
/// Whoever spawns it holds the child's standard input: when that is dropped, the group gets the
/// signal of `ends_on`, ten seconds later it is killed, and `directory`, if any, is removed.
pub fn leash(program: &Command, ends_on: EndsOn, directory: Option<&Path>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "leash"]).arg(directory.unwrap_or(Path::new("")));
    command.arg(ends_on.signal()).arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command.process_group(0).stdin(Stdio::piped());
    command
}
