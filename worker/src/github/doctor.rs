//! What GitHub says of itself and of our token, for `sluice doctor`.
//!
//! Owns three questions that no job asks. Refuses to judge the answers.

use http::HeaderMap;
use http::header::DATE;
use octocrab::secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use sluice::clock::unix_ms;
use sluice::github::GitHubError;
use sluice::names::Repository;

use super::HttpGitHub;
use super::account::{Account, Installed};
use super::budget::Priority;
use super::client::{Errand, encoded};
use super::limits::succeed;

/// GitHub, as our token sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// GitHub's clock, to the second, in milliseconds since 1970; `None` when it does not say.
    pub now_ms: Option<u64>,
    /// What is left of the rate limit.
    pub remaining: Option<u64>,
    /// What sort of token it took.
    pub token: TokenKind,
    /// Whose it is, if it is a person's.
    pub person: Option<String>,
}

/// Sorts of tokens, by what they can do about check runs, which only Apps may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Of an App's installation, made by us with the App's key: it may, if the App may.
    OurApp,
    /// Of an App's installation: it may, if the App may, and ends after an hour.
    Installation,
    /// A person's, or an OAuth App's: it may not.
    Personal,
    /// A person's with permissions of its own: it may not, and cannot even read them.
    FineGrained,
    /// GitHub does not say, and nothing can be seen of it.
    Unknown,
}

/// What GitHub's tokens begin with by their sort; older ones begin with nothing special.
const PERSONAL: [&str; 2] = ["ghp_", "gho_"];
const FINE_GRAINED: &str = "github_pat_";
const INSTALLATION: &str = "ghs_";

impl TokenKind {
    /// Of a token that was answered so: scopes are told of what belongs to a person only.
    fn of(token: &str, answer: &HeaderMap) -> Self {
        let is_personal = PERSONAL.iter().any(|start| token.starts_with(start));
        if token.starts_with(FINE_GRAINED) {
            Self::FineGrained
        } else if is_personal || answer.contains_key("x-oauth-scopes") {
            Self::Personal
        } else if token.starts_with(INSTALLATION) {
            Self::Installation
        } else {
            Self::Unknown
        }
    }
}

/// A repository, as our token sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The branch that pull requests go to unless said otherwise.
    pub default_branch: String,
    /// Whether the token may push, and so merge; `None` when GitHub does not say.
    pub may_push: Option<bool>,
    /// The checks that the default branch's protection demands, as far as the token may read it;
    /// `None` when it may not, or nothing protects it.
    pub required_checks: Option<Vec<String>>,
}

impl HttpGitHub {
    /// Whether GitHub answers, and takes the token for a repository.
    ///
    /// # Errors
    /// It does not.
    pub async fn reach(&self, repository: &Repository) -> Result<Reached, GitHubError> {
        let now = self.client.clock.now();
        let errand = Errand::about(repository, "doctor", Priority::Verdict);
        let answer = self.client.get(&errand, "/rate_limit").await?;
        let answer = succeed(answer, "the rate limit", now)?;
        let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
        #[derive(Deserialize)]
        struct Limits {
            rate: Rate,
        }
        #[derive(Deserialize)]
        struct Rate {
            remaining: u64,
        }
        let limits = serde_json::from_slice::<Limits>(&answer.body).ok();
        let token = match &self.client.account {
            Account::App(_) => TokenKind::OurApp,
            Account::Token(token) => TokenKind::of(token.expose_secret(), &answer.headers),
        };
        let person = match token {
            TokenKind::OurApp | TokenKind::Installation => None,
            TokenKind::Personal | TokenKind::FineGrained | TokenKind::Unknown => {
                // Of an App's token GitHub does not say whose it is.
                let user = self.show("/user", repository).await.unwrap_or_default();
                user["login"].as_str().map(str::to_owned)
            }
        };
        let token = match (token, &person) {
            (TokenKind::Unknown, Some(_)) => TokenKind::Personal,
            (token, _) => token,
        };
        Ok(Reached {
            now_ms: date.and_then(http_date_ms),
            remaining: limits.map(|limits| limits.rate.remaining),
            token,
            person,
        })
    }

    /// What the App may do on a repository; `None` where a token is used, which does not tell.
    ///
    /// # Errors
    /// GitHub does not answer, or the App is not installed there.
    pub async fn installation(
        &self,
        repository: &Repository,
    ) -> Result<Option<Installed>, GitHubError> {
        Ok(self.client.installation(repository).await?)
    }

    /// What the token sees of a repository.
    ///
    /// # Errors
    /// GitHub does not answer, or does not show it.
    pub async fn see(&self, repository: &Repository) -> Result<Seen, GitHubError> {
        let shown = self.show(&format!("/repos/{repository}"), repository).await?;
        let default_branch = shown["default_branch"].as_str().unwrap_or("main").to_owned();
        let may_push = shown["permissions"]["push"].as_bool();
        let branch = format!("/repos/{repository}/branches/{}", encoded(&default_branch));
        let mut required: Vec<String> = Vec::new();
        let mut is_known = false;
        if let Ok(branch) = self.show(&branch, repository).await {
            let contexts = &branch["protection"]["required_status_checks"]["contexts"];
            is_known = contexts.is_array();
            required.extend(strings(contexts));
        }
        let rules = format!("/repos/{repository}/rules/branches/{}", encoded(&default_branch));
        if let Ok(rules) = self.show(&rules, repository).await {
            is_known = true;
            for rule in rules.as_array().into_iter().flatten() {
                let checks = rule["parameters"]["required_status_checks"].as_array();
                let contexts = checks.into_iter().flatten().map(|check| &check["context"]);
                required.extend(contexts.filter_map(|name| Some(name.as_str()?.to_owned())));
            }
        }
        let required_checks = is_known.then_some(required);
        Ok(Seen { default_branch, may_push, required_checks })
    }

    async fn show(&self, path: &str, what: &Repository) -> Result<Value, GitHubError> {
        let now = self.client.clock.now();
        let errand = Errand::about(what, "doctor", Priority::Verdict);
        let answer = self.client.get(&errand, path).await?;
        let answer = succeed(answer, what.as_str(), now)?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }
}

fn strings(list: &Value) -> impl Iterator<Item = String> + '_ {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned()))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that HTTP servers send today.
fn http_date_ms(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = date.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    let written = format!("{year}-{month:02}-{day}T{time}Z");
    humantime::parse_rfc3339(&written).ok().map(unix_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_of_tokens_are_told_apart() {
        let mut scopes = HeaderMap::new();
        scopes.insert("x-oauth-scopes", http::HeaderValue::from_static(""));
        let none = HeaderMap::new();
        let of = |token, answer: &HeaderMap| TokenKind::of(token, answer);
        assert_eq!(of("ghs_x", &none), TokenKind::Installation);
        for token in ["ghp_x", "gho_x"] {
            assert_eq!(of(token, &none), TokenKind::Personal);
        }
        assert_eq!(of("github_pat_x", &none), TokenKind::FineGrained);
        assert_eq!(of("0123456789abcdef", &scopes), TokenKind::Personal, "an old one");
        assert_eq!(of("0123456789abcdef", &none), TokenKind::Unknown);
    }

    #[test]
    fn a_date_header_is_read() {
        assert_eq!(http_date_ms("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(http_date_ms("yesterday"), None);
    }
}
