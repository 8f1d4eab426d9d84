//! OpenAPI 3.0 and 3.1 → JSON Schema 2020-12, without what people read.
//!
//! Owns what of a description is kept. Knows no operation by name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::schema::{references, unknown_keywords};

/// Keywords that say nothing about what is valid.
const PROSE: [&str; 13] = [
    "default",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "readOnly",
    "summary",
    "tags",
    "title",
    "x-github",
    "xml",
];

/// A schema with nothing but what validates, its references pointing to `#/$defs/`.
pub(super) fn reduced(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => object(keywords),
        Value::Array(items) => items.iter().map(reduced).collect(),
        other => other.clone(),
    }
}

fn object(keywords: &Map<String, Value>) -> Value {
    let mut kept = Map::new();
    for (keyword, value) in keywords {
        let value = match (keyword.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(named)) => {
                named.iter().map(|(name, schema)| (name.clone(), reduced(schema))).collect()
            }
            ("$ref", Value::String(reference)) => {
                reference.replace("#/components/schemas/", "#/$defs/").into()
            }
            ("enum" | "const" | "required", value) => value.clone(),
            ("nullable", _) => continue,
            (keyword, _) if PROSE.contains(&keyword) || keyword.starts_with("x-") => continue,
            (_, value) => reduced(value),
        };
        kept.insert(keyword.clone(), value);
    }
    if keywords.get("nullable") == Some(&Value::Bool(true)) { or_null(kept) } else { kept.into() }
}

/// `nullable` of OpenAPI 3.0.
fn or_null(mut schema: Map<String, Value>) -> Value {
    let named = schema.get("type").and_then(Value::as_str).map(str::to_owned);
    let is_plain = !["$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key));
    let Some(named) = named.filter(|_| is_plain) else {
        return json!({"anyOf": [schema, {"type": "null"}]});
    };
    schema.insert("type".to_owned(), json!([named, "null"]));
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    schema.into()
}

/// A request's body may hold what is described and nothing else: a misspelt name is an error.
pub(super) fn closed(mut schema: Value) -> Value {
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else { return };
    if let Some(named) = keywords.get_mut("properties").and_then(Value::as_object_mut) {
        named.values_mut().for_each(close);
        let is_open = ["additionalProperties", "allOf", "anyOf", "oneOf"];
        if !is_open.iter().any(|key| keywords.contains_key(*key)) {
            keywords.insert("additionalProperties".to_owned(), false.into());
        }
    }
    if let Some(items) = keywords.get_mut("items") {
        close(items);
    }
}

/// What `reference` (`#/a/b`) names in a document.
pub(super) fn resolve<'a>(document: &'a Value, reference: &str) -> anyhow::Result<&'a Value> {
    let pointer = reference.strip_prefix('#').context("a reference to another document")?;
    document.pointer(pointer).with_context(|| format!("nothing is at {reference}"))
}

/// The value itself, or what it refers to.
pub(super) fn followed<'a>(document: &'a Value, value: &'a Value) -> anyhow::Result<&'a Value> {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolve(document, reference),
        None => Ok(value),
    }
}

/// Every component that one of `roots` refers to, however far, reduced.
pub(super) fn components(
    document: &Value,
    roots: &[&Value],
) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    let mut open = BTreeSet::new();
    roots.iter().for_each(|root| references(root, &mut open));
    while let Some(name) = open.pop_first() {
        let schema = resolve(document, &format!("#/components/schemas/{name}"))?;
        let schema = reduced(schema);
        let mut more = BTreeSet::new();
        references(&schema, &mut more);
        found.insert(name, schema);
        open.extend(more.into_iter().filter(|name| !found.contains_key(name)));
    }
    let mut unknown = BTreeSet::new();
    found.values().for_each(|schema| unknown_keywords(schema, &mut unknown));
    anyhow::ensure!(unknown.is_empty(), "keywords that nobody checks: {unknown:?}");
    Ok(found)
}
