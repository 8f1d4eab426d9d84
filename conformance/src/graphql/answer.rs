//! Whether an answer has the fields that were asked for, each of its type.
//!
//! Owns the walk over document and answer. Where the type of an object is not asked for
//! (`__typename`), any type will do whose fields are those that the answer has.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::DirectiveList;
use apollo_compiler::executable::{
    Field, Operation, Selection, SelectionSet, Type, Value as Given,
};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Map, Value};

/// The fields of an object by their name in the answer.
type Fields<'a> = BTreeMap<&'a str, Vec<&'a Field>>;

/// What is wrong with an answer to that operation.
pub(super) fn problems(
    (schema, document): (&Schema, &ExecutableDocument),
    operation: &Operation,
    variables: &JsonMap,
    answer: &Value,
) -> Vec<String> {
    let mut walk = Walk { schema, document, variables, problems: Vec::new() };
    let errors = answer["errors"].as_array();
    for error in errors.into_iter().flatten() {
        if !error["message"].is_string() {
            walk.problem("errors", "an error without a message");
        }
    }
    match &answer["data"] {
        Value::Null if errors.is_some_and(|errors| !errors.is_empty()) => {}
        Value::Null => walk.problem("data", "neither data nor errors"),
        data => walk.object("data", &[&operation.selection_set], data),
    }
    walk.problems
}

struct Walk<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    variables: &'a JsonMap,
    problems: Vec<String>,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, path: &str, what: impl std::fmt::Display) {
        self.problems.push(format!("at `{path}`: {what}"));
    }

    /// An object, which these selections were made of.
    fn object(&mut self, path: &str, sets: &[&'a SelectionSet], value: &Value) {
        let Some(object) = value.as_object() else {
            return self.problem(path, format!("no object: {value}"));
        };
        let Some(asked) = sets.first().map(|set| set.ty.as_str()) else { return };
        let named = object.get("__typename").and_then(Value::as_str);
        let mut candidates = self.concrete(asked);
        candidates.retain(|candidate| named.is_none_or(|named| named == *candidate));
        if candidates.is_empty() {
            return self.problem(path, format!("{named:?} is no {asked}"));
        }
        // Of the problems that there are with each type, those of the one that fits best are told.
        let mut best: Option<Vec<String>> = None;
        for candidate in candidates {
            let mut fields = Fields::new();
            sets.iter().for_each(|set| self.collect(candidate, set, &mut fields));
            let before = self.problems.len();
            self.fields(path, &fields, object);
            let problems = self.problems.split_off(before);
            if best.as_ref().is_none_or(|best| problems.len() < best.len()) {
                best = Some(problems);
            }
        }
        self.problems.extend(best.into_iter().flatten());
    }

    fn fields(&mut self, path: &str, fields: &Fields<'a>, object: &Map<String, Value>) {
        let asked: BTreeSet<&str> = fields.keys().copied().collect();
        let has: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        for missing in asked.difference(&has) {
            self.problem(path, format!("lacks {missing}"));
        }
        for surplus in has.difference(&asked) {
            self.problem(path, format!("{surplus} was not asked for"));
        }
        for (name, fields) in fields {
            let (Some(value), Some(field)) = (object.get(*name), fields.first()) else { continue };
            self.value(&format!("{path}.{name}"), field.ty(), fields, value);
        }
    }

    fn value(&mut self, path: &str, ty: &Type, fields: &[&'a Field], value: &Value) {
        if value.is_null() {
            if ty.is_non_null() {
                self.problem(path, format!("null, where GitHub has {ty}"));
            }
            return;
        }
        match (ty, value) {
            (Type::List(inner) | Type::NonNullList(inner), Value::Array(items)) => {
                for (place, item) in items.iter().enumerate() {
                    self.value(&format!("{path}.{place}"), inner, fields, item);
                }
            }
            (Type::List(_) | Type::NonNullList(_), other) => {
                self.problem(path, format!("no list: {other}"));
            }
            (Type::Named(name) | Type::NonNullNamed(name), value) => {
                match self.schema.types.get(name) {
                    Some(leaf) if leaf.is_leaf() => {
                        if !is_of(leaf, value) {
                            self.problem(path, format!("{value} is no {name}"));
                        }
                    }
                    _ => {
                        let sets: Vec<_> =
                            fields.iter().map(|field| &field.selection_set).collect();
                        self.object(path, &sets, value);
                    }
                }
            }
        }
    }

    /// What a selection comes to for an object of this type.
    fn collect(&self, concrete: &str, set: &'a SelectionSet, fields: &mut Fields<'a>) {
        for selection in &set.selections {
            if !self.is_included(selection.directives()) {
                continue;
            }
            let (condition, inner) = match selection {
                Selection::Field(field) => {
                    fields.entry(field.response_key().as_str()).or_default().push(field);
                    continue;
                }
                Selection::InlineFragment(inline) => {
                    (inline.type_condition.as_ref(), &inline.selection_set)
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.document.fragments.get(&spread.fragment_name) else {
                        continue;
                    };
                    (Some(&fragment.selection_set.ty), &fragment.selection_set)
                }
            };
            let fits = |condition: &str| {
                condition == concrete || self.schema.is_subtype(condition, concrete)
            };
            if condition.is_none_or(|condition| fits(condition)) {
                self.collect(concrete, inner, fields);
            }
        }
    }

    fn is_included(&self, directives: &DirectiveList) -> bool {
        let says = |name: &str| {
            let given = directives.get(name)?.specified_argument_by_name("if")?;
            Some(match &**given {
                Given::Boolean(says) => *says,
                Given::Variable(name) => {
                    self.variables.get(name.as_str()) == Some(&JsonValue::Bool(true))
                }
                _ => false,
            })
        };
        says("include").unwrap_or(true) && !says("skip").unwrap_or(false)
    }

    /// The types of objects that may stand where `name` is asked for.
    fn concrete(&self, name: &'a str) -> Vec<&'a str> {
        if self.schema.get_object(name).is_some() {
            return vec![name];
        }
        let objects = self.schema.types.iter().filter(|(_, it)| it.is_object());
        let names = objects.map(|(object, _)| object.as_str());
        names.filter(|object| self.schema.is_subtype(name, object)).collect()
    }
}

/// Whether a value, which is not null, is one of this scalar or enum.
fn is_of(leaf: &ExtendedType, value: &Value) -> bool {
    if let Some(words) = leaf.as_enum() {
        return value.as_str().is_some_and(|word| words.values.contains_key(word));
    }
    let text = value.as_str();
    match leaf.name().as_str() {
        "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "Float" => value.is_number(),
        "Boolean" => value.is_boolean(),
        "DateTime" => text.is_some_and(crate::format::is_date_time),
        "GitObjectID" => text.is_some_and(|text| {
            text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        }),
        "URI" => text.is_some_and(crate::format::is_uri),
        _ => text.is_some(),
    }
}
