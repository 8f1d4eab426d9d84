//! Reading one table key by key, so that nothing wrong goes unsaid.
//!
//! Owns defaults, missing keys and unknown keys. Refuses to know what the keys mean.

use super::document::{Node, Table, Value};
use super::problem::{Origin, Problem};

/// A table being read. Each key is taken at most once; what is left at the end is unknown.
pub(super) struct Section<'p> {
    path: String,
    origin: Option<Origin>,
    table: Table,
    known: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
    before: usize,
}

impl<'p> Section<'p> {
    /// The table of the whole document.
    pub(super) fn root(table: Table, problems: &'p mut Vec<Problem>) -> Self {
        Self::new(String::new(), None, table, problems)
    }

    fn new(
        path: String,
        origin: Option<Origin>,
        table: Table,
        problems: &'p mut Vec<Problem>,
    ) -> Self {
        let before = problems.len();
        Self { path, origin, table, known: Vec::new(), problems, before }
    }

    /// The table under a key; an empty one when it is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'_> {
        self.known.push(key);
        let (origin, table) = match self.table.remove(key) {
            None => (None, Table::new()),
            Some(Node { origin, value: Value::Table(table) }) => (Some(origin), table),
            Some(node) => {
                self.push(key, Some(node.origin), format!("expected a section: [{key}]"));
                (None, Table::new())
            }
        };
        Section::new(self.path_of(key), origin, table, self.problems)
    }

    /// The tables of a `[[key]]`, each read by `read`; what `read` cannot make is a problem told.
    pub(super) fn each<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        self.known.push(key);
        let nodes = match self.table.remove(key) {
            None => Vec::new(),
            Some(Node { value: Value::List(nodes), .. }) => nodes,
            Some(node) => {
                self.push(key, Some(node.origin), format!("expected sections: [[{key}]]"));
                Vec::new()
            }
        };
        let mut made = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(key));
            match node.value {
                Value::Table(table) => {
                    let section = Section::new(path, Some(node.origin), table, self.problems);
                    made.extend(read(section));
                }
                _ => self.problems.push(Problem::new(
                    path,
                    Some(node.origin),
                    format!("expected a section: [[{key}]]"),
                )),
            }
        }
        made
    }

    /// The value of a key, when it is there and what `kind` takes.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        kind: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let node = self.table.remove(key)?;
        match kind(&node) {
            Ok(value) => Some(value),
            Err(message) => {
                self.push(key, Some(node.origin), message);
                None
            }
        }
    }

    /// The value of a key, or this one when it is absent (or wrong, which is a problem told).
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        kind: impl FnOnce(&Node) -> Result<T, String>,
        default: T,
    ) -> T {
        self.optional(key, kind).unwrap_or(default)
    }

    /// The value of a key that has no default.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        kind: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.push(key, self.origin.clone(), "missing");
        }
        self.optional(key, kind)
    }

    /// Whether a key was written and not taken yet.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.table.contains_key(key)
    }

    /// Refuses a key that people might expect, with a sentence on what to do instead.
    pub(super) fn refuse(&mut self, key: &'static str, sentence: &str) {
        if let Some(node) = self.table.remove(key) {
            self.push(key, Some(node.origin), sentence);
        }
    }

    /// Tells a problem of a key that is not in one value alone.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.push(key, self.origin.clone(), message);
    }

    /// Whether nothing of this section was wrong so far.
    pub(super) fn is_sound(&self) -> bool {
        self.problems.len() == self.before
    }

    /// Ends the reading: what was not asked for is unknown.
    pub(super) fn finish(mut self) {
        self.known.sort_unstable();
        self.known.dedup();
        for (key, node) in std::mem::take(&mut self.table) {
            let message = match nearest(&key, &self.known) {
                Some(near) => format!("unknown key; did you mean {near:?}?"),
                None => format!("unknown key; known are: {}", self.known.join(", ")),
            };
            self.push(&key, Some(node.origin), message);
        }
    }

    fn push(&mut self, key: &str, origin: Option<Origin>, message: impl Into<String>) {
        self.problems.push(Problem::new(self.path_of(key), origin, message));
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The known key that differs by at most a third of the letters.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (distance(key, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed or replaced to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
