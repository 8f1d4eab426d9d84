//! The two facts that only REST knows: when a head was pushed, and what an account may do.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sluice::clock::unix_ms;
use sluice::github::{Ask, GitHubError, Role};
use sluice::names::{Login, Sha};

use super::HttpGitHub;
use super::budget::Priority;
use super::client::{Errand, encoded};
use super::limits::{Failure, succeed};
use super::patience::Tries;

/// When `head` last became the newest commit of `branch`; `None` when GitHub has no record of it
/// among the branch's last hundred changes, or keeps none (GitHub Enterprise before 3.10).
pub(super) async fn pushed_ms(
    github: &HttpGitHub,
    ask: &Ask,
    branch: &str,
    head: &Sha,
) -> Result<Option<u64>, Failure> {
    #[derive(Deserialize)]
    struct Change {
        after: String,
        timestamp: String,
    }
    let branch = encoded(&format!("refs/heads/{branch}"));
    let path = format!("/repos/{}/activity?ref={branch}&per_page=100", ask.repository);
    let errand = Errand::of(ask, "facts", Priority::Verdict);
    let changes = match get::<Vec<Change>>(github, &errand, (&path, "activity")).await {
        Err(Failure::Final(GitHubError::NotFound(_))) => return Ok(None),
        changes => changes?,
    };
    let mut newest = None;
    for change in changes.iter().filter(|change| change.after == head.as_str()) {
        let at = humantime::parse_rfc3339(&change.timestamp).map_err(|source| {
            let what = "a push at no known time".to_owned();
            Failure::Ambiguous { what, source: Some(Box::new(source)) }
        })?;
        newest = newest.max(Some(unix_ms(at)));
    }
    Ok(newest)
}

/// What an account may do.
pub(super) async fn role(
    github: &HttpGitHub,
    ask: &Ask,
    login: &Login,
) -> Result<Role, GitHubError> {
    #[derive(Deserialize)]
    struct Permission {
        permission: String,
        #[serde(default)]
        role_name: Option<String>,
    }
    let (repository, account) = (&ask.repository, encoded(login.as_str()));
    let path = format!("/repos/{repository}/collaborators/{account}/permission");
    let asked = format!("{login} in {repository}");
    let errand = Errand::of(ask, "role", Priority::Verdict);
    let mut tries = Tries::new(github.client.clock.as_ref(), github.patience);
    let said = loop {
        match get::<Permission>(github, &errand, (&path, &asked)).await {
            Ok(said) => break said,
            Err(failure) => tries.after(failure).await?,
        }
    };
    // A custom role has a name of its own; `permission` folds it, and maintain and triage, into
    // the nearest of the four old ones.
    let exact = said.role_name.as_deref().and_then(named);
    Ok(exact.or_else(|| named(&said.permission)).unwrap_or(Role::None))
}

fn named(role: &str) -> Option<Role> {
    Some(match role {
        "none" => Role::None,
        "read" => Role::Read,
        "triage" => Role::Triage,
        "write" => Role::Write,
        "maintain" => Role::Maintain,
        "admin" => Role::Admin,
        _ => return None,
    })
}

async fn get<T: DeserializeOwned>(
    github: &HttpGitHub,
    errand: &Errand<'_>,
    (path, asked): (&str, &str),
) -> Result<T, Failure> {
    let answer = github.client.get(errand, path).await?;
    let answer = succeed(answer, asked, github.client.clock.now())?;
    serde_json::from_slice(&answer.body).map_err(|source| Failure::Ambiguous {
        what: "an answer of another shape than asked for".to_owned(),
        source: Some(Box::new(source)),
    })
}
