//! GitHub's GraphQL schema, as far as the stand-in's goes: of each of its types all fields whose
//! own type is kept, so that another field of it may be asked for without a new slice.
//!
//! Prints the schema from its introspection: the one that is printed in the package is invalid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

/// Types that every schema has.
const BUILT_IN: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];

/// The part of the schema that `wanted` types and what these need make up.
pub(super) fn slice(introspection: &Value, wanted: &BTreeSet<String>) -> anyhow::Result<String> {
    let types = introspection["__schema"]["types"].as_array().context("no types")?;
    let types: BTreeMap<&str, &Value> =
        types.iter().filter_map(|one| Some((one["name"].as_str()?, one))).collect();
    let slice = Slice { kept: kept(&types, wanted)?, types };
    let mut text = String::new();
    for name in &slice.kept {
        slice.print(name, &mut text).with_context(|| format!("cannot print {name}"))?;
    }
    Ok(text)
}

/// The wanted types, with all that their leaves and arguments are made of.
fn kept<'a>(
    types: &BTreeMap<&'a str, &'a Value>,
    wanted: &BTreeSet<String>,
) -> anyhow::Result<BTreeSet<&'a str>> {
    let mut open: Vec<&str> = Vec::new();
    for name in wanted.iter().filter(|name| !BUILT_IN.contains(&name.as_str())) {
        let known = types.get_key_value(name.as_str());
        open.push(known.with_context(|| format!("GitHub has no type {name}"))?.0);
    }
    let composites: BTreeSet<&str> = open.iter().copied().collect();
    let mut kept = BTreeSet::new();
    while let Some(name) = open.pop() {
        let described = types.get(name).with_context(|| format!("no type {name}"))?;
        if BUILT_IN.contains(&name) || !kept.insert(name) {
            continue;
        }
        let is_leaf = |name: &str| matches!(kind(types, name), "SCALAR" | "ENUM");
        for field in list(described, "fields") {
            let returned = innermost(&field["type"]);
            if is_leaf(returned) || composites.contains(returned) {
                open.push(returned);
                open.extend(list(field, "args").iter().map(|one| innermost(&one["type"])));
            }
        }
        open.extend(list(described, "inputFields").iter().map(|one| innermost(&one["type"])));
    }
    Ok(kept)
}

struct Slice<'a> {
    types: BTreeMap<&'a str, &'a Value>,
    kept: BTreeSet<&'a str>,
}

impl Slice<'_> {
    fn print(&self, name: &str, text: &mut String) -> anyhow::Result<()> {
        let described = self.types[name];
        let kind = kind(&self.types, name);
        match kind {
            "SCALAR" => writeln!(text, "scalar {name}")?,
            "UNION" => writeln!(text, "union {name} = {}", self.named(described, "possibleTypes"))?,
            "ENUM" => {
                writeln!(text, "enum {name} {{")?;
                for value in list(described, "enumValues") {
                    writeln!(text, "  {}", word(value))?;
                }
                writeln!(text, "}}")?;
            }
            "INPUT_OBJECT" => {
                writeln!(text, "input {name} {{")?;
                for field in list(described, "inputFields") {
                    writeln!(text, "  {}", input(field)?)?;
                }
                writeln!(text, "}}")?;
            }
            "OBJECT" | "INTERFACE" => self.print_fields(described, kind, text)?,
            other => anyhow::bail!("no kind of type: {other}"),
        }
        Ok(())
    }

    fn print_fields(&self, described: &Value, kind: &str, text: &mut String) -> anyhow::Result<()> {
        let keyword = if kind == "OBJECT" { "type" } else { "interface" };
        let interfaces = self.named(described, "interfaces").replace(" | ", " & ");
        let implements =
            if interfaces.is_empty() { interfaces } else { format!(" implements {interfaces}") };
        writeln!(text, "{keyword} {}{implements} {{", word(described))?;
        for field in list(described, "fields") {
            let returned = innermost(&field["type"]);
            if !self.kept.contains(returned) && !BUILT_IN.contains(&returned) {
                continue;
            }
            let arguments = list(field, "args").iter().map(input);
            let arguments = arguments.collect::<anyhow::Result<Vec<_>>>()?.join(", ");
            let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
            writeln!(text, "  {}{arguments}: {}", word(field), written(&field["type"])?)?;
        }
        writeln!(text, "}}")?;
        Ok(())
    }

    /// Those of the named types that are kept.
    fn named(&self, described: &Value, key: &str) -> String {
        let names = list(described, key).iter().map(word);
        names.filter(|name| self.kept.contains(name)).collect::<Vec<_>>().join(" | ")
    }
}

fn kind<'a>(types: &BTreeMap<&'a str, &'a Value>, name: &str) -> &'a str {
    types.get(name).and_then(|one| one["kind"].as_str()).unwrap_or_default()
}

fn list<'a>(described: &'a Value, key: &str) -> &'a [Value] {
    described[key].as_array().map_or(&[], Vec::as_slice)
}

fn word(described: &Value) -> &str {
    described["name"].as_str().unwrap_or_default()
}

/// The name of a type, without lists and exclamation marks.
fn innermost(described: &Value) -> &str {
    match &described["ofType"] {
        Value::Null => word(described),
        inner => innermost(inner),
    }
}

/// A type as it is written: `[Thing!]!`.
fn written(described: &Value) -> anyhow::Result<String> {
    Ok(match described["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", written(&described["ofType"])?),
        Some("LIST") => format!("[{}]", written(&described["ofType"])?),
        Some(_) => word(described).to_owned(),
        None => anyhow::bail!("a type of no kind"),
    })
}

/// An argument, or a field of an input.
fn input(described: &Value) -> anyhow::Result<String> {
    let default = described["defaultValue"].as_str();
    let default = default.map(|value| format!(" = {value}")).unwrap_or_default();
    Ok(format!("{}: {}{default}", word(described), written(&described["type"])?))
}
