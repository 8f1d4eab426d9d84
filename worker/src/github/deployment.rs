//! Deployments: what GitHub's own history shows of a deploy.
//!
//! Owns which entry is taken up, and what is still to be said of it. Refuses to make a second one
//! before it was read what is there. By REST: there an entry is made of a commit; GraphQL wants a
//! branch.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sluice::github::{Attempt, DeploymentId, DeploymentState, DeploymentWrite, GitHubError};

use super::HttpGitHub;
use super::budget::Priority;
use super::client::{Errand, encoded};
use super::limits::{Failure, succeed};
use super::patience::Tries;

/// GitHub's limit for a description, in characters.
const DESCRIPTION: usize = 140;

/// A deployment, as far as it is looked at.
#[derive(Deserialize)]
struct Entry {
    id: u64,
}

/// The newest of what was said of one. States are GitHub's words.
#[derive(Debug, Deserialize)]
struct Told {
    id: u64,
    state: String,
    #[serde(default)]
    description: Option<String>,
}

/// What is to be done about an entry that was found.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Tell,
    Nothing,
    /// It has ended: this is another deploy.
    Another,
}

impl HttpGitHub {
    pub(super) async fn write_deployment(
        &self,
        write: &DeploymentWrite,
    ) -> Result<Option<DeploymentId>, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        let mut attempt = write.attempt;
        loop {
            match self.try_deployment(write, attempt).await {
                Ok(id) => return Ok(id),
                Err(failure) => tries.after(failure).await?,
            }
            attempt = Attempt::Again;
        }
    }

    async fn try_deployment(
        &self,
        write: &DeploymentWrite,
        attempt: Attempt,
    ) -> Result<Option<DeploymentId>, Failure> {
        let found = match (write.known, attempt) {
            (Some(id), _) => Some(id),
            (None, Attempt::First) => None,
            (None, Attempt::Again) => self.newest(write).await?,
        };
        let next = match found {
            Some(_) if attempt == Attempt::First => Next::Tell,
            Some(id) => next(write, self.told(write, id).await?.as_ref()),
            None => Next::Another,
        };
        let id = match (found, next) {
            (Some(id), Next::Tell) => id,
            (Some(id), Next::Nothing) => return Ok(Some(id)),
            _ if write.state == DeploymentState::InProgress => self.create(write).await?,
            _ => return Ok(None),
        };
        self.tell(write, id).await?;
        Ok(Some(id))
    }

    /// The newest entry of that deploy.
    async fn newest(&self, write: &DeploymentWrite) -> Result<Option<DeploymentId>, Failure> {
        let (repository, head) = (&write.ask.repository, &write.head);
        let [environment, task] = [&write.environment, &write.task].map(|text| encoded(text));
        let query = format!("sha={head}&environment={environment}&task={task}");
        let path = format!("/repos/{repository}/deployments?{query}");
        let entries: Vec<Entry> = self.read_deployments(write, &path).await?;
        Ok(entries.iter().map(|entry| entry.id).max().map(DeploymentId))
    }

    /// What was said of it last; `None` when it was only made.
    async fn told(
        &self,
        write: &DeploymentWrite,
        id: DeploymentId,
    ) -> Result<Option<Told>, Failure> {
        let told: Vec<Told> = self.read_deployments(write, &statuses(write, id)).await?;
        Ok(told.into_iter().max_by_key(|told| told.id))
    }

    async fn create(&self, write: &DeploymentWrite) -> Result<DeploymentId, Failure> {
        let path = format!("/repos/{}/deployments", write.ask.repository);
        // Whether it may be deployed was decided: GitHub is neither to merge nor to judge.
        let body = json!({
            "ref": write.head.as_str(),
            "task": write.task,
            "auto_merge": false,
            "required_contexts": [],
            "environment": write.environment,
            "description": format!("Pull request #{}", write.ask.pr),
            "production_environment": true,
        });
        let answer = self.client.post_rest(&errand(write), &path, &body).await?;
        let answer = succeed(answer, "deployments", self.client.clock.now())?;
        parsed::<Entry>(&answer.body).map(|entry| DeploymentId(entry.id))
    }

    async fn tell(&self, write: &DeploymentWrite, id: DeploymentId) -> Result<(), Failure> {
        let mut body = json!({
            "state": word(write.state),
            "description": description(write),
        });
        if let Some(url) = &write.log_url {
            body["log_url"] = json!(url);
        }
        let answer = self.client.post_rest(&errand(write), &statuses(write, id), &body).await?;
        succeed(answer, "the deployment", self.client.clock.now()).map(drop)
    }

    async fn read_deployments<T: DeserializeOwned>(
        &self,
        write: &DeploymentWrite,
        path: &str,
    ) -> Result<T, Failure> {
        let answer = self.client.get(&errand(write), path).await?;
        parsed(&succeed(answer, "deployments", self.client.clock.now())?.body)
    }
}

/// That a deploy has begun is not waited for; how it ended is.
fn errand(write: &DeploymentWrite) -> Errand<'_> {
    let priority = match write.state {
        DeploymentState::InProgress => Priority::Comment,
        _ => Priority::Verdict,
    };
    Errand::of(&write.ask, "deployment", priority)
}

fn statuses(write: &DeploymentWrite, DeploymentId(id): DeploymentId) -> String {
    format!("/repos/{}/deployments/{id}/statuses", write.ask.repository)
}

fn word(state: DeploymentState) -> &'static str {
    match state {
        DeploymentState::InProgress => "in_progress",
        DeploymentState::Success => "success",
        DeploymentState::Failure => "failure",
        DeploymentState::Error => "error",
    }
}

fn description(write: &DeploymentWrite) -> String {
    write.description.chars().take(DESCRIPTION).collect()
}

fn next(write: &DeploymentWrite, told: Option<&Told>) -> Next {
    let has_begun = |told: &&Told| !matches!(told.state.as_str(), "pending" | "queued");
    match (write.state, told.filter(has_begun)) {
        (_, None) => Next::Tell,
        (DeploymentState::InProgress, Some(told)) if told.state == "in_progress" => Next::Nothing,
        (DeploymentState::InProgress, Some(_)) => Next::Another,
        (_, Some(told)) if told.state == "in_progress" => Next::Tell,
        // A later deploy has taken its place.
        (_, Some(told)) if told.state == "inactive" => Next::Nothing,
        (DeploymentState::Success, Some(told)) => {
            let known = told.description.as_deref().unwrap_or_default();
            match told.state == word(write.state) && known == description(write) {
                true => Next::Nothing,
                false => Next::Tell,
            }
        }
        (DeploymentState::Failure | DeploymentState::Error, Some(_)) => Next::Nothing,
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|source| Failure::Ambiguous {
        what: "a deployment of another shape than asked for".to_owned(),
        source: Some(Box::new(source)),
    })
}
