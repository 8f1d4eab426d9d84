//! Why the world refuses. One variant per status that GitHub answers with.

use crate::git::GitError;

/// A refusal, in the terms of GitHub's API.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// 404: no such thing, or not visible.
    #[error("Not Found")]
    NotFound,
    /// 403: the identity may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// 405: a merge that the rules refuse.
    #[error("{0}")]
    NotAllowed(String),
    /// 409: a merge whose expected head is not the head.
    #[error("{0}")]
    Conflict(String),
    /// 422: the input is invalid.
    #[error("{0}")]
    Unprocessable(String),
    /// 500: git failed under the stand-in.
    #[error("git failed: {0}")]
    Git(#[from] GitError),
}
