//! As whom GitHub is asked: with one token, or as an App with a token for each installation.
//!
//! Owns the App's own signature, and its tokens: made once for all requests, renewed before they
//! end, made anew when GitHub takes one no longer. octocrab would look for them beside the path of
//! a GitHub Enterprise server. Refuses to know what a token is used for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, Method};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use octocrab::secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice::clock::unix_ms;
use sluice::github::GitHubError;
use sluice::names::Repository;

use super::client::{Client, within};
use super::limits::{Failure, succeed};
use super::{Auth, SetupError};

/// A token is renewed when it has no more than this left of its hour: what is begun with it, such
/// as a long fetch, gets done; and a clock that is late by some minutes does no harm.
const RENEWED_BEFORE: Duration = Duration::from_secs(15 * 60);

/// How long a token that still works is used when GitHub makes no new one, until it is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// A token that is refused when it is younger than this is not the reason for it: another one would
/// not help.
const YOUNG: Duration = Duration::from_secs(60);

/// How long a signature of the App's is good: GitHub takes none for more than 10 minutes, and none
/// from its future.
const SIGNED_FOR: Duration = Duration::from_secs(9 * 60);
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);

/// As whom.
pub(super) enum Account {
    Token(SecretString),
    App(App),
}

/// A GitHub App and what it has made.
pub(super) struct App {
    id: u64,
    key: EncodingKey,
    /// By the account that it is installed on, of which there is one for each owner of a
    /// configured repository. Held by whoever makes a token: the others wait and find it.
    installations: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Installation>>>>,
}

#[derive(Default)]
struct Installation {
    id: Option<u64>,
    token: Option<Minted>,
}

struct Minted {
    secret: SecretString,
    made: Instant,
    renew: Instant,
    ends: Instant,
}

impl Account {
    pub(super) fn new(auth: &Auth) -> Result<Self, SetupError> {
        match auth {
            Auth::Token(token) => {
                HeaderValue::from_str(token.expose_secret()).map_err(|_| SetupError::Token)?;
                Ok(Self::Token(token.clone()))
            }
            Auth::App { id, private_key } => {
                // A variable often has them so, where it may not have line ends.
                let pem = private_key.expose_secret().replace("\\n", "\n");
                let key = EncodingKey::from_rsa_pem(pem.as_bytes());
                let key = key.map_err(|_| SetupError::PrivateKey)?;
                Ok(Self::App(App { id: *id, key, installations: Mutex::default() }))
            }
        }
    }
}

impl App {
    fn installation(&self, repository: &Repository) -> Arc<tokio::sync::Mutex<Installation>> {
        let mut all = self.installations.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(repository.owner().to_lowercase()).or_default())
    }

    /// What proves that we are the App.
    fn signature(&self, now: SystemTime) -> Result<SecretString, Failure> {
        #[derive(Serialize)]
        struct Claims {
            iat: u64,
            exp: u64,
            iss: String,
        }
        let seconds = |time| unix_ms(time) / 1000;
        let claims = Claims {
            iat: seconds(now - CLOCKS_DIFFER_BY),
            exp: seconds(now + SIGNED_FOR),
            iss: self.id.to_string(),
        };
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        let signed = signed.map_err(|_| Failure::invalid("the App's private key does not sign"))?;
        Ok(SecretString::from(signed))
    }
}

impl Installation {
    /// Its token, if it is good beyond this moment of its life.
    fn token(&self, good: impl Fn(&Minted) -> bool) -> Option<SecretString> {
        self.token.as_ref().filter(|token| good(token)).map(|token| token.secret.clone())
    }
}

impl Client {
    /// The token for requests about a repository.
    pub(super) async fn token(&self, repository: &Repository) -> Result<SecretString, Failure> {
        match &self.account {
            Account::Token(token) => Ok(token.clone()),
            // Bounded as a whole: whoever waits for another one's request waits no longer.
            Account::App(app) => {
                within(self.per_request, self.installation_token(app, repository)).await
            }
        }
    }

