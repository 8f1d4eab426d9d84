//! One HTTP request to GitHub: authenticated, bounded in time and size, told to the observer.
//!
//! Owns the connection, the addresses and the time limits. Refuses to know GraphQL, to repeat a
//! request, or to follow what an answer means beyond its status and rate-limit headers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, IF_NONE_MATCH, LINK};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use octocrab::Octocrab;
use octocrab::secrecy::{ExposeSecret as _, SecretString};
use octocrab::service::middleware::retry::RetryConfig;
use serde_json::Value;
use sluice::clock::Clock;
use sluice::github::Ask;
use sluice::names::Repository;
use sluice::observe::{Event, JobRef, Observer, What};

use super::account::Account;
use super::budget::{Api, Budget, Cost, Priority, WriteLimits};
use super::limits::{self, Failure, as_u64};
use super::memory::Memory;
use super::{Settings, SetupError};

/// The most that is read of one answer. All facts of a pull request are some 100 kB; six check
/// summaries of GitHub's full length are below 2 MiB.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What GitHub answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What a request is made for.
#[derive(Clone, Copy)]
pub(super) struct Errand<'a> {
    /// The verb of the port, for metrics.
    pub(super) verb: &'static str,
    /// Whose token, and whose limits.
    pub(super) repository: &'a Repository,
    /// In which job; `None` outside any.
    pub(super) job: Option<&'a JobRef>,
    pub(super) priority: Priority,
}

impl<'a> Errand<'a> {
    /// For what a job asks.
    pub(super) fn of(ask: &'a Ask, verb: &'static str, priority: Priority) -> Self {
        let priority = if ask.urgent { Priority::Merge } else { priority };
        Self { verb, repository: &ask.repository, job: ask.job.as_ref(), priority }
    }

    /// For no job.
    pub(super) fn about(repository: &'a Repository, verb: &'static str, by: Priority) -> Self {
        Self { verb, repository, job: None, priority: by }
    }
}

/// A request, without the token that it is made with.
pub(super) struct Call<'a> {
    verb: &'static str,
    job: Option<&'a JobRef>,
    method: Method,
    path: String,
    body: Option<&'a Value>,
    unless: Option<HeaderValue>,
}

