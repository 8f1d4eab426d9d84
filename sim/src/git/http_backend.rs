//! Starts `git http-backend`, git's own smart-HTTP server, for one request.

use std::path::Path;
use std::process::Stdio;

use super::{GitError, clean_environment};

/// One HTTP request, in the terms of the Common Gateway Interface.
#[derive(Debug)]
pub(crate) struct CgiRequest<'a> {
    /// The directory that the path is resolved in.
    pub(crate) root: &'a Path,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) content_encoding: &'a str,
    /// The `Git-Protocol` header: which protocol version the client speaks.
    pub(crate) protocol: &'a str,
    pub(crate) user: &'a str,
}

/// The running process; it dies with the value that is returned.
pub(crate) fn spawn_http_backend(
    request: &CgiRequest<'_>,
) -> Result<tokio::process::Child, GitError> {
    tokio::process::Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs(clean_environment())
        .env("GIT_PROJECT_ROOT", request.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method)
        .env("PATH_INFO", request.path)
        .env("QUERY_STRING", request.query)
        .env("CONTENT_TYPE", request.content_type)
        .env("HTTP_CONTENT_ENCODING", request.content_encoding)
        .env("GIT_PROTOCOL", request.protocol)
        .env("REMOTE_USER", request.user)
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| GitError::Process { command: "http-backend".to_owned(), source })
}
