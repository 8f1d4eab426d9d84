//! Whether a document is as a schema has it: the part of JSON Schema that GitHub's descriptions
//! use, read straight from the description. A validator that is first compiled takes longer in
//! each of a thousand test processes than all its documents.
//!
//! Owns the keywords. One that is not known here is an error when the slice is made
//! ([`unknown_keywords`]), so that none is passed over.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::described::{COMPONENT, Described};
use crate::format;

/// The keywords that are checked here.
const KNOWN: [&str; 15] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minimum",
    "oneOf",
    "properties",
    "required",
    "type",
];

/// How many problems of one document are told.
const TOLD: usize = 8;

/// What is wrong with a document, each with the place it is at.
pub(crate) fn problems(described: &Described, schema: &Value, document: &Value) -> Vec<String> {
    let mut check = Check { described, found: Vec::new() };
    check.schema(schema, document, "");
    check.found.truncate(TOLD);
    check.found
}

/// The keywords of a schema, at any depth, that [`problems`] does not check.
pub(crate) fn unknown_keywords(schema: &Value, found: &mut BTreeSet<String>) {
    let Some(keywords) = schema.as_object() else { return };
    for (keyword, value) in keywords {
        let inner: Vec<&Value> = match (keyword.as_str(), value) {
            ("properties", Value::Object(named)) => named.values().collect(),
            ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => schemas.iter().collect(),
            ("items" | "additionalProperties", schema) => vec![schema],
            (known, _) if KNOWN.contains(&known) => Vec::new(),
            (other, _) => {
                found.insert(other.to_owned());
                Vec::new()
            }
        };
        inner.into_iter().for_each(|schema| unknown_keywords(schema, found));
    }
}

/// The components that a schema refers to.
pub(crate) fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keywords) => {
            let reference = keywords.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|name| name.strip_prefix(COMPONENT));
            found.extend(name.map(str::to_owned));
            keywords.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

struct Check<'a> {
    described: &'a Described,
    found: Vec<String>,
}

impl Check<'_> {
    fn schema(&mut self, schema: &Value, document: &Value, path: &str) {
        let Some(keywords) = schema.as_object() else {
            if *schema == Value::Bool(false) {
                self.problem(path, "may not be there");
            }
            return;
        };
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("$ref", Value::String(name)) => match self.described.get(name) {
                    Some(schema) => self.schema(schema, document, path),
                    None => self.problem(path, format!("{name} is not described")),
                },
                ("allOf", Value::Array(all)) => {
                    all.iter().for_each(|schema| self.schema(schema, document, path));
                }
                ("anyOf", Value::Array(any)) => self.any(any, document, path),
                ("oneOf", Value::Array(one)) => self.one(one, document, path),
                (keyword, value) => {
                    if let Some(problem) = leaf(keyword, value, document) {
                        self.problem(path, problem);
                    }
                }
            }
        }
        match document {
            Value::Object(named) => self.object(keywords, named, path),
            Value::Array(items) => self.array(keywords, items, path),
            _ => {}
        }
    }

    fn object(&mut self, keywords: &Map<String, Value>, named: &Map<String, Value>, path: &str) {
        let required = keywords.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !named.contains_key(name) {
                self.problem(path, format!("lacks {name}"));
            }
        }
        let properties = keywords.get("properties").and_then(Value::as_object);
        for (name, value) in named {
            let own = properties.and_then(|properties| properties.get(name));
            if let Some(schema) = own.or_else(|| keywords.get("additionalProperties")) {
                self.schema(schema, value, &format!("{path}/{name}"));
            }
        }
    }

    fn array(&mut self, keywords: &Map<String, Value>, items: &[Value], path: &str) {
        let Some(schema) = keywords.get("items") else { return };
        for (place, item) in items.iter().enumerate() {
            self.schema(schema, item, &format!("{path}/{place}"));
        }
    }

    /// Of the problems that there are with each, those of the schema that fits best are told.
    fn any(&mut self, schemas: &[Value], document: &Value, path: &str) {
        let best =
            schemas.iter().map(|schema| self.apart(schema, document, path)).min_by_key(Vec::len);
        self.found.extend(best.unwrap_or_default());
    }

    fn one(&mut self, schemas: &[Value], document: &Value, path: &str) {
        let each: Vec<_> =
            schemas.iter().map(|schema| self.apart(schema, document, path)).collect();
        match each.iter().filter(|problems| problems.is_empty()).count() {
            0 => self.found.extend(each.into_iter().min_by_key(Vec::len).unwrap_or_default()),
            1 => {}
            several => self.problem(path, format!("is {several} things at once")),
        }
    }

    fn apart(&self, schema: &Value, document: &Value, path: &str) -> Vec<String> {
        let mut check = Check { described: self.described, found: Vec::new() };
        check.schema(schema, document, path);
        check.found
    }

    fn problem(&mut self, path: &str, what: impl std::fmt::Display) {
        let path = if path.is_empty() { "/" } else { path };
        self.found.push(format!("at {path}: {what}"));
    }
}

/// What a keyword that looks at nothing inside says against a document.
fn leaf(keyword: &str, value: &Value, document: &Value) -> Option<String> {
    let limit = || value.as_f64().unwrap_or_default();
    let is_right = match (keyword, document) {
        ("type", document) => match value {
            Value::Array(types) => types.iter().any(|one| is_of_type(one, document)),
            one => is_of_type(one, document),
        },
        ("enum", document) => value.as_array().is_none_or(|values| values.contains(document)),
        ("minimum", Value::Number(number)) => number.as_f64().is_some_and(|it| it >= limit()),
        ("maximum", Value::Number(number)) => number.as_f64().is_some_and(|it| it <= limit()),
        ("maxLength", Value::String(text)) => text.chars().count() as f64 <= limit(),
        ("maxItems", Value::Array(items)) => items.len() as f64 <= limit(),
        ("format", document) => value.as_str().is_none_or(|name| format::fits(name, document)),
        _ => true,
    };
    (!is_right).then(|| format!("{} breaks {keyword} {value}", shortened(&document.to_string())))
}

fn is_of_type(name: &Value, document: &Value) -> bool {
    match name.as_str() {
        Some("array") => document.is_array(),
        Some("boolean") => document.is_boolean(),
        Some("integer") => {
            document.is_i64()
                || document.is_u64()
                || document.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        Some("null") => document.is_null(),
        Some("number") => document.is_number(),
        Some("object") => document.is_object(),
        Some("string") => document.is_string(),
        _ => false,
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(MOST).collect();
    if characters.next().is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests;
