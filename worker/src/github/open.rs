//! The pull requests of a repository, page by page, for a sweep.
//!
//! Owns the request and the narrow shapes of its answer. Refuses to decide who needs a look.

use serde::Deserialize;
use serde_json::json;
use sluice::clock::unix_ms;
use sluice::github::{GitHubError, MergedPull, OpenCheck, OpenPull, OpenPulls, Page};
use sluice::names::{Login, PrNumber, Repository, Sha};

use super::budget::Priority;
use super::checks::status;
use super::client::Errand;
use super::documents;
use super::graphql::Problem;
use super::limits::Failure;
use super::patience::Tries;
use super::shape::{App, Nodes, PageInfo, StatusOf, Viewed};
use super::{HttpGitHub, statuses};

impl HttpGitHub {
    /// One page, with retries.
    pub(super) async fn read_open_pulls(
        &self,
        repository: &Repository,
        after: Option<&Page>,
    ) -> Result<OpenPulls, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        loop {
            match self.try_open_pulls(repository, after).await {
                Ok(page) => return Ok(page),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    async fn try_open_pulls(
        &self,
        repository: &Repository,
        after: Option<&Page>,
    ) -> Result<OpenPulls, Failure> {
        let variables = json!({
            "owner": repository.owner(),
            "name": repository.name(),
            "after": after.map(|page| &page.0),
            "suites": self.app.suites(),
            "withMerged": after.is_none(),
            "withRuns": self.way.may_be_runs(),
            "withStatuses": self.way.may_be_statuses(),
        });
        let errand = Errand::about(repository, "open_pulls", Priority::Comment);
        let (viewed, problems) =
            self.read::<Viewed<Listed>>(&errand, documents::OPEN_PULLS, &variables).await?;
        let is_merged = |problem: &&Problem| problem.path().nth(1) == Some("merged");
        for problem in problems.iter().filter(is_merged) {
            tracing::warn!(%repository, why = problem.message, "merged ones were not listed");
        }
        let unknown = || Failure::Final(GitHubError::NotFound(repository.to_string()));
        let Listed { pull_requests, merged } = viewed.repository.ok_or_else(unknown)?;
        let Connection { page_info, pulls } = pull_requests;
        let end = page_info.end_cursor.filter(|_| page_info.has_next_page);
        let viewer = &viewed.viewer.login;
        let merged = merged.unwrap_or_default().into_vec().into_iter();
        Ok(OpenPulls {
            pulls: pulls.into_vec().into_iter().map(|pull| self.open_pull(pull, viewer)).collect(),
            merged: merged.map(|pull| self.merged_pull(pull, viewer)).collect(),
            next: end.map(Page),
        })
    }

    fn open_pull(&self, pull: Pull, viewer: &Login) -> OpenPull {
        let reviews = pull.reviews.unwrap_or_default().into_vec();
        OpenPull {
            number: PrNumber(pull.head.number),
            head: pull.head.head_ref_oid.clone(),
            base_branch: pull.base_ref_name,
            draft: pull.is_draft,
            fork: pull.is_cross_repository,
            reviewed_ms: reviews.iter().filter_map(|review| moment(&review.submitted_at)).max(),
            checks: self.own_checks(pull.head, viewer),
        }
    }

    fn merged_pull(&self, pull: MergedOne, viewer: &Login) -> MergedPull {
        MergedPull {
            number: PrNumber(pull.head.number),
            head: pull.head.head_ref_oid.clone(),
            merged_ms: moment(&pull.merged_at),
            checks: self.own_checks(pull.head, viewer),
        }
    }

    fn own_checks(&self, head: Head, viewer: &Login) -> Vec<OpenCheck> {
        // The list of commits lags behind a push: nothing is known of that head then.
        let commits = head.commits.into_vec().into_iter().map(|listed| listed.commit);
        let Some(commit) = commits.into_iter().find(|commit| commit.oid == head.head_ref_oid)
        else {
            return Vec::new();
        };
        let suites = commit.check_suites.unwrap_or_default().into_vec();
        let ours = suites
            .into_iter()
            .filter(|suite| suite.app.as_ref().is_some_and(|app| self.app.owns(app, viewer)));
        let runs = ours.flat_map(|suite| suite.check_runs.unwrap_or_default().into_vec());
        let mut own: Vec<OpenCheck> = runs.map(open_check).collect();
        for status in statuses::open_checks(commit.status.as_ref(), viewer, &commit.oid) {
            if own.iter().all(|run| run.name != status.name) {
                own.push(status);
            }
        }
        own
    }
}

fn open_check(run: Run) -> OpenCheck {
    OpenCheck {
        status: status(&run.status, run.conclusion.as_deref()),
        started_ms: moment(&run.started_at),
        completed_ms: moment(&run.completed_at),
        name: run.name,
        external_id: run.external_id.unwrap_or_default(),
        title: run.title.unwrap_or_default(),
    }
}

/// A time of GitHub's, in milliseconds since 1970; `None` when it is none.
pub(super) fn moment(time: &Option<String>) -> Option<u64> {
    humantime::parse_rfc3339(time.as_deref()?).ok().map(unix_ms)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    pull_requests: Connection,
    merged: Option<Nodes<MergedOne>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    page_info: PageInfo,
    #[serde(flatten)]
    pulls: Nodes<Pull>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    base_ref_name: String,
    is_draft: bool,
    is_cross_repository: bool,
    reviews: Option<Nodes<Review>>,
    #[serde(flatten)]
    head: Head,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MergedOne {
    merged_at: Option<String>,
    #[serde(flatten)]
    head: Head,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    number: u64,
    head_ref_oid: Sha,
    commits: Nodes<ListedCommit>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    submitted_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ListedCommit {
    commit: Commit,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    oid: Sha,
    #[serde(default)]
    check_suites: Option<Nodes<Suite>>,
    #[serde(default)]
    status: Option<StatusOf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    app: Option<App>,
    check_runs: Option<Nodes<Run>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    name: String,
    external_id: Option<String>,
    status: String,
    conclusion: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    title: Option<String>,
}
