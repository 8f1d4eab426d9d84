//! The form of the code, checked with the tests: sizes, heads, homes, the direction of dependency.
//!
//! Owns the walk over the repository and the wording of a complaint. The rules are in `rules` (one
//! source file at a time) and `dependencies` (one manifest at a time), all pure functions;
//! `planted` shows for each that it catches what it is for. What needs resolved names is in
//! clippy.toml.

mod dependencies;
mod planted;
mod rules;
mod source;

use std::fmt;
use std::path::Path;

use source::SourceFile;

/// One place that breaks one rule.
#[derive(Debug)]
struct Violation {
    path: String,
    /// From 1; the first line stands for the whole file.
    line: usize,
    rule: String,
    why: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    why: {}", self.path, self.line, self.rule, self.why)
    }
}

#[test]
fn source_files_keep_the_rules() {
    let sources = files_named(|name| name.ends_with(".rs"));
    assert!(sources.len() > 10, "the walk found only {} source files", sources.len());
    let files = sources.into_iter().map(|(path, text)| SourceFile::new(path, text));
    assert_none(files.flat_map(|file| rules::broken_by(&file)));
}

#[test]
fn dependencies_point_one_way() {
    let manifests = files_named(|name| name == "Cargo.toml");
    assert!(manifests.len() >= 6, "the walk found only {} manifests", manifests.len());
    assert_none(manifests.iter().flat_map(|(path, text)| dependencies::broken_by(path, text)));
}

#[track_caller]
fn assert_none(violations: impl Iterator<Item = Violation>) {
    let list: Vec<String> = violations.map(|violation| violation.to_string()).collect();
    assert!(list.is_empty(), "{} places are not tidy:\n\n{}\n", list.len(), list.join("\n"));
}

/// Path (from the root of the repository) and text of each file whose name is `wanted`.
fn files_named(wanted: fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", wanted, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, folder: &str, wanted: fn(&str) -> bool, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(root.join(folder)).expect("a folder of this repository") {
        let entry = entry.expect("an entry of a folder of this repository");
        let name = entry.file_name().into_string().expect("names here are UTF-8");
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        // Build output and hidden folders (.git, virtual environments) are not ours to judge.
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if entry.file_type().expect("the type of an entry").is_dir() {
            collect(root, &path, wanted, found);
        } else if wanted(&name) {
            let text = std::fs::read_to_string(entry.path()).expect("source files are UTF-8");
            found.push((path, text));
        }
    }
}
