//! The door: every request is rewritten to its plain path, authenticated, counted against the
//! budget, made to fail when a fault says so, logged, and told of to who listens.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::call::LARGEST_BODY;
use super::installation;
use super::reply::{failure, moved};
use crate::faults::{Answer, FaultySubject};
use crate::graphql;
use crate::shared::Shared;
use crate::wiretap::{Exchange, Wiretap};
use crate::world::{Identity, RepositoryName, RequestKind, RequestRecord, World};

/// What the door needs.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) shared: Shared,
    pub(super) wiretap: Option<Arc<dyn Wiretap>>,
}

/// Lets a request in, or not.
pub(super) async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Door { shared, wiretap } = door;
    let (request, visit) = match Visit::read(&shared, request).await {
        Ok(read) => read,
        Err(response) => return response,
    };
    let mut response = match visit.identity.clone() {
        None => unauthenticated(visit.kind),
        Some(identity) => visit.pass(&shared, identity, request, next).await,
    };
    visit.log(&shared, response.status());
    if visit.kind != RequestKind::Git {
        shared.change(|world| stamp(world, response.headers_mut()));
    }
    match wiretap {
        Some(wiretap) if visit.kind != RequestKind::Git => visit.tell(&*wiretap, response).await,
        _ => response,
    }
}

/// What is known of a request before it is let in.
struct Visit {
    kind: RequestKind,
    method: Method,
    path: String,
    /// Without prefixes, and the repository by its name.
    plain_path: String,
    body: Bytes,
    operations: Vec<String>,
    identity: Option<Identity>,
    installation: Option<u64>,
}

