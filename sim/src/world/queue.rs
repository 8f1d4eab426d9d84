//! GitHub's merge queue, one for each branch that requires it: whoever waits in it has a group, a
//! commit of its own on top of the group before, whose checks are asked for. The first whose
//! required checks pass is what the branch becomes; one whose checks fail is put out. Played
//! without batches, time-outs, or webhooks of what becomes of a group.

use std::time::SystemTime;

use super::check::CheckConclusion;
use super::push::{ActivityType, Movement};
use super::{Identity, Merged, Pr, PullState, RepositoryName, Role, World, WorldError};
use crate::git::{MergeTree, Oid};
use crate::shape;

/// A pull request in the queue.
#[derive(Clone, Debug)]
pub struct QueueEntry {
    /// Who put it there.
    pub by: Identity,
    /// When.
    pub at: SystemTime,
    /// Its group's commit.
    pub group: Oid,
    /// What that is on top of: the group before, or the branch.
    pub onto: Oid,
    /// The head that the group was made of.
    pub head: Oid,
}

/// What putting a pull request into the queue asks for.
#[derive(Clone, Debug, Default)]
pub struct EnqueueRequest {
    /// The head that the caller means; any other is refused.
    pub expected_head: Option<String>,
    /// To the front.
    pub jump: bool,
}

impl World {
    /// From now on a branch takes pull requests through a queue only.
    ///
    /// # Errors
    /// [`WorldError::NotFound`] when there is no such repository.
    pub fn require_queue(&mut self, name: &RepositoryName, branch: &str) -> Result<(), WorldError> {
        let home = self.repository_mut(name)?;
        home.merge_queues.entry(branch.to_owned()).or_default();
        Ok(())
    }

    /// Puts a pull request in the queue: makes its group and asks for the group's checks. Returns
    /// the group's commit.
    ///
    /// # Errors
    /// [`WorldError::Unprocessable`] when there is no queue, or the pull request is not what may be
    /// in it; [`WorldError::Forbidden`] without write access.
    pub fn enqueue(
        &mut self,
        by: &Identity,
        pr: &Pr,
        request: &EnqueueRequest,
    ) -> Result<Oid, WorldError> {
        if let Some(hook) = self.faults.before_merge.take() {
            hook(self);
        }
        let refused = |why: &str| WorldError::Unprocessable(why.to_owned());
        let (home, pull) = self.pull(pr)?;
        self.require(home, by, Role::Write)?;
        if pull.state != PullState::Open || pull.draft {
            return Err(refused("Pull request is not open, or a draft"));
        }
        if request.expected_head.as_deref().is_some_and(|head| head != pull.head_oid.as_str()) {
            return Err(refused("Head branch was modified. Review and try the merge again."));
        }
        if pull.queued.is_some() {
            return Err(refused("Pull request is already in the queue"));
        }
        if let Some(why) = self.protection_refusal(home, pull) {
            return Err(WorldError::Unprocessable(why));
        }
        let (base, number, head) = (pull.base.clone(), pull.number, pull.head_oid.clone());
        let at = self.now();
        let queue = self.queue_mut(&pr.repository, &base)?;
        let place = if request.jump { 0 } else { queue.len() };
        queue.insert(place, number);
        let none = Oid::zero();
        let entry = QueueEntry { by: by.clone(), at, group: none.clone(), onto: none, head };
        self.pull_mut(pr)?.queued = Some(entry);
        self.build_groups(&pr.repository, &base)?;
        let group = self.pull(pr)?.1.queued.as_ref().map(|entry| entry.group.clone());
        let group = group.ok_or_else(|| refused("Pull request is not mergeable"))?;
        self.queues_move(&pr.repository)?;
        Ok(group)
    }

    /// Takes a pull request out of the queue, if it is in one.
    ///
    /// # Errors
    /// [`WorldError::NotFound`].
    pub fn dequeue(&mut self, pr: &Pr) -> Result<(), WorldError> {
        let base = self.pull(pr)?.1.base.clone();
        if self.pull_mut(pr)?.queued.take().is_none() {
            return Ok(());
        }
        self.queue_mut(&pr.repository, &base)?.retain(|number| *number != pr.number);
        self.build_groups(&pr.repository, &base)
    }

    fn queue_mut(
        &mut self,
        name: &RepositoryName,
        branch: &str,
    ) -> Result<&mut Vec<u64>, WorldError> {
        let queue = self.repository_mut(name)?.merge_queues.get_mut(branch);
        let none = || WorldError::Unprocessable("No merge queue found for branch".to_owned());
        queue.ok_or_else(none)
    }

