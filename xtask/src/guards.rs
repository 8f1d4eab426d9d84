//! `cargo xtask guards`: takes each guard out of a copy of the code, and looks whether a test
//! misses it.
//!
//! Owns what a guard is here: a place in the code, what it reads like without the guard, and the
//! tests that are to fail then. They are chosen by hand, one for each thing that sluice refuses;
//! tools that change code at random need days for what is listed here.

mod change;
mod github;
mod people;
mod prod;
mod strangers;
mod text;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::shell;
use crate::suite::{Place, Suite};

/// Where the tests are that miss guards: less is built than for all tests.
const TARGETS: &[&str] = &["--lib", "--test", "it", "--test", "github"];

/// For one build, or for the tests of one guard.
const WITHIN: Duration = Duration::from_secs(20 * 60);

/// Something that protects, and whose absence a test has to notice.
#[derive(Debug, Clone, Copy)]
struct Guard {
    /// What it refuses, in words.
    name: &'static str,
    file: &'static str,
    /// Stands in the file once.
    with: &'static str,
    without: &'static str,
    /// What the names of the tests contain, each.
    tests: &'static [&'static str],
}

const fn guard(
    name: &'static str,
    file: &'static str,
    [with, without]: [&'static str; 2],
    tests: &'static [&'static str],
) -> Guard {
    Guard { name, file, with, without, tests }
}

const GROUPS: [(&str, &[Guard]); 6] = [
    ("people", people::GUARDS),
    ("change", change::GUARDS),
    ("prod", prod::GUARDS),
    ("strangers", strangers::GUARDS),
    ("text", text::GUARDS),
    ("github", github::GUARDS),
];

/// The guards of the groups that are named, those whose names contain an argument, or all.
fn chosen(arguments: &[String]) -> Vec<&'static Guard> {
    let mut chosen = Vec::new();
    for (group, guards) in GROUPS {
        let is_chosen = |guard: &&Guard| {
            let says = |argument: &String| argument == group || guard.name.contains(&**argument);
            arguments.is_empty() || arguments.iter().any(says)
        };
        chosen.extend(guards.iter().filter(is_chosen));
    }
    chosen
}

/// Takes guards out one by one: those that are chosen by the arguments.
///
/// # Errors
/// A guard that no test misses, or whose absence cannot be built; and tests that fail with all
/// guards in place, which say nothing then.
pub(crate) fn guards(arguments: &[String]) -> anyhow::Result<()> {
    let chosen = chosen(arguments);
    anyhow::ensure!(!chosen.is_empty(), "no guard is called so; there are:\n{}", names());
    let copy = Copy::of_what_is_committed()?;
    let suite = Suite::prepared(Some(copy.place()))?;
    println!("{} guards; what cargo says is in {}", chosen.len(), copy.said.display());
    let mut tests: Vec<String> = chosen.iter().flat_map(|guard| filters(guard)).collect();
    tests.sort();
    tests.dedup();
    let said = copy.file("with all guards")?;
    anyhow::ensure!(suite.builds(&said, WITHIN)?, "it does not build, with all guards");
    let limit = WITHIN * 3;
    anyhow::ensure!(suite.passes(&tests, &said, limit)?, "tests fail with all guards in place");
    let mut trouble = Vec::new();
    for guard in chosen {
        let began = Instant::now();
        let became = without(guard, &copy, &suite)?;
        println!("{:>5} s  {became:<14} {}", began.elapsed().as_secs(), guard.name);
        if became != "missed" {
            trouble.push(format!("{}: {became}", guard.name));
        }
    }
    anyhow::ensure!(trouble.is_empty(), "{}", trouble.join("\n"));
    Ok(())
}

fn names() -> String {
    let of = |(group, guards): (&str, &[Guard])| {
        let names: Vec<String> = guards.iter().map(|guard| format!("\n  {}", guard.name)).collect();
        format!("{group}{}", names.concat())
    };
    GROUPS.map(of).join("\n")
}