impl Visit {
    async fn read(shared: &Shared, request: Request) -> Result<(Request, Self), Response> {
        let (mut parts, body) = request.into_parts();
        let asked = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let plain = shared.look(|world| plain_path(world, &asked));
        parts.uri = plain.parse::<Uri>().map_err(|_| failure(StatusCode::BAD_REQUEST, "path"))?;
        let kind = kind_of(parts.uri.path());
        let is_for_the_app = installation::is_for_the_app(parts.uri.path());
        let token = token(&parts.headers).unwrap_or_default();
        let (identity, installation) = shared.look(|world| {
            let identity = match is_for_the_app {
                true => world.is_signed_by_app(&token).then_some(Identity::App),
                false => world.identify(&token).cloned(),
            };
            (identity, world.installation_of_token(&token))
        });
        let mut visit = Self {
            kind,
            method: parts.method.clone(),
            path: asked,
            plain_path: plain,
            body: Bytes::new(),
            operations: Vec::new(),
            identity,
            installation,
        };
        if kind == RequestKind::Git {
            return Ok((Request::from_parts(parts, body), visit));
        }
        let body: Bytes = to_bytes(body, LARGEST_BODY)
            .await
            .map_err(|_| failure(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"))?;
        if kind == RequestKind::GraphQl {
            visit.operations = graphql::operations(&body);
        }
        visit.body = body.clone();
        Ok((Request::from_parts(parts, Body::from(body)), visit))
    }

    async fn pass(
        &self,
        shared: &Shared,
        identity: Identity,
        mut request: Request,
        next: Next,
    ) -> Response {
        let subject = FaultySubject {
            method: self.method.as_str(),
            path: &self.path,
            operations: &self.operations,
            kind: self.kind,
        };
        let (fault, in_budget) = shared.change(|world| {
            let now = world.now();
            let counted = self.kind != RequestKind::Git && !self.path.ends_with("/rate_limit");
            (world.faults.take_answer(&subject), !counted || world.rate_limit().take(now))
        });
        if !in_budget {
            return failure(StatusCode::FORBIDDEN, "API rate limit exceeded for installation.");
        }
        if let Some(elsewhere) = self.moved(shared, request.uri()) {
            return elsewhere;
        }
        request.extensions_mut().insert(identity);
        let known = request.headers().get(header::IF_NONE_MATCH).cloned();
        match fault {
            None => self.unless(known.as_ref(), shared, next.run(request).await),
            Some(Answer::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                next.run(request).await
            }
            Some(Answer::SlowAfterEffect(delay)) => {
                let answer = next.run(request).await;
                tokio::time::sleep(delay).await;
                answer
            }
            Some(Answer::StatusAfterEffect(status)) => {
                next.run(request).await;
                broken(status)
            }
            Some(Answer::Status(status)) => broken(status),
            Some(Answer::RateLimited { status, retry_after }) => limited(status, retry_after),
            Some(Answer::GraphQlRateLimited) => graphql::rate_limited(),
        }
    }

    /// An answer that the client knows is not sent again, and costs nothing of the hourly budget.
    fn unless(&self, known: Option<&HeaderValue>, shared: &Shared, answer: Response) -> Response {
        let tag = answer.headers().get(header::ETAG).cloned();
        if self.method != Method::GET || tag.is_none() || known != tag.as_ref() {
            return answer;
        }
        shared.change(|world| world.rate_limit().give_back());
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
        unchanged
    }

    /// The REST API sends whoever uses an old name of a repository to its id.
    fn moved(&self, shared: &Shared, uri: &Uri) -> Option<Response> {
        let rest = uri.path_and_query()?.as_str().strip_prefix("/repos/")?;
        let end = rest.match_indices(['/', '?']).nth(1).map_or(rest.len(), |(at, _)| at);
        let name = RepositoryName::new(rest[..end].trim_end_matches('/'));
        let url = shared.look(|world| {
            let home = world.repository(&name).ok().filter(|home| home.name != name)?;
            Some(format!("{}/repositories/{}{}", world.url(), home.id, &rest[end..]))
        })?;
        Some(match self.method {
            Method::GET => moved(StatusCode::MOVED_PERMANENTLY, &url),
            _ => moved(StatusCode::TEMPORARY_REDIRECT, &url),
        })
    }

    /// Lets the listener hear the exchange, and passes the answer on as it is.
    async fn tell(&self, wiretap: &dyn Wiretap, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let Ok(answered) = to_bytes(body, usize::MAX).await else {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "Server Error");
        };
        wiretap.exchange(&Exchange {
            kind: self.kind,
            method: self.method.as_str(),
            path: &self.plain_path,
            asked: &self.body,
            status: parts.status.as_u16(),
            answered: &answered,
        });
        Response::from_parts(parts, Body::from(answered))
    }

    fn log(&self, shared: &Shared, status: StatusCode) {
        shared.change(|world| {
            let record = RequestRecord {
                at: world.now(),
                kind: self.kind,
                method: self.method.to_string(),
                path: self.path.clone(),
                operations: self.operations.clone(),
                status: status.as_u16(),
                identity: self.identity.as_ref().map(|identity| world.login(identity)),
                installation: self.installation,
            };
            world.requests_mut().add(record);
        });
    }
}

/// Undoes GitHub Enterprise's prefixes and the id form of `Link` headers.
fn plain_path(world: &World, asked: &str) -> String {
    let path = asked.strip_prefix("/api/v3").unwrap_or(asked);
    let path =
        path.strip_prefix("/api").filter(|rest| rest.starts_with("/graphql")).unwrap_or(path);
    let by_id = path.strip_prefix("/repositories/").and_then(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let id: u64 = rest[..end].parse().ok()?;
        let home = world.repositories().iter().find(|home| home.id == id)?;
        Some(format!("/repos/{}{}", home.name, &rest[end..]))
    });
    by_id.unwrap_or_else(|| path.to_owned())
}

fn kind_of(path: &str) -> RequestKind {
    if path == "/graphql" {
        RequestKind::GraphQl
    } else if path.ends_with("/info/refs") || path.ends_with("/git-upload-pack") {
        RequestKind::Git
    } else {
        RequestKind::Rest
    }
}

/// The token of an `Authorization` header: `Bearer`, `token`, or the password of `Basic`.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        return Some(rest.trim().to_owned());
    }
    let decoded = STANDARD.decode(rest.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn unauthenticated(kind: RequestKind) -> Response {
    let mut response = failure(StatusCode::UNAUTHORIZED, "Bad credentials");
    if kind == RequestKind::Git {
        let challenge = HeaderValue::from_static("Basic realm=\"GitHub\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn broken(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    failure(status, "Server Error")
}

fn limited(status: u16, retry_after: Option<std::time::Duration>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let mut response = failure(status, "You have exceeded a secondary rate limit.");
    if let Some(delay) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, delay.as_secs().into());
    }
    response
}

fn stamp(world: &mut World, headers: &mut HeaderMap) {
    let limit = *world.rate_limit();
    for (name, value) in [
        ("x-ratelimit-limit", limit.limit),
        ("x-ratelimit-used", limit.used),
        ("x-ratelimit-remaining", limit.remaining()),
        ("x-ratelimit-reset", limit.reset_epoch_seconds()),
    ] {
        headers.insert(HeaderName::from_static(name), value.into());
    }
}
