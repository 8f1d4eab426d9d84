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
    /// As what checks are shown.
    pub checks: ChecksAs,
    /// As whom the API is used; `None` in a process that does not call it.
    pub account: Option<Account<Secret>>,
    /// The most requests that create content in a minute, counted by each process for itself;
    /// `None`: any number.
    pub writes_per_minute: Option<u32>,
    /// The same in an hour.
    pub writes_per_hour: Option<u32>,
    /// Where the webhook secrets are.
    pub webhook_secret_sources: Vec<SecretSource>,
    /// Where the account's secret is.
    pub account_source: Account<SecretSource>,
}

/// As whom GitHub's API is used: by its secret, or by where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account<T> {
    /// By a token that somebody else makes and renews.
    Token(T),
    /// As a GitHub App, which makes its own tokens.
    App {
        /// The App's id.
        id: u64,
        /// Its private key, as PEM.
        private_key: T,
    },
}

/// As what checks are shown on GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChecksAs {
    /// As check runs where the account may write them, else as commit statuses.
    #[default]
    Auto,
    /// As check runs.
    CheckRuns,
    /// As commit statuses.
    Statuses,
}

impl ChecksAs {
    /// What is written in the file for each.
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("check_runs", Self::CheckRuns), ("statuses", Self::Statuses)];
}

impl<T> Account<T> {
    /// The token, or the key.
    pub fn secret(&self) -> &T {
        match self {
            Self::Token(secret) | Self::App { private_key: secret, .. } => secret,
        }
    }
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
    let names = "private_key_env or private_key_file";
    section.refuse("private_key", &format!("{NOT_LITERAL} {names}"));
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
    let account_source = account_source(&mut section, around);
    let account = account_source
        .as_ref()
        .filter(|_| around.roles.contains(&Role::Worker))
        .and_then(|source| account(&mut section, source, around));
    let checks = section.or("checks", kinds::choice(&ChecksAs::WORDS), ChecksAs::default());
    let mut writes = |key, usual: u32| {
        Some(section.or(key, kinds::count(0, 1_000_000), usual)).filter(|most| *most > 0)
    };
    // What GitHub allows an account.
    let (writes_per_minute, writes_per_hour) =
        (writes("writes_per_minute", 80), writes("writes_per_hour", 500));
    section.finish();
    GitHubConfig {
        api_url,
        git_url,
        status_url,
        webhook_secrets,
        checks,
        account,
        writes_per_minute,
        writes_per_hour,
        webhook_secret_sources,
        account_source: account_source.unwrap_or_else(|| Account::Token(usual_token())),
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

/// Where the account's secret is; `None` when what was written is wrong.
fn account_source(
    section: &mut Section<'_>,
    around: &Surroundings<'_>,
) -> Option<Account<SecretSource>> {
    let id = section.optional("app_id", kinds::count(1, u32::MAX)).map(u64::from);
    let private_key = source(section, ["private_key_env", "private_key_file"], around);
    let token = source(section, ["token_env", "token_file"], around);
    match (id, private_key?, token?) {
        (Some(id), Some(private_key), None) => Some(Account::App { id, private_key }),
        (None, None, token) => Some(Account::Token(token.unwrap_or_else(usual_token))),
        (Some(_), None, _) => {
            section.problem("app_id", "an App needs private_key_file or private_key_env");
            None
        }
        (None, Some(_), _) => {
            section.problem("private_key_file", "a private key needs the app_id that it is of");
            None
        }
        (Some(_), Some(_), Some(_)) => {
            section.problem("app_id", "there is a token too: an App makes its own");
            None
        }
    }
}

/// Where a secret is, by the one of two keys that is there: `None` when what was written is wrong,
/// `Some(None)` when nothing was.
fn source(
    section: &mut Section<'_>,
    [variable, file]: [&'static str; 2],
    around: &Surroundings<'_>,
) -> Option<Option<SecretSource>> {
    let is_there = (section.has(variable), section.has(file));
    if is_there == (true, true) {
        section.problem(file, format!("there is {variable} too: which one?"));
    }
    let name = section.optional(variable, kinds::variable).map(SecretSource::Variable);
    let path = section.optional(file, kinds::text);
    let found = name.or_else(|| path.map(|path| SecretSource::File(around.path(&path))));
    (found.is_some() || is_there == (false, false)).then_some(found)
}

fn account(
    section: &mut Section<'_>,
    source: &Account<SecretSource>,
    around: &Surroundings<'_>,
) -> Option<Account<Secret>> {
    match source {
        Account::Token(source) => resolve(section, "token", source, around).map(Account::Token),
        Account::App { id, private_key } => {
            let private_key = resolve(section, "private_key", private_key, around)?;
            Some(Account::App { id: *id, private_key })
        }
    }
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
