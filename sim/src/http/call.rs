//! One REST request as an endpoint sees it: who, which repository, parameters, body.

use std::collections::HashMap;

use axum::body::to_bytes;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::reply::{Endpoint, Refusal, Reply};
use crate::shared::Shared;
use crate::world::{Identity, Pr, Repository, RepositoryName, World, WorldError};

/// The largest body that is read, in bytes.
pub(super) const LARGEST_BODY: usize = 10 << 20;
/// GitHub's page sizes.
const DEFAULT_PER_PAGE: usize = 30;
const MOST_PER_PAGE: usize = 100;

/// A REST request, taken apart.
pub(crate) struct Call {
    pub(crate) by: Identity,
    shared: Shared,
    /// Below the repository: the router has taken `/repos/{owner}/{repo}` off.
    path: String,
    parameters: HashMap<String, String>,
    query: HashMap<String, String>,
    body: Value,
}

impl<S> FromRequest<S> for Call
where
    Shared: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let unprocessable =
            |message: String| Refusal(WorldError::Unprocessable(message)).into_response();
        let by = parts.extensions.get::<Identity>().cloned();
        let by = by.ok_or_else(|| Refusal(WorldError::NotFound).into_response())?;
        let parameters = RawPathParams::from_request_parts(&mut parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let parameters =
            parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let Query(query) = Query::from_request_parts(&mut parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let bytes =
            to_bytes(body, LARGEST_BODY).await.map_err(|error| unprocessable(error.to_string()))?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .map_err(|_| Refusal::bad_request("Problems parsing JSON").into_response())?
        };
        let path = parts.uri.path().to_owned();
        Ok(Self { by, shared: Shared::from_ref(state), path, parameters, query, body })
    }
}

impl Call {
    /// Runs the endpoint where it may block.
    pub(super) async fn answer(self, endpoint: Endpoint) -> Response {
        let shared = self.shared.clone();
        match shared.change_blocking(move |world| endpoint(world, &self)).await {
            Ok(Ok(reply)) => reply.into_response(),
            Ok(Err(refusal)) => Refusal(refusal).into_response(),
            Err(panicked) => {
                tracing::error!(error = %panicked, "an endpoint of the stand-in panicked");
                axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    pub(super) fn repository(&self) -> RepositoryName {
        let part = |name| self.parameters.get(name).map_or("", String::as_str);
        RepositoryName::new(format!("{}/{}", part("owner"), part("repo")))
    }

    pub(super) fn pr(&self) -> Result<Pr, WorldError> {
        Ok(Pr::new(self.repository(), self.number("number")?))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, WorldError> {
        self.parameters.get(name).map(String::as_str).ok_or(WorldError::NotFound)
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, WorldError> {
        self.text(name)?.parse().map_err(|_| WorldError::NotFound)
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The body as `T`; GitHub answers 422 to one that does not fit.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, WorldError> {
        serde_json::from_value(self.body.clone())
            .map_err(|error| WorldError::Unprocessable(format!("Invalid request.\n\n{error}")))
    }

    /// The page of `items` that was asked for, with GitHub's absolute `Link` header, which names
    /// the repository by id and not by name.
    pub(super) fn page(&self, world: &World, home: &Repository, items: Vec<Value>) -> Reply {
        let (items, link) = self.cut(world, home, items);
        Reply::ok(Value::Array(items)).with_link(link)
    }

    /// Like `page`, of what belongs to no repository: `address` is the list's own.
    pub(super) fn page_at(&self, address: &str, items: Vec<Value>) -> Reply {
        let (items, link) = self.cut_at(address, items);
        Reply::ok(Value::Array(items)).with_link(link)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Like `page`, wrapped as `{total_count, <name>: [...]}`.
    pub(super) fn counted_page(
        &self,
        (world, home): (&World, &Repository),
        name: &str,
        items: Vec<Value>,
    ) -> Reply {
        let total = items.len();
        let (items, link) = self.cut(world, home, items);
        let mut body = serde_json::json!({"total_count": total});
        body[name] = Value::Array(items);
        Reply::ok(body).with_link(link)
    }

    fn cut(
        &self,
        world: &World,
        home: &Repository,
        items: Vec<Value>,
    ) -> (Vec<Value>, Option<String>) {
        self.cut_at(&format!("{}/repositories/{}{}", world.url(), home.id, self.path), items)
    }

    fn cut_at(&self, address: &str, items: Vec<Value>) -> (Vec<Value>, Option<String>) {
        let number = |name| self.query(name).and_then(|text| text.parse::<usize>().ok());
        let per_page = number("per_page").unwrap_or(DEFAULT_PER_PAGE).clamp(1, MOST_PER_PAGE);
        let page = number("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(per_page).max(1);
        let cut = items.into_iter().skip((page - 1) * per_page).take(per_page).collect();
        let others: String = self
            .query
            .iter()
            .filter(|(name, _)| *name != "page")
            .map(|(name, value)| format!("{name}={value}&"))
            .collect();
        let to = |page: usize, relation: &str| {
            format!("<{address}?{others}page={page}>; rel=\"{relation}\"")
        };
        let mut links = Vec::new();
        if page > 1 {
            links.extend([to(page - 1, "prev"), to(1, "first")]);
        }
        if page < last {
            links.extend([to(page + 1, "next"), to(last, "last")]);
        }
        (cut, (!links.is_empty()).then(|| links.join(", ")))
    }
}
