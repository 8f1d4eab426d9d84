//! What an answer that is no success means: wait, try again, give up.
//!
//! Owns GitHub's many ways to say "slow down". Refuses to wait: the caller decides.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use sluice::clock::unix_ms;
use sluice::github::GitHubError;

use super::client::Answer;

/// How long to stay away when GitHub does not say: its documentation asks for at least a minute.
const UNSAID: Duration = Duration::from_secs(60);
/// The longest a limit is believed: primary limits are reset every hour.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// The most of GitHub's words that an error carries, in characters.
const WORDS: usize = 500;

/// Why a request did not succeed, by whether its effect may exist.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may or may not have been done: read before repeating.
    Ambiguous {
        /// What happened.
        what: String,
        /// What the client said.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It was not done, and repeating it now does not help.
    Final(GitHubError),
}

impl Failure {
    pub(super) fn ambiguous(what: impl Into<String>) -> Self {
        Self::Ambiguous { what: what.into(), source: None }
    }

    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::Final(GitHubError::Invalid(what.into()))
    }
}

impl From<Failure> for GitHubError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Ambiguous { what, source } => Self::Unavailable { what, source },
            Failure::Final(error) => error,
        }
    }
}

/// A number in a header.
pub(super) fn as_u64(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// GitHub's words, short enough for an error.
pub(super) fn words(text: &str) -> String {
    text.chars().take(WORDS).collect()
}

/// Passes a success; names any other answer. `asked` is what was asked for, for people.
pub(super) fn succeed(answer: Answer, asked: &str, now: SystemTime) -> Result<Answer, Failure> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer);
    }
    let said = message(&answer.body);
    if let Some(after) = limited(&answer, &said, now) {
        return Err(Failure::Final(GitHubError::Limited { after }));
    }
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return Err(Failure::ambiguous(format!("HTTP {} {said}", status.as_u16())));
    }
    Err(Failure::Final(match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => GitHubError::NotFound(asked.to_owned()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => GitHubError::Forbidden(said),
        _ => GitHubError::Invalid(format!("HTTP {} {said}", status.as_u16())),
    }))
}

/// How long to stay away, if that is what an answer says.
pub(super) fn limit_of(answer: &Answer, now: SystemTime) -> Option<Duration> {
    if answer.status.is_success() {
        return None;
    }
    limited(answer, &message(&answer.body), now)
}

/// How long to stay away, if that is what a refusal says: a primary limit has used up
/// `x-ratelimit-remaining`, a secondary one has a `retry-after` or only words.
fn limited(answer: &Answer, said: &str, now: SystemTime) -> Option<Duration> {
    if !matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let headers = &answer.headers;
    let said = said.to_ascii_lowercase();
    let is_limit = answer.status == StatusCode::TOO_MANY_REQUESTS
        || headers.contains_key("retry-after")
        || as_u64(headers, "x-ratelimit-remaining") == Some(0)
        || said.contains("rate limit")
        || said.contains("abuse detection");
    is_limit.then(|| stay_away(headers, now))
}

/// How long a limit lasts, by what the headers say of it; between a second and an hour.
pub(super) fn stay_away(headers: &HeaderMap, now: SystemTime) -> Duration {
    let used_up = as_u64(headers, "x-ratelimit-remaining") == Some(0);
    let reset = as_u64(headers, "x-ratelimit-reset").filter(|_| used_up);
    let asked = as_u64(headers, "retry-after").map(Duration::from_secs);
    let until_reset =
        reset.map(|at| Duration::from_millis(at.saturating_mul(1000).saturating_sub(unix_ms(now))));
    asked.or(until_reset).unwrap_or(UNSAID).clamp(Duration::from_secs(1), LONGEST)
}

/// What is left of an hourly limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) remaining: u64,
    pub(super) limit: u64,
    pub(super) resets_in: Duration,
}

/// What the headers say of the hourly limit, if they say all of it.
pub(super) fn left(headers: &HeaderMap, now: SystemTime) -> Option<Left> {
    let reset_ms = as_u64(headers, "x-ratelimit-reset")?.saturating_mul(1000);
    Some(Left {
        remaining: as_u64(headers, "x-ratelimit-remaining")?,
        limit: as_u64(headers, "x-ratelimit-limit")?,
        resets_in: Duration::from_millis(reset_ms.saturating_sub(unix_ms(now))).min(LONGEST),
    })
}

fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(said) => words(&said.message),
        // A proxy's page says nothing that a person needs.
        Err(_) => "without a message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: map, body: body.as_bytes().to_vec() }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn every_disguise_of_a_limit_is_seen() {
        let secondary = r#"{"message":"You have exceeded a secondary rate limit."}"#;
        let cases = [
            (answer(403, &[("retry-after", "7")], "{}"), 7),
            (answer(429, &[("retry-after", "90")], "{}"), 90),
            (answer(429, &[], ""), 60),
            (answer(403, &[], secondary), 60),
            (
                answer(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1600")], ""),
                600,
            ),
            (answer(403, &[("retry-after", "99999999")], "{}"), 3600),
        ];
        for (answer, seconds) in cases {
            match succeed(answer, "x", at(1000)) {
                Err(Failure::Final(GitHubError::Limited { after })) => {
                    assert_eq!(after.as_secs(), seconds);
                }
                Err(other) => panic!("{other:?}"),
                Ok(_) => panic!("a success"),
            }
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let of = |status| match succeed(answer(status, &[], r#"{"message":"no"}"#), "x", at(0)) {
            Err(failure) => format!("{failure:?}"),
            Ok(_) => "success".to_owned(),
        };
        assert!(of(403).contains("Forbidden"), "{}", of(403));
        assert!(of(401).contains("Forbidden"));
        assert!(of(404).contains("NotFound"));
        assert!(of(422).contains("Invalid"));
        assert!(of(502).contains("Ambiguous"));
        assert_eq!(of(201), "success");
    }
}
