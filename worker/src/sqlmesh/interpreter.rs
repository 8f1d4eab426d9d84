//! Where an interpreter is: a path as configured, or a bare name on the search path.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The absolute path of `configured`. A link is not resolved: an environment is known by the path
/// of its interpreter, which is one.
///
/// # Errors
/// When a bare name is in no folder of `PATH`.
pub(super) fn locate(configured: &Path) -> io::Result<PathBuf> {
    if configured.file_name() != Some(configured.as_os_str()) {
        return std::path::absolute(configured);
    }
    on(&env::var_os("PATH").unwrap_or_default(), configured)
}

fn on(search: &OsStr, name: &Path) -> io::Result<PathBuf> {
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let found = env::split_paths(search).map(|folder| folder.join(name)).find(runs);
    let path = found.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "no program of this name is on the PATH")
    })?;
    std::path::absolute(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_not() {
        let shell = on(OsStr::new("/nonexistent:/bin"), Path::new("sh")).unwrap();
        assert_eq!(shell, Path::new("/bin/sh"));
        let absent = on(OsStr::new("/bin"), Path::new("no-such-python")).unwrap_err();
        assert!(absent.to_string().contains("PATH"));
        assert_eq!(locate(Path::new("/opt/python")).unwrap(), Path::new("/opt/python"));
        let beside = locate(Path::new("./python")).unwrap();
        assert_eq!(beside, env::current_dir().unwrap().join("python"));
    }
}
