//! GitHub over HTTP: the `GitHub` port by octocrab, GraphQL where it saves requests.
//!
//! Owns requests, their limits and their repetition. Refuses to decide anything about a pull
//! request, and refuses octocrab's own retries: they repeat writes blindly.

mod account;
mod budget;
mod checks;
mod client;
mod comments;
mod cut;
mod deliveries;
mod deployment;
mod doctor;
mod documents;
mod facts;
mod files;
mod graphql;
mod limits;
mod meaning;
mod memory;
mod merge;
mod open;
mod owners;
mod patience;
mod queue;
mod report;
mod rest;
mod shape;
mod statuses;
mod way;

use std::sync::Arc;

pub use account::Installed;
use async_trait::async_trait;
pub use budget::WriteLimits;
pub use doctor::{Reached, Seen, TokenKind};
pub use octocrab::secrecy::{ExposeSecret, SecretString};
use sluice::clock::Clock;
use sluice::config::ChecksAs;
use sluice::github::{
    Ask, Check, DeploymentId, DeploymentWrite, Facts, GitHub, GitHubError, Merge, MergeOutcome,
    OpenPulls, Page, Redelivered, Report, ReportError, Reported, Role, Via,
};
use sluice::names::{Login, Repository, Sha};
use sluice::observe::Observer;

use self::checks::OurApp;
use self::client::Client;
pub use self::patience::Patience;
use self::patience::Tries;
use self::statuses::Turns;
use self::way::Way;

/// As whom GitHub is asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Auth {
    /// A token that somebody else renews: an Actions job's, or a person's. It lives as long as
    /// this client.
    Token(SecretString),
    /// A GitHub App, which makes a token for each account that it is installed on.
    App {
        /// The App's id.
        id: u64,
        /// Its private key, as PEM.
        private_key: SecretString,
    },
}

/// Which GitHub, as whom, and how patiently.
#[derive(Clone)]
pub struct Settings {
    /// `https://api.github.com`, or `https://host/api/v3` of a GitHub Enterprise server.
    pub api_url: String,
    /// As whom.
    pub auth: Auth,
    /// The id of the GitHub App whose check runs are ours: that of [`Auth::App`] if there is one,
    /// or else those of the App whose bot the token is; say it where many Apps write checks: it
    /// makes the answers smaller.
    pub app: Option<u64>,
    /// As what checks are shown.
    pub checks: ChecksAs,
    /// How long GitHub is waited for.
    pub patience: Patience,
    /// How much of what creates content is asked of it.
    pub limits: WriteLimits,
    /// Who is told of every request.
    pub observer: Arc<dyn Observer>,
    /// What o'clock it is.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address does not parse.
    #[error("{url:?} is no address of a GitHub API")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// The address lacks `https://` or a host.
    #[error("{0:?} is no address of a GitHub API: it has to begin with https:// and a host")]
    NoHost(String),
    /// The token has characters that no header may have; which is not said.
    #[error("the GitHub token is not one: it has line ends or characters beyond ASCII")]
    Token,
    /// The private key cannot be read; no part of it is said.
    #[error("the private key of the GitHub App is not an RSA key in PEM, as GitHub gives it out")]
    PrivateKey,
    /// TLS could not be set up.
    #[error("the HTTP client could not be built")]
    Client(#[source] Box<octocrab::Error>),
}

/// GitHub over HTTP. Share it: every clone of the inner client would keep connections and tokens
/// of its own, hence it has no `Clone`.
pub struct HttpGitHub {
    client: Client,
    patience: Patience,
    app: OurApp,
    owners_files: owners::Files,
    way: Way,
    turns: Turns,
}

impl HttpGitHub {
    /// A client; it connects with the first request. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Address or token are unusable, or TLS is.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let of_key = match settings.auth {
            Auth::App { id, .. } => Some(id),
            Auth::Token(_) => None,
        };
        Ok(Self {
            client: Client::new(settings)?,
            patience: settings.patience,
            app: OurApp::new(settings.app.or(of_key)),
            owners_files: owners::Files::default(),
            way: Way::new(&settings.auth, settings.checks),
            turns: Turns::default(),
        })
    }

    /// The token for a repository as of now, for git's credential prompt. Never to be put into a
    /// URL or argv.
    ///
    /// # Errors
    /// The App is not installed there, or GitHub made no token.
    pub async fn token(&self, repository: &Repository) -> Result<SecretString, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        loop {
            match self.client.token(repository).await {
                Ok(token) => return Ok(token),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }
}

#[async_trait]
impl GitHub for HttpGitHub {
    async fn facts(&self, ask: &Ask) -> Result<Facts, GitHubError> {
        self.read_facts(ask).await
    }

    async fn checks(&self, ask: &Ask, commit: &Sha) -> Result<Vec<Check>, GitHubError> {
        self.read_checks(ask, commit).await
    }

    async fn report(&self, report: &Report) -> Result<Reported, ReportError> {
        self.write_report(report).await
    }

    async fn merge(&self, merge: &Merge) -> Result<MergeOutcome, GitHubError> {
        match merge.via {
            Via::Merge => self.merge_pinned(merge).await,
            Via::Queue | Via::InQueue => self.merge_by_queue(merge).await,
        }
    }

    async fn deployment(
        &self,
        write: &DeploymentWrite,
    ) -> Result<Option<DeploymentId>, GitHubError> {
        self.write_deployment(write).await
    }

    async fn role(&self, ask: &Ask, login: &Login) -> Result<Role, GitHubError> {
        rest::role(self, ask, login).await
    }

    async fn open_pulls(
        &self,
        repository: &Repository,
        after: Option<&Page>,
    ) -> Result<OpenPulls, GitHubError> {
        self.read_open_pulls(repository, after).await
    }

    async fn redeliver(&self, since_ms: u64) -> Result<Option<Redelivered>, GitHubError> {
        self.redeliver_since(since_ms).await
    }
}
