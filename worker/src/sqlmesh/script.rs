//! The Python package that runs inside a project's interpreter, shipped inside this crate.

use std::fs;
use std::io;
use std::path::Path;

/// The package's name, as `python -m` takes it.
pub(super) const PACKAGE: &str = "sluice_bridge";

/// The protocol version that the package must greet with.
pub(super) const PROTOCOL: u64 = 1;

macro_rules! package {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("sluice_bridge/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = package![
    "__init__.py",
    "__main__.py",
    "applying.py",
    "bounds.py",
    "console.py",
    "faults.py",
    "job.py",
    "linux.py",
    "plans.py",
    "preload.py",
    "project.py",
    "server.py",
    "wire.py",
];

/// Writes the package below `folder`, which only this worker may write to.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    let package = folder.join(PACKAGE);
    fs::create_dir_all(&package)?;
    FILES.iter().try_for_each(|(name, text)| fs::write(package.join(name), text))
}