fn filters(guard: &Guard) -> impl Iterator<Item = String> {
    guard.tests.iter().map(|test| (*test).to_owned())
}

/// What becomes of the tests without this guard.
fn without(guard: &Guard, copy: &Copy, suite: &Suite) -> anyhow::Result<&'static str> {
    let path = copy.source.join(guard.file);
    let whole = std::fs::read_to_string(&path).with_context(|| guard.file.to_owned())?;
    std::fs::write(&path, taken_out(guard, &whole)?)?;
    let said = copy.file(guard.name)?;
    let tests: Vec<String> = filters(guard).collect();
    let passed = match suite.builds(&said, WITHIN) {
        Ok(true) => suite.passes(&tests, &said, WITHIN).map(Some),
        Ok(false) => Ok(None),
        Err(error) => Err(error),
    };
    std::fs::write(&path, whole)?;
    let passed = passed?;
    let said = std::fs::read_to_string(copy.path(guard.name))?;
    anyhow::ensure!(!said.contains("no tests to run"), "{}: no such tests", guard.name);
    Ok(match passed {
        Some(false) => "missed",
        Some(true) => "NOT MISSED",
        None => "DOES NOT BUILD",
    })
}

fn taken_out(guard: &Guard, whole: &str) -> anyhow::Result<String> {
    let places = whole.matches(guard.with).count();
    let Guard { name, file, with, .. } = guard;
    anyhow::ensure!(places == 1, "{name}: stands {places} times in {file}: {with}");
    Ok(whole.replacen(guard.with, guard.without, 1))
}

/// A clone of this repository, kept for the next time: only what changes is built anew.
struct Copy {
    source: PathBuf,
    target: PathBuf,
    said: PathBuf,
}

impl Copy {
    fn of_what_is_committed() -> anyhow::Result<Self> {
        let folder = shell::root().join(shell::target_folder()).join("guards");
        let (source, said) = (folder.join("source"), folder.join("said"));
        std::fs::create_dir_all(&said)?;
        if !source.join(".git").exists() {
            shell::show(git(&folder).args(["clone", "--quiet"]).arg(shell::root()).arg(&source))?;
        }
        let head = shell::capture(git(shell::root()).args(["rev-parse", "HEAD"]), WITHIN)?;
        let head = String::from_utf8(head.stdout)?;
        shell::show(git(&source).args(["fetch", "--quiet", "origin", head.trim()]))?;
        shell::show(git(&source).args(["reset", "--quiet", "--hard", head.trim()]))?;
        Ok(Self { source, target: folder.join("target"), said })
    }

    fn place(&self) -> Place {
        Place { source: self.source.clone(), target: self.target.clone(), targets: TARGETS }
    }

    /// Where it is written down what cargo says.
    fn path(&self, name: &str) -> PathBuf {
        let name: String =
            name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        self.said.join(format!("{name}.txt"))
    }

    fn file(&self, name: &str) -> anyhow::Result<File> {
        Ok(File::create(self.path(name))?)
    }
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder);
    git
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::collections::BTreeSet;

    use super::*;

    fn all() -> Vec<&'static Guard> {
        chosen(&[])
    }

    #[test]
    fn each_guard_stands_where_the_list_says() {
        for guard in all() {
            let whole = std::fs::read_to_string(shell::root().join(guard.file)).unwrap();
            let without = taken_out(guard, &whole).unwrap();
            assert_ne!(without, whole, "{}", guard.name);
            assert!(!guard.tests.is_empty(), "{}", guard.name);
        }
        let names: BTreeSet<&str> = all().iter().map(|guard| guard.name).collect();
        assert_eq!(names.len(), all().len(), "two guards have one name");
    }

    #[test]
    fn they_are_chosen_by_their_group_or_a_part_of_their_names() {
        let chosen = |argument: &str| chosen(&[argument.to_owned()]).len();
        assert_eq!(chosen("unsigned"), 1);
        assert!(chosen("fork") > 2);
        assert_eq!(chosen("github"), github::GUARDS.len());
        assert_eq!(chosen("no such guard"), 0);
    }
}
