//! Merging through GitHub's merge queue, pinned to the planned head.
//!
//! Owns what the queue says. Refuses to put a pull request there twice, and to wait for it.

use serde_json::{Value, json};
use sluice::github::{GitHubError, Merge, MergeOutcome, Via};

use super::HttpGitHub;
use super::documents;
use super::limits::{Failure, words};
use super::merge::{errand, outcome, read_standing, said, standing_of};
use super::patience::Tries;

/// What is said of one that is in the queue no more, and not merged.
const PUT_OUT: &str = "GitHub's merge queue has put it out: see the pull request for why.";

/// Who may not go to the front stands in line.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Front,
    Back,
}

impl HttpGitHub {
    /// Puts it into the queue unless it is there, and says where it stands.
    pub(super) async fn merge_by_queue(&self, merge: &Merge) -> Result<MergeOutcome, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        let mut place = Place::Front;
        loop {
            if let Some(outcome) = self.in_queue(merge, &mut tries).await? {
                return Ok(outcome);
            }
            if merge.via == Via::InQueue {
                return Ok(MergeOutcome::Refused(PUT_OUT.to_owned()));
            }
            match self.try_enqueue(merge, place).await {
                Ok(None) => return Ok(MergeOutcome::Waits),
                Ok(Some(_)) if place == Place::Front => place = Place::Back,
                Ok(Some(why)) => {
                    let now = self.in_queue(merge, &mut tries).await?;
                    return Ok(now.unwrap_or_else(|| said(why)));
                }
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    /// What the pull request itself says; `None` while it is open at our head, and not queued.
    async fn in_queue(
        &self,
        merge: &Merge,
        tries: &mut Tries<'_>,
    ) -> Result<Option<MergeOutcome>, GitHubError> {
        loop {
            match self.try_in_queue(merge).await {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    async fn try_in_queue(&self, merge: &Merge) -> Result<Option<MergeOutcome>, Failure> {
        let document = documents::STANDING_IN_QUEUE;
        let (data, _) = self.read::<Value>(&errand(merge), document, &standing_of(merge)).await?;
        let pr = data.pointer("/repository/pullRequest");
        let waits = pr.and_then(|pr| pr.get("mergeQueueEntry")).is_some_and(|it| !it.is_null());
        let outcome = outcome(merge, &read_standing(pr)?)?;
        Ok(outcome.or(waits.then_some(MergeOutcome::Waits)))
    }

    /// Why GitHub does not take it, if it says so.
    async fn try_enqueue(&self, merge: &Merge, place: Place) -> Result<Option<String>, Failure> {
        let variables = json!({
            "enqueue": {
                "pullRequestId": merge.pr_id.as_str(),
                "expectedHeadOid": merge.head.as_str(),
                "jump": place == Place::Front,
            },
        });
        let reply = self.client.graphql(&errand(merge), documents::ENQUEUE, &variables).await?;
        let Some(problem) = reply.problems.first() else { return Ok(None) };
        match problem.failure() {
            Failure::Final(GitHubError::Invalid(_) | GitHubError::Forbidden(_)) => {
                Ok(Some(words(&problem.message)))
            }
            failure => Err(failure),
        }
    }
}