    async fn installation_token(
        &self,
        app: &App,
        repository: &Repository,
    ) -> Result<SecretString, Failure> {
        let installation = app.installation(repository);
        let mut installation = installation.lock().await;
        let now = self.clock.instant();
        if let Some(token) = installation.token(|token| now < token.renew) {
            return Ok(token);
        }
        // Half of the time: whoever waits behind this one is to have the old token in time.
        let minted = Box::pin(self.mint(app, repository, &mut installation));
        let minted = within(self.per_request / 2, minted);
        let failure = match minted.await {
            Ok(minted) => return Ok(installation.token.insert(minted).secret.clone()),
            Err(failure) => failure,
        };
        let now = self.clock.instant();
        let Some(old) = installation.token(|token| now < token.ends) else { return Err(failure) };
        let why = GitHubError::from(failure);
        tracing::warn!(%repository, %why, "the App's token is not renewed yet, and still good");
        if let Some(token) = &mut installation.token {
            token.renew = now + ASKED_AGAIN;
        }
        Ok(old)
    }

    async fn mint(
        &self,
        app: &App,
        repository: &Repository,
        installation: &mut Installation,
    ) -> Result<Minted, Failure> {
        #[derive(Deserialize)]
        struct Made {
            token: String,
            expires_at: String,
        }
        let signature = app.signature(self.clock.now())?;
        let id = match installation.id {
            Some(id) => id,
            None => self.installed(app, repository, &signature).await?.id,
        };
        let (path, nothing) = (format!("/app/installations/{id}/access_tokens"), json!({}));
        let call = self.rest("token", Method::POST, &path, Some(&nothing));
        let (asked, now) = (self.clock.instant(), self.clock.now());
        let answer = self.send(&call, &signature).await?;
        let answer = match succeed(answer, "the App's installation", now) {
            // It was removed, and perhaps made anew under another number.
            Err(Failure::Final(GitHubError::NotFound(what)))
                if installation.id.take().is_some() =>
            {
                return Err(Failure::ambiguous(format!("{what} is gone")));
            }
            answer => answer?,
        };
        let made: Made = parsed(&answer.body)?;
        let ends = humantime::parse_rfc3339(&made.expires_at).map_err(unreadable)?;
        let lives = ends.duration_since(now).unwrap_or_default();
        installation.id = Some(id);
        Ok(Minted {
            secret: made.token.into(),
            made: asked,
            renew: asked + lives.saturating_sub(RENEWED_BEFORE),
            ends: asked + lives,
        })
    }

    /// What the App may do on a repository; `None` where a token is used.
    pub(super) async fn installation(
        &self,
        repository: &Repository,
    ) -> Result<Option<Installed>, Failure> {
        let Account::App(app) = &self.account else { return Ok(None) };
        let signature = app.signature(self.clock.now())?;
        self.installed(app, repository, &signature).await.map(Some)
    }

    /// What proves that we are the App, if we are one.
    pub(super) fn signature(&self) -> Result<SecretString, Failure> {
        match &self.account {
            Account::App(app) => app.signature(self.clock.now()),
            Account::Token(_) => Err(Failure::invalid("a token is no App")),
        }
    }

    /// The App's installation on a repository, as the App sees it.
    async fn installed(
        &self,
        app: &App,
        repository: &Repository,
        signature: &SecretString,
    ) -> Result<Installed, Failure> {
        let path = format!("/repos/{repository}/installation");
        let call = self.rest("token", Method::GET, &path, None);
        let answer = self.send(&call, signature).await?;
        match succeed(answer, repository.as_str(), self.clock.now()) {
            Err(Failure::Final(GitHubError::NotFound(_))) => {
                let what = format!("the App {} is not installed on {repository}", app.id);
                Err(Failure::Final(GitHubError::Forbidden(what)))
            }
            answer => parsed(&answer?.body),
        }
    }

    /// Forgets a token that GitHub did not take. Says whether there may be a better one.
    pub(super) async fn gives_up(&self, repository: &Repository, refused: &SecretString) -> bool {
        let Account::App(app) = &self.account else { return false };
        let installation = app.installation(repository);
        let mut installation = installation.lock().await;
        let now = self.clock.instant();
        match &installation.token {
            Some(token) if token.secret.expose_secret() != refused.expose_secret() => true,
            Some(token) if now.saturating_duration_since(token.made) < YOUNG => false,
            _ => {
                installation.token = None;
                true
            }
        }
    }
}

/// An installation of the App, as far as `sluice doctor` looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Installed {
    id: u64,
    /// What it may do: `read`, `write` or `admin`, by subject.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// The events that it is told of.
    #[serde(default)]
    pub events: Vec<String>,
    /// Since when it may do nothing, if somebody suspended it.
    #[serde(default)]
    pub suspended_at: Option<String>,
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(unreadable)
}

/// Never with the answer: there may be a token in it.
fn unreadable(_: impl std::error::Error) -> Failure {
    Failure::ambiguous("an answer of another shape than asked for")
}
