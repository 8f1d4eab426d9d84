//! GitHub's merge queue, as far as an application sees it: a group is made and checks are asked
//! for. Whether it then merges is not played here.

use super::push::{ActivityType, Movement};
use super::{Identity, Pr, PullState, Role, World, WorldError};
use crate::git::{MergeTree, Oid};
use crate::shape;

impl World {
    /// Puts a pull request in the queue: makes the group's commit on a branch of its own and asks
    /// for its checks. Returns the commit.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when it is not open or conflicts,
    /// [`WorldError::Forbidden`] without write access.
    pub fn enqueue(&mut self, by: &Identity, pr: &Pr) -> Result<Oid, WorldError> {
        let refused = |why: &str| WorldError::Unprocessable(format!("Pull request {why}"));
        let (home, pull) = self.pull(pr)?;
        self.require(home, by, Role::Write)?;
        if pull.state != PullState::Open {
            return Err(refused("is not open"));
        }
        let base = home.tip(&pull.base)?.clone();
        let MergeTree::Clean(tree) = home.git.merge_tree(&base, &pull.head_oid)? else {
            return Err(refused("is not mergeable"));
        };
        let message = format!("{} (#{})", pull.title, pull.number);
        let commit = home.git.commit_tree(&tree, &[&base], &self.signature(by), &message)?;
        let branch = format!("gh-readonly-queue/{}/pr-{}-{base}", pull.base, pull.number);
        let base_ref = format!("refs/heads/{}", pull.base);
        home.git.update_ref(&format!("refs/heads/{branch}"), &commit)?;
        let payload = serde_json::json!({"merge_group": {
            "head_sha": commit.as_str(),
            "head_ref": format!("refs/heads/{branch}"),
            "base_sha": base.as_str(),
            "base_ref": base_ref,
            "head_commit": shape::commit_summary(home, &commit)?,
        }});
        let kind = ActivityType::BranchCreation;
        let movement = Movement { branch: &branch, to: commit.clone(), kind };
        self.branch_moved(by, &pr.repository, &movement)?;
        self.pull_mut(pr)?.queued = true;
        self.emit(by, &pr.repository, ("merge_group", Some("checks_requested")), payload)?;
        Ok(commit)
    }
}
