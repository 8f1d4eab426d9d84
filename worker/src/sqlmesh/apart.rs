//! A Python that runs a stranger's code: apart from the worker, its files, its network and its
//! environment.
//!
//! Owns what such a Python sees of the machine. The walls are bubblewrap's: namespaces of users,
//! processes, mounts, network and the rest, no capabilities, and no way to gain any. What it may
//! use up, the package bounds itself (`sluice_bridge/bounds.py`). Refuses to know what runs.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::interpreter;

/// The program that builds the walls.
const PROGRAM: &str = "bwrap";

/// Where SQLMesh keeps its cache there: nothing of it outlives the job.
pub(super) const CACHE: &str = "/tmp/cache";

/// Its home, below `/tmp`, which is where it can write.
const HOME: &str = "/tmp/home";

/// How long walls around nothing may take.
const PROBED_WITHIN: Duration = Duration::from_secs(30);

/// What can be written there in all, in bytes.
const MOST_WRITTEN: u64 = 1 << 30;

/// The same for memory that its processes share.
const MOST_SHARED: u64 = 64 << 20;

/// What programs, a dynamic linker, a locale and TLS certificates need.
const READ_ALWAYS: [&str; 14] = [
    "/usr/bin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/share",
    "/usr/local/bin",
    "/usr/local/lib",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/ssl/certs",
];

/// Links into `/usr` on most machines, folders on others.
const MAYBE_LINKS: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];

/// What an interpreter needs of the folder that it is installed in, which may be somebody's home.
const PARTS: [&str; 4] = ["bin", "lib", "lib64", "pyvenv.cfg"];

/// The names of the worker's variables that such a Python gets.
const ALLOWED: [&str; 5] = ["LANG", "LC_ALL", "LC_CTYPE", "TZ", "MAX_FORK_WORKERS"];

/// The walls around one Python.
#[derive(Debug, Clone)]
pub(super) struct Apart {
    program: PathBuf,
    /// The checkout; the code can read it and no other file of the worker's.
    pub(super) checkout: PathBuf,
    /// The folder of its socket.
    pub(super) door: PathBuf,
}

impl Apart {
    /// Walls around a checkout, with a door to the worker.
    ///
    /// # Errors
    /// bubblewrap is not installed.
    pub(super) fn new(checkout: &Path, door: &Path) -> io::Result<Self> {
        let program = interpreter::locate(Path::new(PROGRAM))?;
        Ok(Self { program, checkout: checkout.to_owned(), door: door.to_owned() })
    }

    /// The program and its arguments, up to the interpreter's own.
    pub(super) fn command(&self, python: &Path, package: &Path) -> (PathBuf, Vec<OsString>) {
        let mut call = Call::walls();
        for path in homes(python).iter().flat_map(|home| PARTS.map(|part| home.join(part))) {
            call.paths("--ro-bind-try", [&path, &path]);
        }
        for path in [package, &self.checkout] {
            call.paths("--ro-bind", [path, path]);
        }
        call.paths("--bind", [&self.door, &self.door]);
        call.closed();
        call.paths("--chdir", [package.parent().unwrap_or(package)]);
        call.words(["--"]);
        call.0.push(python.into());
        (self.program.clone(), call.0)
    }
}

/// bubblewrap's arguments.
#[derive(Default)]
struct Call(Vec<OsString>);

