//! The descriptions, a line each, read when they are asked for: most tests need few of them.
//!
//! Owns the form of the files. Knows neither REST nor webhooks.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

/// What a component's name begins with, in its line and where it is referred to.
pub(crate) const COMPONENT: &str = "#/$defs/";

/// A file of descriptions: `name`, a tab, JSON.
pub(crate) struct Described {
    lines: BTreeMap<&'static str, Line>,
}

struct Line {
    text: &'static str,
    read: OnceLock<Option<Value>>,
}

impl Described {
    pub(crate) fn new(text: &'static str) -> Self {
        let line = |text| Line { text, read: OnceLock::new() };
        let lines = text.lines().filter_map(|line| line.split_once('\t'));
        Self { lines: lines.map(|(name, text)| (name, line(text))).collect() }
    }

    /// The names of what is described, components left out.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.lines.keys().copied().filter(|name| !name.starts_with(COMPONENT))
    }

    /// What is said of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let line = self.lines.get(name)?;
        line.read.get_or_init(|| serde_json::from_str(line.text).ok()).as_ref()
    }
}
