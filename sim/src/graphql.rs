//! The GraphQL surface: the slice of GitHub's public schema that sluice needs, with GitHub's own
//! names for types, fields, arguments and inputs. Holds no rule: it asks the world.

mod check;
mod comment;
mod commit;
mod connection;
mod mutation;
mod node;
mod protection;
mod pull;
mod query;
mod queue;
mod repository;
mod scalar;
mod status;
mod words;

use std::sync::LazyLock;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, OperationDefinition, Selection};
use async_graphql::{Context, EmptySubscription, ErrorExtensions, Request, Schema};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::shared::Shared;
use crate::world::{Identity, World, WorldError};
use mutation::Mutation;
use query::Query;

static SCHEMA: LazyLock<Schema<Query, Mutation, EmptySubscription>> =
    LazyLock::new(|| Schema::build(Query, Mutation, EmptySubscription).finish());

/// The schema that `POST /graphql` answers by, in GraphQL's own language.
#[must_use]
pub fn schema() -> String {
    SCHEMA.sdl()
}

/// Answers `POST /graphql`: always 200 when the document could be read, as GitHub does.
pub(crate) async fn answer(
    State(shared): State<Shared>,
    Extension(identity): Extension<Identity>,
    body: Bytes,
) -> Response {
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        let message = json!({"message": "Problems parsing JSON"});
        return (StatusCode::BAD_REQUEST, Json(message)).into_response();
    };
    let request = request.data(shared).data(identity);
    // Resolvers run git and take the world's lock: they belong on a thread that may block.
    let runtime = tokio::runtime::Handle::current();
    let executed =
        tokio::task::spawn_blocking(move || runtime.block_on(SCHEMA.execute(request))).await;
    match executed.map(serde_json::to_value) {
        Ok(Ok(response)) => Json(hoist_types(fill_gaps(response))).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The primary rate limit, which GraphQL reports with status 200.
pub(crate) fn rate_limited() -> Response {
    let error = json!({
        "type": "RATE_LIMITED",
        "message": "API rate limit exceeded for installation.",
    });
    Json(json!({"errors": [error]})).into_response()
}

/// The names of a document's operations, and the fields at their top.
pub(crate) fn operations(body: &[u8]) -> Vec<String> {
    let Ok(request) = serde_json::from_slice::<Request>(body) else { return Vec::new() };
    let Ok(document) = parse_query(&request.query) else { return Vec::new() };
    let mut names = Vec::new();
    match &document.operations {
        DocumentOperations::Single(operation) => names.extend(top_fields(&operation.node)),
        DocumentOperations::Multiple(operations) => {
            for (name, operation) in operations {
                names.push(name.to_string());
                names.extend(top_fields(&operation.node));
            }
        }
    }
    names
}

fn top_fields(operation: &OperationDefinition) -> impl Iterator<Item = String> {
    operation.selection_set.node.items.iter().filter_map(|selection| match &selection.node {
        Selection::Field(field) => Some(field.node.name.node.to_string()),
        _ => None,
    })
}

/// GitHub has null where a field has an error, and no gap.
fn fill_gaps(mut response: Value) -> Value {
    let errors = response["errors"].as_array().cloned().unwrap_or_default();
    for error in errors {
        let mut place = &mut response["data"];
        for part in error["path"].as_array().into_iter().flatten() {
            place = match (part, place) {
                (Value::String(name), Value::Object(fields)) => {
                    fields.entry(name).or_insert(Value::Null)
                }
                (Value::Number(index), Value::Array(items)) => {
                    let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
                    let Some(item) = index.and_then(|index| items.get_mut(index)) else { break };
                    item
                }
                _ => break,
            };
        }
    }
    response
}

/// GitHub has the class of an error beside its message, not among its extensions.
fn hoist_types(mut response: Value) -> Value {
    let Some(errors) = response.get_mut("errors").and_then(Value::as_array_mut) else {
        return response;
    };
    for error in errors {
        let Some(error) = error.as_object_mut() else { continue };
        let class = error.get_mut("extensions").and_then(|it| it.as_object_mut()?.remove("type"));
        if let Some(class) = class {
            error.remove("extensions");
            error.insert("type".to_owned(), class);
        }
    }
    response
}

/// Looks at or changes the world for a resolver.
fn with_world<T>(
    context: &Context<'_>,
    look: impl FnOnce(&mut World) -> Result<T, WorldError>,
) -> async_graphql::Result<T> {
    context.data::<Shared>()?.change(look).map_err(|error| refusal(&error))
}

fn caller<'a>(context: &'a Context<'_>) -> async_graphql::Result<&'a Identity> {
    context.data::<Identity>()
}

/// A refusal of the world, in GraphQL's words for it.
fn refusal(error: &WorldError) -> async_graphql::Error {
    let class = match error {
        WorldError::NotFound => "NOT_FOUND",
        WorldError::Forbidden(_) => "FORBIDDEN",
        WorldError::NotAllowed(_) | WorldError::Conflict(_) | WorldError::Unprocessable(_) => {
            "UNPROCESSABLE"
        }
        WorldError::Git(_) => "INTERNAL",
    };
    typed(class, error.to_string())
}

fn typed(class: &'static str, message: String) -> async_graphql::Error {
    async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("type", class))
}