impl Call {
    /// Everything that is the same for all.
    fn walls() -> Self {
        let mut call = Self::default();
        // A user of its own by name, or it could make others, with all capabilities.
        call.words(["--unshare-user", "--disable-userns", "--unshare-all"]);
        call.words(["--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
        call.words(["--uid", "65534", "--gid", "65534", "--hostname", "apart"]);
        call.words(["--proc", "/proc", "--dev", "/dev"]);
        call.words(["--size", &MOST_WRITTEN.to_string(), "--tmpfs", "/tmp"]);
        call.words(["--dir", HOME, "--dir", CACHE]);
        call.words(["--size", &MOST_SHARED.to_string(), "--tmpfs", "/dev/shm"]);
        for path in READ_ALWAYS {
            call.words(["--ro-bind-try", path, path]);
        }
        for path in MAYBE_LINKS {
            match fs::read_link(path) {
                Ok(target) => call.paths("--symlink", [&target, Path::new(path)]),
                Err(_) => call.words(["--ro-bind-try", path, path]),
            }
        }
        call
    }

    /// What bubblewrap made itself lies in memory, without a bound: nothing more is written there.
    fn closed(&mut self) {
        self.words(["--remount-ro", "/dev", "--remount-ro", "/"]);
    }

    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(OsString::from));
    }

    fn paths<const N: usize>(&mut self, option: &str, paths: [&Path; N]) {
        self.0.push(option.into());
        self.0.extend(paths.map(OsString::from));
    }
}

/// Where an interpreter and its packages lie: its environment, and the Python that this was made
/// of.
fn homes(python: &Path) -> Vec<PathBuf> {
    let home = |python: &Path| python.parent().and_then(Path::parent).map(Path::to_owned);
    let real = fs::canonicalize(python).ok();
    let mut homes: Vec<PathBuf> =
        [Some(python.to_owned()), real].into_iter().flatten().filter_map(|p| home(&p)).collect();
    homes.dedup();
    // What is there anyway need not be shown again, and the root never is.
    homes.retain(|home| home.components().count() > 1 && !home.starts_with("/usr"));
    homes
}

/// All that such a Python sees of the environment.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = ALLOWED
        .into_iter()
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect();
    let sqlmesh = format!("{HOME}/.sqlmesh");
    let own = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", HOME),
        ("TMPDIR", "/tmp"),
        ("SQLMESH_HOME", &sqlmesh),
        // A thread and an arena for each core would be most of what it may use.
        ("MALLOC_ARENA_MAX", "2"),
        ("OPENBLAS_NUM_THREADS", "1"),
    ];
    all.extend(own.map(|(name, value)| (name.into(), value.into())));
    all
}

/// Whether a stranger's code can be run apart on this machine.
///
/// # Errors
/// Why not, and what to do about it.
pub async fn can_run_apart() -> Result<(), String> {
    let program = interpreter::locate(Path::new(PROGRAM))
        .map_err(|_| format!("{PROGRAM} is not installed (Debian: apt-get install bubblewrap)"))?;
    let mut call = Call::walls();
    call.closed();
    call.words(["--", "/bin/true"]);
    let mut probe = Command::new(program);
    probe.args(call.0).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let output = timeout(PROBED_WITHIN, probe.output()).await;
    let output = output.map_err(|_| format!("{PROGRAM} does not end"))?;
    let output = output.map_err(|error| format!("{PROGRAM}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{PROGRAM} cannot make namespaces here ({}): allow them to this user, or run the worker \
         where they are; bubblewrap has to be 0.8 or newer",
        said.lines().next().unwrap_or("it does not say why")
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn nothing_of_the_workers_environment_is_seen() {
        let names: Vec<String> =
            environment().iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some(), "there is something to hide");
        assert!(names.iter().all(|name| !name.starts_with("CARGO")), "{names:?}");
        assert!(names.iter().any(|name| name == "HOME"));
    }

    #[test]
    fn an_interpreter_is_shown_with_what_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let bin = folder.path().join(name).join("bin");
            fs::create_dir_all(&bin).unwrap();
            bin.join("python")
        };
        let (base, environment) = (made("base"), made("environment"));
        fs::write(&base, "").unwrap();
        std::os::unix::fs::symlink(&base, &environment).unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        assert_eq!(
            homes(&root.join("environment/bin/python")),
            [root.join("environment"), root.join("base")]
        );
        assert_eq!(homes(Path::new("/usr/bin/env")), Vec::<PathBuf>::new());
    }
}
