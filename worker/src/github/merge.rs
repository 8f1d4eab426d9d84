//! Merging, pinned to the planned head, and never twice.
//!
//! Owns what GitHub's refusals mean. Refuses to repeat a merge before the pull request was read
//! again: a merge is done or not, and only GitHub knows.

use serde_json::{Value, json};
use sluice::github::{GitHubError, Merge, MergeMethod, MergeOutcome, PrState};

use super::HttpGitHub;
use super::budget::Priority;
use super::client::Errand;
use super::documents;
use super::graphql::{Problem, Reply};
use super::limits::{Failure, words};
use super::meaning::{folder, state};
use super::patience::Tries;
use super::shape::Standing;

/// How GitHub begins a refusal that is over in a moment: it is still busy with another merge.
const BASE_MOVED: &str = "Base branch was modified";
/// How GitHub begins a refusal because of `expectedHeadOid`.
const HEAD_MOVED: &str = "Head branch was modified";

/// What one try came to.
enum Try {
    /// It is over.
    Over(MergeOutcome),
    /// GitHub says no; whether for long, only the pull request tells.
    Refused(String),
    /// The base branch moved meanwhile, or GitHub is still busy with it: it may work at once.
    BaseMoved(String),
}

impl HttpGitHub {
    pub(super) async fn merge_pinned(&self, merge: &Merge) -> Result<MergeOutcome, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        loop {
            let (failure, last_word) = match self.try_merge(merge).await {
                Ok(Try::Over(outcome)) => return Ok(outcome),
                Ok(Try::Refused(why)) => {
                    let outcome = self.read_back(merge, &mut tries).await?;
                    return Ok(outcome.unwrap_or_else(|| said(why)));
                }
                Ok(Try::BaseMoved(why)) => (Failure::ambiguous(why.clone()), Some(said(why))),
                Err(failure) => (failure, None),
            };
            let given_up = match tries.after(failure).await {
                Ok(()) => None,
                Err(unclear @ GitHubError::Unavailable { .. }) => Some(unclear),
                Err(error) => return Err(error),
            };
            // Nothing else is done before it was read what is there; not even giving up.
            if let Some(outcome) = self.read_back(merge, &mut tries).await? {
                return Ok(outcome);
            }
            match (given_up, last_word) {
                (None, _) => {}
                (Some(_), Some(refusal)) => return Ok(refusal),
                (Some(unclear), None) => return Err(unclear),
            }
        }
    }

    /// What the pull request itself says; `None` while it is open at our head.
    async fn read_back(
        &self,
        merge: &Merge,
        tries: &mut Tries<'_>,
    ) -> Result<Option<MergeOutcome>, GitHubError> {
        loop {
            let read = self.standing(merge).await;
            match read.and_then(|standing| outcome(merge, &standing)) {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    async fn try_merge(&self, merge: &Merge) -> Result<Try, Failure> {
        let method = match merge.method {
            MergeMethod::Merge => "MERGE",
            MergeMethod::Squash => "SQUASH",
            MergeMethod::Rebase => "REBASE",
        };
        let variables = json!({
            "merge": {
                "pullRequestId": merge.pr_id.as_str(),
                "expectedHeadOid": merge.head.as_str(),
                "mergeMethod": method,
            },
            "folder": folder(&merge.ask.path),
            "inFolder": !folder(&merge.ask.path).is_empty(),
        });
        let reply = self.client.graphql(&errand(merge), documents::MERGE, &variables).await?;
        let written = reply.data.get("merge").is_some_and(|answer| !answer.is_null());
        match reply.problems.first() {
            Some(problem) if !written => refused(problem),
            _ => merged(merge, &reply),
        }
    }

    async fn standing(&self, merge: &Merge) -> Result<Standing, Failure> {
        let (data, _) =
            self.read::<Value>(&errand(merge), documents::STANDING, &standing_of(merge)).await?;
        read_standing(data.pointer("/repository/pullRequest"))
    }
}

/// What a document about the pull request as it stands asks for.
pub(super) fn standing_of(merge: &Merge) -> Value {
    json!({
        "owner": merge.ask.repository.owner(),
        "name": merge.ask.repository.name(),
        "number": merge.ask.pr.0,
        "folder": folder(&merge.ask.path),
        "inFolder": !folder(&merge.ask.path).is_empty(),
    })
}

pub(super) fn errand(merge: &Merge) -> Errand<'_> {
    Errand::of(&merge.ask, "merge", Priority::Merge)
}

/// A refusal is told from a fault by its type, and refusals from each other by GitHub's words:
/// all are `UNPROCESSABLE`.
fn refused(problem: &Problem) -> Result<Try, Failure> {
    let why = words(&problem.message);
    match problem.failure() {
        Failure::Final(GitHubError::Invalid(_)) if why.starts_with(BASE_MOVED) => {
            Ok(Try::BaseMoved(why))
        }
        Failure::Final(GitHubError::Invalid(_)) => Ok(Try::Refused(why)),
        failure => Err(failure),
    }
}

/// A refusal that the pull request itself does not explain.
pub(super) fn said(why: String) -> MergeOutcome {
    if why.starts_with(HEAD_MOVED) { MergeOutcome::HeadMoved } else { MergeOutcome::Refused(why) }
}

fn merged(merge: &Merge, reply: &Reply) -> Result<Try, Failure> {
    let standing = read_standing(reply.data.pointer("/merge/pullRequest"))?;
    match outcome(merge, &standing)? {
        Some(outcome) => Ok(Try::Over(outcome)),
        None => Err(Failure::ambiguous("merged, and still open")),
    }
}

pub(super) fn read_standing(pr: Option<&Value>) -> Result<Standing, Failure> {
    let pr = pr.cloned().unwrap_or_default();
    serde_json::from_value(pr).map_err(|source| Failure::Ambiguous {
        what: "a pull request of another shape than asked for".to_owned(),
        source: Some(Box::new(source)),
    })
}

/// What a pull request as it stands says about the merge; `None` while it is open at our head.
pub(super) fn outcome(merge: &Merge, standing: &Standing) -> Result<Option<MergeOutcome>, Failure> {
    if standing.head_ref_oid != merge.head {
        return Ok(Some(MergeOutcome::HeadMoved));
    }
    Ok(match state(standing, &merge.ask.path)? {
        PrState::Merged(commit) => Some(MergeOutcome::Merged(commit)),
        PrState::Closed => Some(MergeOutcome::Refused("The pull request is closed.".to_owned())),
        PrState::Open => None,
    })
}
