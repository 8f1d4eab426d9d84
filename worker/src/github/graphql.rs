//! GraphQL over that client: a document in, data *and* problems out.
//!
//! Owns how GitHub words its problems. Refuses to drop partial data: what succeeded is what keeps
//! a write from being done twice.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use sluice::github::GitHubError;

use super::budget::Cost;
use super::client::{Client, Errand};
use super::limits::{Failure, stay_away, succeed, words};

/// A reply with HTTP status 200.
#[derive(Debug)]
pub(super) struct Reply {
    /// What was read or written; `Null` when nothing was.
    pub(super) data: Value,
    /// What went wrong, each with the path it belongs to.
    pub(super) problems: Vec<Problem>,
    /// How long to stay away, if a limit was reached on the way: GitHub says so with status 200,
    /// and what came before the limit is done.
    pub(super) limit: Option<Duration>,
}

/// An entry of `errors`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    path: Option<Vec<Value>>,
    #[serde(default)]
    extensions: Option<Value>,
}

impl Problem {
    /// The names on its path, outermost first.
    pub(super) fn path(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.path.iter().flatten().filter_map(Value::as_str)
    }

    /// Whether GitHub calls it this.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    fn is_limit(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.starts_with("RATE_LIMIT"))
            || self.message.to_ascii_lowercase().contains("secondary rate limit")
    }

    /// What it means for the whole request.
    pub(super) fn failure(&self) -> Failure {
        let said = words(&self.message);
        match self.kind.as_deref() {
            Some("NOT_FOUND") => Failure::Final(GitHubError::NotFound(said)),
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => {
                Failure::Final(GitHubError::Forbidden(said))
            }
            Some("INTERNAL" | "SERVICE_UNAVAILABLE") => Failure::ambiguous(said),
            Some(_) => Failure::invalid(said),
            // A document that does not fit the schema carries a code; GitHub's own time-outs
            // ("Something went wrong while executing your query") carry neither.
            None if self.extensions.as_ref().is_some_and(|e| e.get("code").is_some()) => {
                Failure::invalid(said)
            }
            None => Failure::ambiguous(said),
        }
    }
}

impl Client {
    /// Posts a document once. A reply that carries problems is still a reply, save for a rate
    /// limit.
    pub(super) async fn graphql(
        &self,
        errand: &Errand<'_>,
        document: &str,
        variables: &Value,
    ) -> Result<Reply, Failure> {
        let reply = self.graphql_in_part(errand, document, variables).await?;
        match reply.limit {
            Some(after) => Err(Failure::Final(GitHubError::Limited { after })),
            None => Ok(reply),
        }
    }

    /// The same, for several writes of which some may be done: a limit comes with the data.
    pub(super) async fn graphql_in_part(
        &self,
        errand: &Errand<'_>,
        document: &str,
        variables: &Value,
    ) -> Result<Reply, Failure> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            data: Value,
            #[serde(default)]
            errors: Vec<Problem>,
        }
        let body = json!({ "query": document, "variables": variables });
        let cost = if document.starts_with("mutation") { Cost::Write } else { Cost::Read };
        let answer = self.post(errand, cost, &body).await?;
        let answer = succeed(answer, "its GraphQL API at this address", self.clock.now())?;
        let body: Body = serde_json::from_slice(&answer.body).map_err(|source| {
            let what = "an answer that is not GraphQL's".to_owned();
            Failure::Ambiguous { what, source: Some(Box::new(source)) }
        })?;
        let limited = body.errors.iter().any(Problem::is_limit);
        let limit = limited.then(|| stay_away(&answer.headers, self.clock.now()));
        if let Some(after) = limit {
            self.stays_away(&self.budget(errand.repository), &answer.headers, after);
        }
        Ok(Reply { data: body.data, problems: body.errors, limit })
    }
}
