//! Installing packages on a Debian machine where we are root: a CI container, a fresh VM.
//!
//! Refuses to touch any other machine: there, the chore says what to install.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::shell;

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
    let debian = Path::new("/etc/debian_version").exists();
    anyhow::ensure!(
        debian && is_root(),
        "the packages {packages:?} can be installed by `cargo xtask` only as root on Debian"
    );
    shell::show(&mut apt_get(&["update", "--quiet=2"]))?;
    let install = ["install", "--yes", "--quiet=2", "--no-install-recommends"];
    shell::show(apt_get(&install).args(packages))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Another apt-get may be at work: wait for it, but not for ever.
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
