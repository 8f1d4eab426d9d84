//! A folder of a program's own, and ports that nobody has.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

use crate::guarded::Guarded;
use crate::leash::EndsOn;

/// Longer than anything here lives: about 68 years, in seconds.
const FOR_EVER: &str = "2147483647";

/// A folder that outlives the programs in it, so that they can be killed and started again, and
/// that goes with this value, or with this process.
pub struct Folder {
    path: PathBuf,
    _keeper: Guarded,
}

impl Folder {
    /// A new one; `name` is for people who look at temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let path = new_directory(name)?;
        // Who removes it must not be one of the programs that are killed in it.
        let mut keeper = Command::new("sleep");
        keeper.arg(FOR_EVER);
        let keeper = Guarded::start(&keeper, &path, EndsOn::Terminate, None);
        let keeper = keeper.inspect_err(|_| remove(&path))?;
        Ok(Self { path, _keeper: keeper })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// A new directory among temporary files, which nobody removes yet.
///
/// # Errors
/// It cannot be made.
pub fn new_directory(name: &str) -> anyhow::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sluice-{name}-{}-{count}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// Best effort: what stays is a directory among temporary files.
pub fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        tell(&format!("cannot remove {}: {error}", directory.display()));
    }
}

/// Says what could not be done at the end, when nobody takes an error any more.
#[expect(clippy::print_stderr, reason = "for the person who runs a test or a chore")]
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}

/// A port of 127.0.0.1 that was free a moment ago. Another program may take it first: then the
/// start fails.
///
/// # Errors
/// There is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
