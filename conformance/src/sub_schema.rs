//! Whether the stand-in's GraphQL schema is a part of GitHub's, whatever is asked of it.

use apollo_compiler::Schema;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition, Type};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::schema::{Component, ExtendedType, Name};

use crate::graphql::SCHEMA;

/// The stand-in's schema.
///
/// # Errors
/// It is none.
pub(crate) fn standins() -> Result<Schema, String> {
    let text = sluice_sim::graphql_schema();
    Schema::parse(text, "the stand-in's").map_err(|problems| problems.errors.to_string())
}

/// What the stand-in's schema has and GitHub's has not, or has otherwise.
///
/// # Errors
/// One of the two schemas cannot be read.
pub fn differences() -> Result<Vec<String>, String> {
    let theirs = SCHEMA.as_ref().map_err(Clone::clone)?;
    let mut found = Vec::new();
    for (name, own) in standins()?.types.iter().filter(|(_, own)| !own.is_built_in()) {
        match theirs.types.get(name) {
            None => found.push(format!("{name}: no such type")),
            Some(github) => compare(name, own, github, &mut found),
        }
    }
    Ok(found)
}

fn compare(name: &Name, own: &ExtendedType, github: &ExtendedType, found: &mut Vec<String>) {
    match (own, github) {
        (ExtendedType::Object(own), ExtendedType::Object(github)) => {
            fields(name, &own.fields, &github.fields, found);
        }
        (ExtendedType::Interface(own), ExtendedType::Interface(github)) => {
            fields(name, &own.fields, &github.fields, found);
        }
        (ExtendedType::InputObject(own), ExtendedType::InputObject(github)) => {
            for (field, own) in &own.fields {
                input(
                    &format!("{name}.{field}"),
                    own,
                    github.fields.get(field).map(|it| &***it),
                    found,
                );
            }
        }
        (ExtendedType::Enum(own), ExtendedType::Enum(github)) => {
            let unknown = own.values.keys().filter(|value| !github.values.contains_key(*value));
            found.extend(unknown.map(|value| format!("{name}.{value}: no such value")));
        }
        (ExtendedType::Union(own), ExtendedType::Union(github)) => {
            let unknown = own.members.iter().filter(|member| !github.members.contains(*member));
            found.extend(unknown.map(|member| format!("{name}: {member} is none")));
        }
        (ExtendedType::Scalar(_), ExtendedType::Scalar(_)) => {}
        _ => found.push(format!("{name}: another kind of type")),
    }
}

type Fields = IndexMap<Name, Component<FieldDefinition>>;

fn fields(name: &Name, own: &Fields, github: &Fields, found: &mut Vec<String>) {
    for (field, own) in own {
        let path = format!("{name}.{field}");
        let Some(github) = github.get(field) else {
            found.push(format!("{path}: no such field"));
            continue;
        };
        // Where GitHub may answer with null, the stand-in need not.
        if !is_part_of(&own.ty, &github.ty) {
            found.push(format!("{path}: {} instead of {}", own.ty, github.ty));
        }
        for own in &own.arguments {
            let github = github.arguments.iter().find(|github| github.name == own.name);
            let path = format!("{path}({})", own.name);
            input(&path, own, github.map(|github| &**github), found);
        }
    }
}

fn input(
    path: &str,
    own: &InputValueDefinition,
    github: Option<&InputValueDefinition>,
    found: &mut Vec<String>,
) {
    let Some(github) = github else {
        return found.push(format!("{path}: no such input"));
    };
    // What GitHub takes, the stand-in takes.
    if !is_part_of(&github.ty, &own.ty) {
        found.push(format!("{path}: {} instead of {}", own.ty, github.ty));
    }
}

/// Whether every value of the first type is one of the second.
fn is_part_of(part: &Type, whole: &Type) -> bool {
    match (part, whole) {
        (Type::NonNullNamed(part), Type::Named(whole) | Type::NonNullNamed(whole))
        | (Type::Named(part), Type::Named(whole)) => part == whole,
        (Type::NonNullList(part), Type::List(whole) | Type::NonNullList(whole))
        | (Type::List(part), Type::List(whole)) => is_part_of(part, whole),
        _ => false,
    }
}
