//! A CODEOWNERS file: which line speaks of which path.
//!
//! Owns GitHub's reading of the file: where it may be, what a line may say, that the last matching
//! line wins. Refuses to know who reads it, and whether anybody approved.

mod pattern;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::github::{OwnedFiles, Owner, Team};
use crate::names::Login;
use pattern::{Path, Pattern};

/// Where the file may be, in GitHub's order; the first that is there is used, and no other.
pub const PLACES: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// A larger file is not used by GitHub, in bytes.
pub const LARGEST: u64 = 3 * 1024 * 1024;

/// The most comparisons of a path with a pattern that are made for one pull request: some seconds
/// at worst.
const MOST_COMPARISONS: usize = 20_000_000;

/// The longest login, and the longest name of a team, that is taken for one, in characters.
const LONGEST_NAME: usize = 120;

/// What a file says.
#[derive(Debug, Default)]
pub struct CodeOwners {
    rules: Vec<Rule>,
    skipped: Vec<usize>,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// Empty: what it matches needs nobody.
    owners: Vec<Owner>,
}

/// There are more patterns and files than are compared.
#[derive(Debug, thiserror::Error)]
#[error("there are too many changed files for so many patterns")]
pub struct TooMany;

impl CodeOwners {
    /// Reads a file. A line that is no rule is skipped, as GitHub does.
    pub fn parse(text: &str) -> Self {
        let mut file = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            match Line::of(line) {
                Line::Empty => {}
                Line::Rule(rule) => file.rules.push(rule),
                Line::Odd => file.skipped.push(index + 1),
            }
        }
        file
    }

    /// The numbers of the lines that are no rules, from 1.
    pub fn skipped(&self) -> &[usize] {
        &self.skipped
    }

    /// Whether any path at all may have an owner.
    pub fn names_anybody(&self) -> bool {
        self.rules.iter().any(|rule| !rule.owners.is_empty())
    }

    /// Whom a path belongs to; nobody: it needs no owner's approval.
    pub fn of(&self, path: &str) -> &[Owner] {
        let path = Path::of(path);
        let last = self.rules.iter().rev().find(|rule| rule.pattern.matches(&path));
        last.map_or(&[], |rule| &rule.owners)
    }

    /// The files that have owners, those with the same owners together, in the files' order.
    ///
    /// # Errors
    /// It would take too long to tell.
    pub fn groups(&self, files: &[String]) -> Result<Vec<OwnedFiles>, TooMany> {
        if self.rules.len().saturating_mul(files.len()) > MOST_COMPARISONS {
            return Err(TooMany);
        }
        let (mut groups, mut known) = (Vec::new(), HashMap::new());
        for file in files {
            let owners = self.of(file);
            if owners.is_empty() {
                continue;
            }
            let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
            let place = *known.entry(names.join(" ")).or_insert_with(|| {
                groups.push(OwnedFiles { files: Vec::new(), owners: owners.to_vec() });
                groups.len() - 1
            });
            groups[place].files.push(file.clone());
        }
        Ok(groups)
    }
}

/// What one line is.
enum Line {
    Empty,
    Rule(Rule),
    Odd,
}

impl Line {
    fn of(line: &str) -> Self {
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace());
        if line.is_empty() || line.starts_with('#') {
            return Self::Empty;
        }
        let (pattern, rest) = line.split_at(pattern_ends(line));
        let words = rest.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
        let owners: Option<Vec<Owner>> = words.map(owner).collect();
        match (Pattern::parse(pattern), owners) {
            (Some(pattern), Some(owners)) => Self::Rule(Rule { pattern, owners }),
            _ => Self::Odd,
        }
    }
}

/// Where the first word ends; a space behind a backslash belongs to it.
fn pattern_ends(line: &str) -> usize {
    let mut is_escaped = false;
    let end = line.bytes().position(|byte| {
        let ends = byte.is_ascii_whitespace() && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.unwrap_or(line.len())
}

/// `@user`, `@organization/team`, or an address.
fn owner(word: &str) -> Option<Owner> {
    let is_name = |name: &str| {
        let has_only = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(has_only)
    };
    if let Some(name) = word.strip_prefix('@') {
        return match name.split_once('/') {
            None => is_name(name).then(|| Owner::User(Login::new(name))),
            Some((organization, slug)) => (is_name(organization) && is_name(slug))
                .then(|| Owner::Team(Team::new(organization, slug))),
        };
    }
    let (who, host) = word.split_once('@')?;
    let is_address = !who.is_empty()
        && word.len() <= 2 * LONGEST_NAME
        && host.contains('.')
        && host.split('.').all(is_name);
    is_address.then(|| Owner::Email(word.to_owned()))
}
