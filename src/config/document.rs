//! The configuration as written: the file, overlaid with the environment, each value with its
//! place.
//!
//! Owns TOML and the naming of variables. Refuses to know which keys exist.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigErrors, Origin, Problem};

/// Environment variables by name, as data: tests need not change those of their process.
pub type Variables = BTreeMap<String, String>;

/// What the names of overriding variables begin with.
const PREFIX: &str = "SLUICE_";
/// What stands between the keys of a path in a variable's name.
const SEPARATOR: &str = "__";

pub(super) type Table = BTreeMap<String, Node>;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// A value, as far as a configuration needs to tell them apart.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// What no key takes: dates, fractions.
    Other,
}

/// Reads a file's text. Syntax errors are told by line and kind; TOML's own rendering would quote
/// the line, and with it perhaps a secret.
pub(super) fn parse(text: &str) -> Result<Table, ConfigErrors> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let problem = |error: &toml::de::Error| {
        let line = error.span().map(|span| Origin::Line(line_at(text, span.start)));
        Problem::new("the file", line, format!("not TOML: {}", error.message()))
    };
    ConfigErrors::check(errors.iter().map(problem).collect())?;
    Ok(table_of(text, table.into_inner()))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn table_of(text: &str, table: DeTable<'_>) -> Table {
    table
        .into_iter()
        .map(|(key, value)| (key.into_inner().into_owned(), node_of(text, value)))
        .collect()
}

fn node_of(text: &str, value: Spanned<DeValue<'_>>) -> Node {
    let origin = Origin::Line(line_at(text, value.span().start));
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other, Value::Integer),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node_of(text, item)).collect())
        }
        DeValue::Table(table) => Value::Table(table_of(text, table)),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
    };
    Node { origin, value }
}

/// One step of the path that a variable's name spells. Numbers sort as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Index(usize),
    Key(String),
}

impl Step {
    fn new(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Key(text.to_ascii_lowercase()), Self::Index)
    }
}

/// Lays `SLUICE_QUEUE__URL`, `SLUICE_PROJECT__0__PATH` … over the file. An empty variable counts as
/// not set, as Compose files produce it.
pub(super) fn overlay(table: Table, variables: &Variables) -> (Table, Vec<Problem>) {
    let mut paths: Vec<(Vec<Step>, &String, &String)> = variables
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR))?;
            Some((path.split(SEPARATOR).map(Step::new).collect(), name, value))
        })
        .collect();
    paths.sort();

    let mut problems = Vec::new();
    let mut root = Node { origin: Origin::Line(1), value: Value::Table(table) };
    for (path, name, value) in paths {
        let origin = Origin::Variable(name.clone());
        let leaf = Node { origin: origin.clone(), value: Value::Text(value.clone()) };
        if let Err(why) = place(&mut root, &path, leaf) {
            problems.push(Problem::new("the environment", Some(origin), why));
        }
    }
    match root.value {
        Value::Table(table) => (table, problems),
        // A path has at least two steps, so the root itself is never replaced.
        _ => (Table::new(), problems),
    }
}

fn place(at: &mut Node, path: &[Step], leaf: Node) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        *at = leaf;
        return Ok(());
    };
    match (step, &mut at.value) {
        (Step::Key(key), Value::Table(table)) => {
            let below = table.entry(key.clone()).or_insert_with(|| empty(rest, &leaf.origin));
            place(below, rest, leaf)
        }
        (Step::Index(index), Value::List(list)) => {
            let count = list.len();
            if *index == count {
                list.push(empty(rest, &leaf.origin));
            }
            let below = list.get_mut(*index).ok_or_else(|| {
                format!("names entry {index}, but there are {count}; the next one is {count}")
            })?;
            place(below, rest, leaf)
        }
        (Step::Key(key), _) => Err(format!("names the key {key:?} of something without keys")),
        (Step::Index(index), _) => Err(format!("names entry {index} of something without entries")),
    }
}

/// What the next step of a path can be placed in.
fn empty(rest: &[Step], origin: &Origin) -> Node {
    let value = match rest.first() {
        Some(Step::Key(_)) => Value::Table(Table::new()),
        Some(Step::Index(_)) => Value::List(Vec::new()),
        None => Value::Other,
    };
    Node { origin: origin.clone(), value }
}
