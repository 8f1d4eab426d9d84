//! Git over smart HTTP, read only: bodies stream through `git http-backend`.

use std::io;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio_util::io::ReaderStream;

use super::call::LARGEST_BODY;
use super::reply::{Refusal, failure};
use crate::git::{CgiRequest, spawn_http_backend};
use crate::shared::Shared;
use crate::world::{Identity, WorldError};

/// How long git may take for one request, until its first byte.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a header of the backend may be, in lines.
const MOST_HEADERS: usize = 32;

pub(super) async fn serve(
    State(shared): State<Shared>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let (root, user) = shared.look(|world| (world.root().to_owned(), world.login(&identity)));
    let spawned = spawn_http_backend(&CgiRequest {
        root: &root,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        protocol: header("git-protocol"),
        user: &user,
    });
    let child = match spawned {
        Ok(child) => child,
        Err(error) => return Refusal(WorldError::Git(error)).into_response(),
    };
    let body = match axum::body::to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(_) => return failure(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
    };
    match tokio::time::timeout(PATIENCE, converse(child, &body)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => failure(StatusCode::BAD_GATEWAY, &error.to_string()),
        Err(_) => failure(StatusCode::GATEWAY_TIMEOUT, "git took too long"),
    }
}

async fn converse(mut child: Child, body: &[u8]) -> io::Result<Response> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    let stdin = child.stdin.take().ok_or_else(gone)?;
    let mut stdout = BufReader::new(child.stdout.take().ok_or_else(gone)?);
    feed(stdin, body).await?;
    let (status, headers) = read_head(&mut stdout).await?;
    let mut response = Response::new(Body::from_stream(stream(child, stdout)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn feed(mut stdin: ChildStdin, body: &[u8]) -> io::Result<()> {
    match stdin.write_all(body).await {
        // It may answer (404) without reading what was sent.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// The rest of the output; the process is reaped, or killed when the client goes away, with it.
fn stream(
    child: Child,
    stdout: BufReader<ChildStdout>,
) -> impl futures_util::Stream<Item = io::Result<axum::body::Bytes>> {
    use futures_util::StreamExt;
    let mut child = Some(child);
    ReaderStream::new(stdout).chain(futures_util::stream::poll_fn(move |_| {
        child.take();
        std::task::Poll::Ready(None)
    }))
}

async fn read_head(stdout: &mut BufReader<ChildStdout>) -> io::Result<(StatusCode, HeaderMap)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    for _ in 0..MOST_HEADERS {
        let mut line = String::new();
        stdout.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(": ").ok_or_else(invalid)?;
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            status = code.ok_or_else(invalid)?;
            continue;
        }
        let name: HeaderName = name.parse().map_err(|_| invalid())?;
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| invalid())?);
    }
    Err(invalid())
}
