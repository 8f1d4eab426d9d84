//! File times that follow from content.
//!
//! SQLMesh keys its cache of parsed models by the *newest modification time* among a model's file,
//! the macros, signals, audits and the configuration. Times of a fresh checkout never hit that
//! cache, and two checkouts made in one tick of the kernel's clock could even hit each other's.
//! Owns times under which a hit means "same content", in this checkout or any other.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use sha2::{Digest, Sha256};

use super::listing::Entry;

/// The earliest time given, in seconds since 1970 (2038): no real file is as new, so a file without
/// a stamp never hides one that has one. From here to 2106, which is as far as NFS counts, a time
/// as a 64-bit float, as Python has it, keeps 21 bits of the second.
const FIRST: i64 = 1 << 31;

/// How many seconds each of the two kinds of file has to itself.
const SPAN: i64 = 1 << 30;

/// What a file's time stands for. A model's is later than anything shared, so that it is always the
/// newest of those that SQLMesh looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Anything that may be part of several models: its time stands for all shared files together.
    Shared,
    /// A model in SQL: its time stands for itself and all shared files.
    Model,
}

fn kind(within_project: &Path) -> Kind {
    let sql = within_project.extension().is_some_and(|extension| extension == "sql");
    if sql && within_project.starts_with("models") { Kind::Model } else { Kind::Shared }
}

/// Gives the project's files in `folder` their times. `entries` is the project's whole listing.
///
/// # Errors
/// Also when the filesystem keeps another time than it was given: files cut to the same latest time
/// would be the same to SQLMesh.
pub(super) fn stamp(folder: &Path, project: &str, entries: &[Entry<'_>]) -> std::io::Result<()> {
    for (path, time) in times(project, entries) {
        let path = folder.join(path);
        let flags = UtimensatFlags::NoFollowSymlink;
        utimensat(nix::fcntl::AT_FDCWD, &path, &time, &time, flags)?;
        let kept = path.symlink_metadata()?;
        if (kept.mtime(), kept.mtime_nsec()) != (time.tv_sec(), time.tv_nsec()) {
            return Err(std::io::Error::other(format!(
                "{}: this filesystem does not keep file times beyond 2038, to the nanosecond",
                path.display()
            )));
        }
    }
    Ok(())
}

fn times<'a>(
    project: &str,
    entries: &'a [Entry<'_>],
) -> impl Iterator<Item = (&'a Path, TimeSpec)> {
    let files: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.is_tree())
        .filter_map(|entry| {
            let within = entry.path.strip_prefix(project).ok()?;
            Some((entry, kind(within)))
        })
        .collect();
    let mut shared = Sha256::new();
    for (entry, _) in files.iter().filter(|(_, kind)| *kind == Kind::Shared) {
        shared.update(entry.path.as_os_str().as_encoded_bytes());
        shared.update(format!("\0{} {}\0", entry.mode, entry.id));
    }
    files.into_iter().map(move |(entry, kind)| {
        let time = match kind {
            Kind::Shared => moment(FIRST, &shared.clone().finalize()),
            Kind::Model => {
                let all = shared.clone().chain_update(entry.id).finalize();
                moment(FIRST + SPAN, &all)
            }
        };
        (entry.path, time)
    })
}

/// 30 bits of seconds and 21 of their fraction, out of a digest.
fn moment(first: i64, digest: &[u8]) -> TimeSpec {
    let bits = digest.iter().take(8).fold(0_i64, |bits, byte| bits << 8 | i64::from(*byte));
    let seconds = first + (bits & (SPAN - 1));
    let nanoseconds = ((bits >> 32 & ((1 << 21) - 1)) * 1_000_000_000) >> 21;
    TimeSpec::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry<'a>(path: &'a str, id: &'a str) -> Entry<'a> {
        Entry { mode: "100644", id, path: Path::new(path) }
    }

    fn time(entries: &[Entry<'_>], path: &str) -> TimeSpec {
        times("w", entries)
            .find_map(|(at, time)| (at == Path::new(path)).then_some(time))
            .unwrap_or(TimeSpec::new(0, 0))
    }

    #[test]
    fn equal_content_has_equal_times_and_a_models_is_the_newest() {
        let one = [entry("w/config.yaml", "1"), entry("w/models/a.sql", "2"), entry("x", "9")];
        let two = [entry("w/config.yaml", "1"), entry("w/models/a.sql", "2"), entry("x", "8")];
        assert_eq!(time(&one, "w/models/a.sql"), time(&two, "w/models/a.sql"));
        assert!(time(&one, "w/models/a.sql") > time(&one, "w/config.yaml"));
        assert_eq!(time(&one, "x"), TimeSpec::new(0, 0), "outside the project");
    }

    #[test]
    fn times_are_later_than_any_real_one_and_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("w/models")).unwrap();
        let entries = [entry("w/config.yaml", "1"), entry("w/models/a.sql", "2")];
        for entry in &entries {
            std::fs::write(folder.path().join(entry.path), "").unwrap();
        }
        stamp(folder.path(), "w", &entries).unwrap();
        for entry in &entries {
            let kept = folder.path().join(entry.path).metadata().unwrap().mtime();
            assert!((1 << 31..1 << 32).contains(&kept), "{kept}");
        }
    }

    #[test]
    fn a_changed_macro_changes_the_time_of_every_model() {
        let before = [entry("w/macros/m.py", "1"), entry("w/models/a.sql", "2")];
        let after = [entry("w/macros/m.py", "7"), entry("w/models/a.sql", "2")];
        assert_ne!(time(&before, "w/models/a.sql"), time(&after, "w/models/a.sql"));
    }

    #[test]
    fn a_changed_model_changes_only_its_own_time() {
        let before = [entry("w/models/a.sql", "1"), entry("w/models/b.sql", "2")];
        let after = [entry("w/models/a.sql", "7"), entry("w/models/b.sql", "2")];
        assert_ne!(time(&before, "w/models/a.sql"), time(&after, "w/models/a.sql"));
        assert_eq!(time(&before, "w/models/b.sql"), time(&after, "w/models/b.sql"));
    }
}
