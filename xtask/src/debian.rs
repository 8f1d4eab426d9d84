//! Installing packages on a Debian machine where we are root: a CI container, a fresh VM.
//!
//! Refuses to touch any other machine: there, the chore says what to install.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::shell;

/// Between attempts to fetch something: mirrors that are being updated are whole again soon.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(20)];

/// Whether packages can be had from here: Debian, and we are root.
pub(crate) fn can_install() -> bool {
    Path::new("/etc/debian_version").exists() && is_root()
}

/// Whether the chore runs as root. Some programs refuse to, and only root may install.
pub(crate) fn is_root() -> bool {
    shell::capture(Command::new("id").arg("-u"), Duration::from_secs(5))
        .is_ok_and(|output| output.stdout == b"0\n")
}

/// Installs `packages` without a question asked.
///
/// # Errors
/// When this is not Debian, we are not root, or apt-get fails.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    anyhow::ensure!(
        can_install(),
        "the packages {packages:?} can be installed by `cargo xtask` only as root on Debian"
    );
    let install = ["install", "--yes", "--quiet=2", "--no-install-recommends"];
    after_an_update(|| shell::show(apt_get(&install).args(packages)))
}

/// Unpacks `package` below `folder` and returns where `program`, a path inside it, is now.
///
/// For a program that needs no other package: nothing is installed, and no service is started.
///
/// # Errors
/// The package cannot be fetched, or does not hold the program.
pub(crate) fn unpack(package: &str, program: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let unpacked = folder.join(program);
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    let fetched = folder.join("fetched");
    std::fs::create_dir_all(&fetched)
        .with_context(|| format!("cannot make {}", fetched.display()))?;
    // As root: apt's own account may not write to our folder, and a warning would be all it adds.
    let sandbox = ["-o", "APT::Sandbox::User=root"];
    let mut download = apt_get(&sandbox);
    download.args(["download", "--quiet=2", package]);
    download.current_dir(&fetched);
    after_an_update(|| shell::show(&mut download))?;
    for archive in std::fs::read_dir(&fetched)? {
        shell::show(Command::new("dpkg-deb").arg("-x").arg(archive?.path()).arg(folder))?;
    }
    std::fs::remove_dir_all(&fetched)?;
    anyhow::ensure!(unpacked.is_file(), "{package} does not hold {program}");
    Ok(unpacked)
}

/// Fetches the list of packages and then what `fetch` does, again if either fails.
fn after_an_update(mut fetch: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for pause in PAUSES {
        std::thread::sleep(pause);
        outcome = shell::show(&mut apt_get(&["update", "--quiet=2"])).and_then(|()| fetch());
        match &outcome {
            Ok(()) => break,
            Err(error) => println!("{error:#}"),
        }
    }
    outcome
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Another apt-get may be at work: wait for it, but not for ever.
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
