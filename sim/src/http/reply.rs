//! Answers: a status and JSON; refusals in GitHub's words.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::call::Call;
use crate::world::{World, WorldError};

/// What a route does: reads or changes the world, and answers.
pub(super) type Endpoint = fn(&mut World, &Call) -> Result<Reply, WorldError>;

/// A good answer.
pub(crate) struct Reply {
    status: StatusCode,
    body: Value,
    link: Option<String>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body, link: None }
    }

    pub(super) fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(body) }
    }

    pub(super) fn accepted(body: Value) -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::ok(body) }
    }

    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, ..Self::ok(Value::Null) }
    }

    pub(super) fn with_link(self, link: Option<String>) -> Self {
        Self { link, ..self }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        if self.status == StatusCode::NO_CONTENT {
            return self.status.into_response();
        }
        let tag = tag_of(&self.body);
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::OK {
            response.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
        }
        if let Some(link) = self.link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// Says whether an answer is still the same.
fn tag_of(body: &Value) -> Option<HeaderValue> {
    let digest = Sha256::digest(body.to_string());
    HeaderValue::from_str(&format!("W/\"{}\"", hex::encode(digest))).ok()
}

/// A refusal on its way out.
pub(crate) struct Refusal(pub(crate) WorldError);

impl Refusal {
    pub(super) fn bad_request(message: &str) -> Response {
        failure(StatusCode::BAD_REQUEST, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = self.0.to_string();
        match self.0 {
            WorldError::NotFound => failure(StatusCode::NOT_FOUND, &message),
            WorldError::Forbidden(_) => failure(StatusCode::FORBIDDEN, &message),
            WorldError::NotAllowed(_) => failure(StatusCode::METHOD_NOT_ALLOWED, &message),
            WorldError::Conflict(_) => failure(StatusCode::CONFLICT, &message),
            WorldError::Unprocessable(_) => unprocessable(&message),
            WorldError::Git(error) => {
                tracing::error!(%error, "git failed under the stand-in");
                failure(StatusCode::INTERNAL_SERVER_ERROR, "Server Error")
            }
        }
    }
}

/// GitHub's body for a failure.
pub(super) fn failure(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_str(),
    });
    (status, Json(body)).into_response()
}

/// Where a repository is that was renamed, or given away.
pub(super) fn moved(status: StatusCode, url: &str) -> Response {
    let body = json!({
        "message": "Moved Permanently",
        "url": url,
        "documentation_url": "https://docs.github.com/rest",
    });
    let mut response = (status, Json(body)).into_response();
    let location = HeaderValue::from_str(url).ok();
    response.headers_mut().extend(location.map(|url| (header::LOCATION, url)));
    response
}

/// GitHub says either what was wrong with the request, or "Validation Failed" and a list.
fn unprocessable(message: &str) -> Response {
    if message.starts_with("Invalid request") || message.starts_with("No commit found") {
        return failure(StatusCode::UNPROCESSABLE_ENTITY, message);
    }
    let body = json!({
        "message": "Validation Failed",
        "errors": [{"code": "unprocessable", "message": message}],
        "documentation_url": "https://docs.github.com/rest",
        "status": "422",
    });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

pub(super) async fn no_such_route() -> Response {
    Refusal(WorldError::NotFound).into_response()
}