/// A connection pool to one GitHub, as one account.
pub(super) struct Client {
    crab: Octocrab,
    pub(super) account: Account,
    rest: String,
    graphql: String,
    pub(super) per_request: Duration,
    limits: WriteLimits,
    /// By the account whose limits they are.
    budgets: Mutex<HashMap<String, Arc<Budget>>>,
    memory: Memory,
    observer: Arc<dyn Observer>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Client {
    /// Connects lazily. Must be called within a tokio runtime, on which octocrab's queue runs.
    pub(super) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let api: Uri = settings
            .api_url
            .parse()
            .map_err(|source| SetupError::Address { url: settings.api_url.clone(), source })?;
        // Only the host is given to octocrab: it would put a path in front of every other path,
        // and GitHub Enterprise's GraphQL is not below its REST path.
        let mut host = api.clone().into_parts();
        host.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        let host = Uri::from_parts(host).map_err(|_| SetupError::NoHost(api.to_string()))?;
        if host.authority().is_none() {
            return Err(SetupError::NoHost(api.to_string()));
        }
        let account = Account::new(&settings.auth)?;
        let patience = &settings.patience;
        let crab = Octocrab::builder()
            .base_uri(host)
            .map_err(|source| SetupError::Client(Box::new(source)))?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(patience.connect))
            .set_read_timeout(Some(patience.read))
            .set_write_timeout(Some(patience.read))
            .add_header(ACCEPT, "application/vnd.github+json".to_owned())
            .build()
            .map_err(|source| SetupError::Client(Box::new(source)))?;
        let (rest, graphql) = paths(api.path());
        Ok(Self {
            crab,
            account,
            rest,
            graphql,
            per_request: patience.request,
            limits: settings.limits,
            budgets: Mutex::default(),
            memory: Memory::default(),
            observer: settings.observer.clone(),
            clock: settings.clock.clone(),
        })
    }

    /// Reads `path` of the REST API; the path is encoded by the caller.
    pub(super) async fn get(&self, errand: &Errand<'_>, path: &str) -> Result<Answer, Failure> {
        let mut call = self.rest(errand.verb, Method::GET, path, None);
        let before = self.memory.recall(path);
        call.job = errand.job;
        call.unless = before.as_ref().map(|kept| kept.tag.clone());
        let answer = self.ask(errand, (Api::Rest, Cost::Read), &call).await?;
        Ok(self.memory.resolve(path, before, answer))
    }

    /// Posts a GraphQL request.
    pub(super) async fn post(
        &self,
        errand: &Errand<'_>,
        cost: Cost,
        body: &Value,
    ) -> Result<Answer, Failure> {
        let Errand { verb, job, .. } = *errand;
        let (method, path) = (Method::POST, self.graphql.clone());
        let call = Call { verb, job, method, path, body: Some(body), unless: None };
        self.ask(errand, (Api::GraphQl, cost), &call).await
    }

    /// Posts to `path` of the REST API what creates content.
    pub(super) async fn post_rest(
        &self,
        errand: &Errand<'_>,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Failure> {
        let mut call = self.rest(errand.verb, Method::POST, path, Some(body));
        call.job = errand.job;
        self.ask(errand, (Api::Rest, Cost::Write), &call).await
    }

    /// A call of the REST API.
    pub(super) fn rest<'a>(
        &self,
        verb: &'static str,
        method: Method,
        path: &str,
        body: Option<&'a Value>,
    ) -> Call<'a> {
        let path = format!("{}{path}", self.rest);
        Call { verb, job: None, method, path, body, unless: None }
    }

    /// Makes a call when its turn comes.
    async fn ask(
        &self,
        errand: &Errand<'_>,
        (api, cost): (Api, Cost),
        call: &Call<'_>,
    ) -> Result<Answer, Failure> {
        let budget = self.budget(errand.repository);
        let clock = self.clock.as_ref();
        let admitted = budget.admit(clock, errand.priority, (api, cost)).await;
        if admitted.as_ref().map_or(true, |admitted| !admitted.waited.is_zero()) {
            self.tell(errand.job, errand.priority.held_back());
        }
        let _until_answered = admitted?;
        let answer = self.ask_as_installed(errand.repository, call).await?;
        let (instant, now) = (clock.instant(), clock.now());
        if let Some(left) = limits::left(&answer.headers, now) {
            budget.told(api, left, instant);
        }
        if let Some(after) = limits::limit_of(&answer, now) {
            self.stays_away(&budget, &answer.headers, after);
        }
        Ok(answer)
    }

    /// Makes a call with the repository's token. One that GitHub does not take any more is made
    /// anew, once: what it refused it has not done.
    async fn ask_as_installed(
        &self,
        repository: &Repository,
        call: &Call<'_>,
    ) -> Result<Answer, Failure> {
        let token = self.token(repository).await?;
        let answer = self.send(call, &token).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.gives_up(repository, &token).await {
            return Ok(answer);
        }
        let token = self.token(repository).await?;
        self.send(call, &token).await
    }

    /// What may be asked about a repository: each installation of an App has limits of its own.
    pub(super) fn budget(&self, repository: &Repository) -> Arc<Budget> {
        let whose = match self.account {
            Account::App(_) => repository.owner().to_lowercase(),
            Account::Token(_) => String::new(),
        };
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Budget::new(self.limits, self.clock.instant()));
        Arc::clone(budgets.entry(whose).or_insert_with(new))
    }

    /// Takes note of a limit: nothing is asked for so long. An hourly limit that is used up, and of
    /// which GitHub says when it begins anew, is one API's alone, and known.
    pub(super) fn stays_away(&self, budget: &Budget, headers: &HeaderMap, after: Duration) {
        let (instant, now) = (self.clock.instant(), self.clock.now());
        if limits::left(headers, now).is_none_or(|left| left.remaining > 0) {
            budget.close(after, instant);
        }
    }

    /// Makes a call once, and tells of it.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        token: &SecretString,
    ) -> Result<Answer, Failure> {
        let begun = self.clock.instant();
        let answer = within(self.per_request, Box::pin(self.exchange(call, token))).await;
        let told = answer.as_ref().ok();
        let request = What::GitHubRequest {
            verb: call.verb,
            status: told.map_or(0, |a| a.status.as_u16()),
            took: self.clock.instant().duration_since(begun),
            remaining: told.and_then(|a| as_u64(&a.headers, "x-ratelimit-remaining")),
        };
        self.tell(call.job, request);
        answer
    }

    /// Makes a call as the App itself.
    pub(super) async fn send_as_app(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let signature = self.signature()?;
        self.send(call, &signature).await
    }

    /// The path of the next page. GitHub links to it as a whole address: only what is behind the
    /// host is asked for, and only below our API.
    pub(super) fn next_page_of(&self, headers: &HeaderMap) -> Option<String> {
        let links = headers.get(LINK)?.to_str().ok()?;
        let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
        let url: Uri = next.split_once('<')?.1.split_once('>')?.0.parse().ok()?;
        let path = url.path_and_query()?.as_str();
        path.strip_prefix(self.rest.as_str()).map(str::to_owned)
    }

    fn tell(&self, job: Option<&JobRef>, what: What) {
        self.observer.observe(&Event { at: self.clock.now(), job: job.cloned(), what });
    }

    async fn exchange(&self, call: &Call<'_>, token: &SecretString) -> Result<Answer, Failure> {
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| Failure::invalid("GitHub made a token that no header may have"))?;
        bearer.set_sensitive(true);
        let builder = Request::builder().method(&call.method).uri(&call.path);
        let mut builder = builder.header(AUTHORIZATION, bearer);
        if let Some(tag) = &call.unless {
            builder = builder.header(IF_NONE_MATCH, tag);
        }
        let request = self
            .crab
            .build_request(builder, call.body)
            .map_err(|source| Failure::invalid(format!("a request that cannot be: {source}")))?;
        let broken = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Ambiguous {
            what: "the connection failed".to_owned(),
            source: Some(source),
        };
        let answer = self.crab.execute(request).await.map_err(|e| broken(Box::new(e)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(broken)?;
        let body = body.to_bytes().to_vec();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// What `work` comes to, if it does in time.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(limit);
        Err(Failure::ambiguous(format!("no answer within {limit}")))
    })
}

/// The paths of REST and GraphQL for an API address with this path: GitHub Enterprise serves
/// `/api/v3` and `/api/graphql`, github.com `/` and `/graphql`.
fn paths(api: &str) -> (String, String) {
    let rest = api.trim_end_matches('/');
    let graphql = match rest.strip_suffix("/api/v3") {
        Some(front) => format!("{front}/api/graphql"),
        None => format!("{rest}/graphql"),
    };
    (rest.to_owned(), graphql)
}

/// Text as one segment of a path or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_is_found_beside_rest() {
        let of = |api| paths(api).1;
        assert_eq!(of("/"), "/graphql");
        assert_eq!(of("/api/v3"), "/api/graphql");
        assert_eq!(of("/api/v3/"), "/api/graphql");
        assert_eq!(of("/behind/proxy"), "/behind/proxy/graphql");
        assert_eq!(paths("/api/v3/").0, "/api/v3");
    }

    #[test]
    fn text_cannot_leave_its_segment() {
        assert_eq!(encoded("a/../b?c&d=e[bot]"), "a%2F..%2Fb%3Fc%26d%3De%5Bbot%5D");
    }
}
