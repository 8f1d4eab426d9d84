//! Who we are towards the git server.
//!
//! Owns the token's way from whoever mints it to git. Refuses to know how it is minted, and never
//! shows it.

use std::fmt;

use async_trait::async_trait;
use sluice::names::Repository;

/// Where tokens come from. Asked before each fetch, since installation tokens live for an hour.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// A token that may read the repository now; `None` when it is public, or a file.
    async fn token(&self, repository: &Repository) -> Result<Option<Token>, NoToken>;
}

/// No token could be had; trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("no token to read the repository with: {what}")]
pub struct NoToken {
    /// Why, without secrets.
    pub what: String,
}

/// A secret for reading a repository over HTTP. Has no `Display`, and its `Debug` says nothing.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes the secret. Line ends around it are dropped: files have them, git's protocol has not.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self(secret.as_ref().trim().to_owned())
    }

    /// The secret itself, for a child's environment.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// For repositories that anybody may read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

#[async_trait]
impl Credentials for Anonymous {
    async fn token(&self, _: &Repository) -> Result<Option<Token>, NoToken> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_itself_to_nobody() {
        let token = Token::new("s3cret\n");
        assert_eq!(format!("{token:?}"), "Token(***)");
        assert_eq!(token.reveal(), "s3cret");
    }
}