    /// Makes a group for each that lacks one on top of what is before it now.
    pub(super) fn build_groups(
        &mut self,
        name: &RepositoryName,
        branch: &str,
    ) -> Result<(), WorldError> {
        let home = self.repository(name)?;
        let Some(queue) = home.merge_queues.get(branch).cloned() else { return Ok(()) };
        let mut onto = home.tip(branch)?.clone();
        for number in queue {
            let pr = Pr::new(name.clone(), number);
            let (_, pull) = self.pull(&pr)?;
            let Some(entry) = pull.queued.clone() else { continue };
            if entry.onto == onto {
                onto = entry.group;
                continue;
            }
            match self.group(&pr, &entry, &onto)? {
                Some(group) => {
                    let entry = QueueEntry { group: group.clone(), onto: onto.clone(), ..entry };
                    self.pull_mut(&pr)?.queued = Some(entry.clone());
                    self.ask_for_checks(&pr, &entry)?;
                    onto = group;
                }
                None => {
                    self.pull_mut(&pr)?.queued = None;
                    self.queue_mut(name, branch)?.retain(|other| *other != number);
                }
            }
        }
        Ok(())
    }

    /// The commit of a group; `None` when it conflicts.
    fn group(&self, pr: &Pr, entry: &QueueEntry, onto: &Oid) -> Result<Option<Oid>, WorldError> {
        let (home, pull) = self.pull(pr)?;
        let MergeTree::Clean(tree) = home.git.merge_tree(onto, &entry.head)? else {
            return Ok(None);
        };
        let message = format!("{} (#{})", pull.title, pull.number);
        let by = self.signature(&entry.by);
        Ok(Some(home.git.commit_tree(&tree, &[onto], &by, &message)?))
    }

    fn ask_for_checks(&mut self, pr: &Pr, entry: &QueueEntry) -> Result<(), WorldError> {
        let (home, pull) = self.pull(pr)?;
        let QueueEntry { by, group, onto, .. } = entry;
        let branch = format!("gh-readonly-queue/{}/pr-{}-{onto}", pull.base, pull.number);
        let base_ref = format!("refs/heads/{}", pull.base);
        home.git.update_ref(&format!("refs/heads/{branch}"), group)?;
        let payload = serde_json::json!({"merge_group": {
            "head_sha": group.as_str(),
            "head_ref": format!("refs/heads/{branch}"),
            "base_sha": onto.as_str(),
            "base_ref": base_ref,
            "head_commit": shape::commit_summary(home, group)?,
        }});
        let kind = ActivityType::BranchCreation;
        let movement = Movement { branch: &branch, to: group.clone(), kind };
        self.branch_moved(by, &pr.repository, &movement)?;
        self.emit(by, &pr.repository, ("merge_group", Some("checks_requested")), payload)
    }

    /// Something was said of a commit: whoever is first in a queue may be merged now, or put out.
    pub(super) fn queues_move(&mut self, name: &RepositoryName) -> Result<(), WorldError> {
        let branches: Vec<String> = self.repository(name)?.merge_queues.keys().cloned().collect();
        for branch in branches {
            while let Some(pr) = self.first(name, &branch)? {
                match self.standing_of_group(&pr)? {
                    Some(true) => self.merge_first(&pr)?,
                    Some(false) => self.dequeue(&pr)?,
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn first(&self, name: &RepositoryName, branch: &str) -> Result<Option<Pr>, WorldError> {
        let queue = self.repository(name)?.merge_queues.get(branch);
        Ok(queue.and_then(|queue| queue.first()).map(|number| Pr::new(name.clone(), *number)))
    }

    /// Whether the required checks of a group pass; `None` while nobody knows.
    fn standing_of_group(&self, pr: &Pr) -> Result<Option<bool>, WorldError> {
        let (home, pull) = self.pull(pr)?;
        let Some(entry) = &pull.queued else { return Ok(Some(false)) };
        let rule = home.protection.get(&pull.base);
        let required = rule.map(|rule| rule.required_checks.as_slice()).unwrap_or_default();
        let runs = home.latest_runs(&entry.group);
        let has_failed = |name: &String| {
            let mut runs = runs.iter().filter(|run| run.name == *name);
            runs.any(|run| run.conclusion.is_some_and(|it: CheckConclusion| !it.passes()))
        };
        if required.iter().any(has_failed) {
            return Ok(Some(false));
        }
        Ok(required.iter().all(|name| home.check_passed(&entry.group, name)).then_some(true))
    }

    fn merge_first(&mut self, pr: &Pr) -> Result<(), WorldError> {
        let at = self.now();
        let (home, pull) = self.pull(pr)?;
        let Some(QueueEntry { by, group: commit, .. }) = pull.queued.clone() else {
            return Ok(());
        };
        let base = pull.base.clone();
        home.git.update_ref(&format!("refs/heads/{base}"), &commit)?;
        let pull = self.pull_mut(pr)?;
        pull.state = PullState::Merged;
        pull.queued = None;
        pull.merged = Some(Merged { commit: commit.clone(), at, by: by.clone() });
        pull.closed_at = Some(at);
        pull.updated_at = at;
        self.queue_mut(&pr.repository, &base)?.retain(|number| *number != pr.number);
        let movement = Movement { branch: &base, to: commit, kind: ActivityType::PrMerge };
        self.branch_moved(&by, &pr.repository, &movement)?;
        self.emit_pull(&by, pr, "closed")
    }
}
