//! A small town to test in: a stand-in, a repository, three people, and raw HTTP clients.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sluice_conformance::{Clients, Watched};
use sluice_sim::world::Role;
use sluice_sim::{Actor, Pr, PrSpec, RepositoryName, StandinConfig};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Alice writes, bob approves, mallory may only look.
pub(crate) struct Town {
    pub(crate) gh: Watched,
    pub(crate) repository: RepositoryName,
    pub(crate) alice: Actor,
    pub(crate) bob: Actor,
    pub(crate) mallory: Actor,
    http: reqwest::Client,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let gh = Watched::start_for(Clients::Anybody, StandinConfig::default()).await.unwrap();
        let files = [("README.md", "hello\n"), ("models/a.sql", "SELECT 1\n")];
        let repository = gh.repository("acme/warehouse").with_files(&files).await.unwrap();
        let (alice, bob, mallory) = (gh.user("alice"), gh.user("Bob"), gh.user("mallory"));
        alice.joins(&repository, Role::Write).await.unwrap();
        bob.joins(&repository, Role::Maintain).await.unwrap();
        Self { gh, repository, alice, bob, mallory, http: reqwest::Client::new() }
    }

    /// A pull request that adds one model.
    pub(crate) async fn pr(&self, branch: &str) -> Pr {
        let spec = PrSpec::new(branch).file(&format!("models/{branch}.sql"), "SELECT 2\n");
        self.alice.opens_pr(&self.repository, spec).await.unwrap()
    }

    pub(crate) fn head(&self, pr: &Pr) -> String {
        self.gh.pr(pr).unwrap().head.to_string()
    }

    /// A request by the application.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.gh.token())
    }

    /// A request by a user.
    pub(crate) fn request_as(&self, login: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).header("authorization", format!("token token-{login}"))
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.gh.url())
        };
        self.http.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        read(self.request(method, path).json(body).send().await.unwrap()).await
    }

    /// The answer to a GraphQL document, with whatever errors it has.
    pub(crate) async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        let (status, answer) = self.send(Method::POST, "/graphql", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The data of a GraphQL document that must not have errors.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let answer = self.graphql(query, variables).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"].clone()
    }
}

pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
