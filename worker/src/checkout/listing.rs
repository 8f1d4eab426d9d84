//! What git says of merges and trees, read.
//!
//! Owns the formats of `merge-tree` and `ls-tree`. Refuses to run anything.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use sluice::engine::{EngineError, Fault};
use sluice::names::Sha;

/// How many conflicting files a person is shown.
const MAX_CONFLICTS: usize = 20;

/// One line of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) mode: &'a str,
    pub(super) id: &'a str,
    /// From the root of the repository.
    pub(super) path: &'a Path,
}

impl Entry<'_> {
    pub(super) fn is_tree(&self) -> bool {
        self.mode == "040000"
    }

    /// A file with content of its own: not a link, a submodule or a folder.
    pub(super) fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

/// The entries that `ls-tree -z` printed.
pub(super) fn entries(stdout: &[u8]) -> Result<Vec<Entry<'_>>, EngineError> {
    let lines = stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty());
    lines.map(|line| entry(line).ok_or_else(|| unreadable("ls-tree", line))).collect()
}

fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let mut words = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
    let (mode, _, id) = (words.next()?, words.next()?, words.next()?);
    Some(Entry { mode, id, path: Path::new(OsStr::from_bytes(&line[tab + 1..])) })
}

/// The tree that `merge-tree --write-tree -z --name-only --no-messages` wrote.
pub(super) fn merged_tree(stdout: &[u8]) -> Result<Sha, EngineError> {
    let first = stdout.split(|byte| *byte == 0).next().unwrap_or_default();
    let tree = std::str::from_utf8(first).ok().and_then(|text| Sha::new(text).ok());
    tree.ok_or_else(|| unreadable("merge-tree", stdout))
}

/// The conflicts that it named instead.
pub(super) fn conflict(stdout: &[u8]) -> EngineError {
    let names = stdout.split(|byte| *byte == 0).skip(1).take_while(|name| !name.is_empty());
    let files = names.take(MAX_CONFLICTS).map(|name| String::from_utf8_lossy(name).into_owned());
    EngineError::MergeConflict { files: files.collect() }
}

/// The tree of the project's folder, which must be a folder all the way: a link could lead out of
/// the checkout.
pub(super) fn project_tree(
    root: &Sha,
    entries: &[Entry<'_>],
    path: &str,
) -> Result<Sha, EngineError> {
    if path.is_empty() {
        return Ok(root.clone());
    }
    let tree = entries.iter().find(|entry| entry.is_tree() && entry.path == Path::new(path));
    match tree {
        Some(tree) => Sha::new(tree.id).map_err(|_| unreadable("ls-tree", tree.id.as_bytes())),
        None => Err(no_folder(path)),
    }
}

/// Refuses a path that leads out of the repository.
pub(super) fn inside(path: &str) -> Result<(), EngineError> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if Path::new(path).components().all(plain) { Ok(()) } else { Err(no_folder(path)) }
}

/// The project's own fault: somebody moved the folder, or made a link of it.
pub(super) fn no_folder(path: &str) -> EngineError {
    EngineError::Declared {
        class: Fault::Load,
        message: format!(
            "the project's folder {path:?} is not a folder of the repository (anymore): \
             links and files do not count"
        ),
        traceback: None,
    }
}

fn unreadable(command: &str, output: &[u8]) -> EngineError {
    let shown: String = String::from_utf8_lossy(output).chars().take(80).collect();
    let what = format!("git {command} printed something that sluice cannot read: {shown:?}");
    EngineError::Broken { what, source: None }
}

/// The most that the tree of a stranger's head may hold: a few bytes in a pack can be many on disk.
const MOST_FILES: usize = 200_000;
const MOST_BYTES: u64 = 2 << 30;

/// Whether what `ls-tree -r -l -z` lists may be put on disk for a stranger.
pub(super) fn is_bounded(listed: &[u8]) -> Result<(), EngineError> {
    let sizes = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(|entry| {
        let facts = entry.split(|byte| *byte == b'\t').next().unwrap_or_default();
        let size = facts.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        // A submodule has none, and takes no room.
        std::str::from_utf8(size).ok().and_then(|size| size.parse::<u64>().ok()).unwrap_or(0)
    });
    let (files, bytes) = sizes
        .fold((0_usize, 0_u64), |(files, bytes), size| (files + 1, bytes.saturating_add(size)));
    if files <= MOST_FILES && bytes <= MOST_BYTES {
        return Ok(());
    }
    let message = format!(
        "the merged tree has {files} files of {bytes} bytes, which is more than is put on disk for \
         a fork ({MOST_FILES} files, {MOST_BYTES} bytes)"
    );
    Err(EngineError::Declared { class: Fault::Load, message, traceback: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn conflicts_are_named_up_to_twenty() {
        let mut printed = "a".repeat(40) + "\0";
        (0..30).for_each(|n| printed += &format!("models/{n}.sql\0"));
        let EngineError::MergeConflict { files } = conflict(printed.as_bytes()) else { panic!() };
        assert_eq!((files.len(), files[0].as_str()), (20, "models/0.sql"));
    }

    #[test]
    fn a_link_in_the_projects_place_is_refused() {
        let root = Sha::new("a".repeat(40)).unwrap();
        let line = format!("120000 blob {}\twarehouse\0", "b".repeat(40));
        let entries = entries(line.as_bytes()).unwrap();
        let error = project_tree(&root, &entries, "warehouse").unwrap_err();
        assert!(matches!(error, EngineError::Declared { class: Fault::Load, .. }), "{error}");
        assert!(inside("../x").is_err() && inside("/etc").is_err() && inside("a/b").is_ok());
    }

    #[test]
    fn a_strangers_tree_has_a_bound_on_disk() {
        let entry =
            |size: &str| format!("100644 blob {} {size:>7}\tmodels/a b.sql\0", "a".repeat(40));
        let small = entry("12") + "160000 commit 0123 -\tsub\0";
        assert!(is_bounded(small.as_bytes()).is_ok());
        let large = entry("1073741824") + &entry("1073741825");
        let error = is_bounded(large.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("2 files of 2147483649 bytes"), "{error}");
        let many = entry("0").repeat(MOST_FILES + 1);
        assert!(is_bounded(many.as_bytes()).is_err());
    }
}
