//! The section `[github]`: where GitHub is, and which secrets open it.
//!
//! Owns how a secret is named instead of written.

use super::document::Node;
use super::kinds;
use super::secret::{Secret, SecretSource};
use super::section::Section;
use super::{Role, Surroundings};
use crate::names::{PrNumber, Repository};

/// How GitHub is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHubConfig {
    /// Base of the REST API, without a trailing slash.
    pub api_url: String,
    /// Where repositories are cloned from; holds `{repository}`, and never credentials.
    pub git_url: String,
    /// Base of check runs' `details_url`; `None`: they have none.
    pub status_url: Option<String>,
    /// The secrets with which webhooks may be signed, and the first of which seals gate results;
    /// several while one is being replaced. Empty in a process that does neither.
    pub webhook_secrets: Vec<Secret>,
    /// The token of the API; `None` in a process that does not call it.
    pub token: Option<Secret>,
    /// Where the webhook secrets are.
    pub webhook_secret_sources: Vec<SecretSource>,
    /// Where the token is.
    pub token_source: SecretSource,
}

impl GitHubConfig {
    /// Where people see a pull request.
    pub fn pull_request_url(&self, repository: &Repository, pr: PrNumber) -> String {
        format!("{}/{repository}/pull/{pr}", web_url_of(&self.api_url))
    }
}

const NOT_LITERAL: &str = "a secret does not belong into this file: put it into an environment \
                           variable or a file of its own, and name that here with";

pub(super) fn github(mut section: Section<'_>, around: &Surroundings<'_>) -> GitHubConfig {
    section.refuse("token", &format!("{NOT_LITERAL} token_env or token_file"));
    for key in ["secret", "webhook_secret"] {
        let names = "webhook_secret_env or webhook_secret_file";
        section.refuse(key, &format!("{NOT_LITERAL} {names}"));
    }
    let api_url = section.or("api_url", kinds::base_url, "https://api.github.com".to_owned());
    let git_url = section.optional("git_url", git_url).unwrap_or_else(|| git_url_of(&api_url));
    let status_url = section.optional("status_url", kinds::base_url);

    let webhook_secret_sources = webhook_secret_sources(&mut section, around);
    let mut webhook_secrets = Vec::new();
    if !around.roles.is_empty() {
        let resolved = webhook_secret_sources.iter();
        webhook_secrets
            .extend(resolved.filter_map(|s| resolve(&mut section, "webhook_secret", s, around)));
    }
    let token_source = token_source(&mut section, around);
    let token = token_source
        .as_ref()
        .filter(|_| around.roles.contains(&Role::Worker))
        .and_then(|source| resolve(&mut section, "token", source, around));
    section.finish();
    GitHubConfig {
        api_url,
        git_url,
        status_url,
        webhook_secrets,
        token,
        webhook_secret_sources,
        token_source: token_source.unwrap_or_else(usual_token),
    }
}

fn git_url(node: &Node) -> Result<String, String> {
    const EXPECTED: &str = "expected an address with {repository} in it and without credentials, \
                            such as \"https://github.com/{repository}.git\"";
    let is_sound = |text: &String| {
        ["http://", "https://", "file:///"].iter().any(|scheme| text.starts_with(scheme))
            && text.contains("{repository}")
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'@')
    };
    kinds::text(node).ok().filter(is_sound).ok_or_else(|| EXPECTED.to_owned())
}

/// GitHub's own host, or the host of a GitHub Enterprise Server (`https://HOST/api/v3`).
fn git_url_of(api_url: &str) -> String {
    format!("{}/{{repository}}.git", web_url_of(api_url))
}

fn web_url_of(api_url: &str) -> &str {
    match api_url {
        "https://api.github.com" => "https://github.com",
        other => other.strip_suffix("/api/v3").unwrap_or(other),
    }
}

/// Where the webhook secrets are; none when what was written is wrong.
fn webhook_secret_sources(
    section: &mut Section<'_>,
    around: &Surroundings<'_>,
) -> Vec<SecretSource> {
    if !section.has("webhook_secret_env") && !section.has("webhook_secret_file") {
        return vec![SecretSource::Variable("SLUICE_WEBHOOK_SECRET".to_owned())];
    }
    let names = section.optional("webhook_secret_env", one_or_more(kinds::variable));
    let files = section.optional("webhook_secret_file", one_or_more(kinds::text));
    let files = files.into_iter().flatten().map(|path| SecretSource::File(around.path(&path)));
    names.into_iter().flatten().map(SecretSource::Variable).chain(files).collect()
}

/// One value, or a list of at least one.
fn one_or_more(
    item: fn(&Node) -> Result<String, String>,
) -> impl FnOnce(&Node) -> Result<Vec<String>, String> {
    move |node| {
        let expected = match item(node) {
            Ok(one) => return Ok(vec![one]),
            Err(expected) => expected,
        };
        let list = kinds::list(item)(node).ok().filter(|list| !list.is_empty());
        list.ok_or_else(|| format!("{expected}, or a list of such"))
    }
}

/// Where the token is; `None` when what was written is wrong.
fn token_source(section: &mut Section<'_>, around: &Surroundings<'_>) -> Option<SecretSource> {
    match (section.has("token_env"), section.has("token_file")) {
        (false, false) => return Some(usual_token()),
        (true, true) => section.problem("token_file", "there is token_env too: which one?"),
        (true, false) | (false, true) => {}
    }
    let name = section.optional("token_env", kinds::variable).map(SecretSource::Variable);
    let file = section.optional("token_file", kinds::text);
    name.or_else(|| file.map(|path| SecretSource::File(around.path(&path))))
}

fn usual_token() -> SecretSource {
    SecretSource::Variable("GITHUB_TOKEN".to_owned())
}

fn resolve(
    section: &mut Section<'_>,
    secret: &str,
    source: &SecretSource,
    around: &Surroundings<'_>,
) -> Option<Secret> {
    let key = match source {
        SecretSource::Variable(_) => format!("{secret}_env"),
        SecretSource::File(_) => format!("{secret}_file"),
    };
    let resolved = source.resolve(around.variables);
    resolved.map_err(|why| section.problem(&key, why)).ok()
}
