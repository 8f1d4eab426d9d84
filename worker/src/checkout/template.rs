//! Where a repository is fetched from.
//!
//! Owns the shape of the address. Refuses addresses that carry a secret or name a program.

use sluice::names::Repository;

/// What stands for `owner/name` in a template.
const PLACE: &str = "{repository}";

/// A URL with `{repository}` in it, such as `https://github.com/{repository}.git`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    text: String,
    scheme: &'static str,
}

/// Why a template is refused, at start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// git would run a program of the URL's choice for some of the other schemes.
    #[error("git URL {0:?} must begin with https://, http:// or file://")]
    Scheme(String),
    /// A user or password in a URL ends up in argv, logs and configuration.
    #[error("the git URL must not contain a user or password")]
    Secret,
    /// Every project would fetch the same repository.
    #[error("git URL {0:?} must contain {PLACE}")]
    Place(String),
    /// Quotes and line ends would leave their place in git's configuration.
    #[error("the git URL contains a character that URLs do not have")]
    Character,
}

impl UrlTemplate {
    /// Checks a template.
    pub fn new(text: impl Into<String>) -> Result<Self, BadTemplate> {
        let text = text.into();
        let schemes = ["https", "http", "file"];
        let split = text.split_once("://");
        let Some((scheme, rest)) = split.and_then(|(scheme, rest)| {
            schemes.into_iter().find(|known| *known == scheme).map(|known| (known, rest))
        }) else {
            return Err(BadTemplate::Scheme(text.chars().take(20).collect()));
        };
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(BadTemplate::Secret);
        }
        if !text.contains(PLACE) {
            return Err(BadTemplate::Place(text));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\`$".contains(&b)) {
            return Err(BadTemplate::Character);
        }
        Ok(Self { text, scheme })
    }

    /// The only transport that git may use.
    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Scheme, host and port: the only place that gets to see the token.
    pub(super) fn origin(&self) -> &str {
        let start = self.scheme.len() + "://".len();
        let end = self.text[start..].find('/').map_or(self.text.len(), |at| start + at);
        &self.text[..end]
    }

    /// The repository's URL.
    pub(super) fn url(&self, repository: &Repository) -> String {
        self.text.replace(PLACE, repository.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_template_is_a_plain_address() {
        let template = UrlTemplate::new("https://ghe.acme.dev:8443/git/{repository}.git").unwrap();
        assert_eq!(template.origin(), "https://ghe.acme.dev:8443");
        let repository = Repository::new("acme/warehouse").unwrap();
        assert_eq!(template.url(&repository), "https://ghe.acme.dev:8443/git/acme/warehouse.git");
    }

    #[test]
    fn programs_and_secrets_are_refused() {
        let refused = |text: &str| UrlTemplate::new(text).unwrap_err();
        assert!(matches!(refused("ext::sh -c x {repository}"), BadTemplate::Scheme(_)));
        assert!(matches!(refused("ssh://git@h/{repository}"), BadTemplate::Scheme(_)));
        assert_eq!(refused("https://x:tok@github.com/{repository}.git"), BadTemplate::Secret);
        assert!(matches!(refused("https://github.com/a/b.git"), BadTemplate::Place(_)));
        assert_eq!(refused("https://h/\"\n{repository}"), BadTemplate::Character);
    }
}
