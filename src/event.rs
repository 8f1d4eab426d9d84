//! What GitHub tells → what is to be done. Pure: the event's name, its bytes, the projects.
//!
//! Owns which events matter. Refuses to believe more of a payload than names: whether somebody
//! may, and what is current, is read again by the worker. Models are narrow, so that a field that
//! GitHub adds, drops or leaves empty elsewhere changes nothing.

mod group;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::job::{Cleanup, Command, GateCheck, Job, Refresh, Scope};
use crate::names::{NodeId, PrNumber, ProjectName, Sha};
use crate::project::{Project, SharesRepository};

/// What the names of our check runs begin with.
const OUR_CHECKS: &str = "SQLMesh - ";

/// The longest comment, in characters, that may be a command.
const LONGEST_COMMAND: usize = 128;

/// The most pull requests that one event speaks for. GitHub lists a handful.
const MOST_PULL_REQUESTS: usize = 50;

/// What an event comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Translated {
    /// These jobs. Never empty.
    Jobs(Vec<Job>),
    /// These, each for every project of its repository that its pull request concerns: which those
    /// are is not in the payload. Never empty.
    Spread(Vec<Job>),
    /// Nothing, for this reason.
    Ignored(Ignored),
}

/// Why an event comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// An event, or an action of one, that changes nothing for us.
    Irrelevant,
    /// A repository that holds none of our projects.
    OtherRepository,
    /// A comment that is no command, or on an issue.
    NotACommand,
    /// A check that is not ours.
    OtherCheck,
    /// A check that GitHub lists no pull request for, as it does for forks.
    NoPullRequest,
    /// A push: previews are refreshed when they are needed next.
    Push,
    /// A merge group that asks for nothing, or that is of no pull request.
    MergeGroup,
}

impl Ignored {
    /// The label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Irrelevant => "ignored",
            Self::OtherRepository => "other_repository",
            Self::NotACommand => "not_a_command",
            Self::OtherCheck => "other_check",
            Self::NoPullRequest => "no_pull_request",
            Self::Push => "push",
            Self::MergeGroup => "merge_group",
        }
    }
}

/// The payload is not what GitHub sends for this event.
#[derive(Debug, thiserror::Error)]
#[error("not a payload of this event: {0}")]
pub struct BadPayload(#[from] serde_json::Error);

/// Every event's name for metrics.
pub const LABELS: [&str; 9] = [
    "check_run",
    "check_suite",
    "issue_comment",
    "merge_group",
    "ping",
    "pull_request",
    "pull_request_review",
    "push",
    "other",
];

/// Whether an event of this name may come to jobs.
pub fn leads_to_jobs(event: &str) -> bool {
    !matches!(label(event), "other" | "ping" | "push")
}

/// The event's name for metrics: those we know, else `other`.
pub fn label(event: &str) -> &'static str {
    LABELS.into_iter().find(|known| *known == event).unwrap_or("other")
}

/// What the event comes to: one job for each pull request, and for each project that is meant.
///
/// # Errors
/// The payload is not JSON, or lacks what this event always carries.
pub fn translate(
    event: &str,
    payload: &[u8],
    projects: &[Project],
) -> Result<Translated, BadPayload> {
    let Head { action, repository } = serde_json::from_slice(payload)?;
    let known = label(event);
    if matches!(known, "other" | "ping") {
        return Ok(Translated::Ignored(Ignored::Irrelevant));
    }
    let here = |project: &&Project| {
        let full_name = repository.as_ref().map(|repository| repository.full_name.as_str());
        full_name.is_some_and(|name| project.repository.as_str().eq_ignore_ascii_case(name))
    };
    let projects: Vec<&Project> = projects.iter().filter(here).collect();
    if projects.is_empty() {
        return Ok(Translated::Ignored(Ignored::OtherRepository));
    }
    let action = action.as_deref().unwrap_or_default();
    let wishes = match known {
        "pull_request" => pull_request(action, payload)?,
        "pull_request_review" => review(action, payload)?,
        "issue_comment" => comment(action, payload)?,
        "check_run" => check_run(action, payload)?,
        "check_suite" => check_suite(action, payload)?,
        "push" => Err(Ignored::Push),
        _ => group::wishes(action, payload)?,
    };
    Ok(match wishes.and_then(|wishes| jobs(&wishes, &projects)) {
        Ok(jobs) => jobs,
        Err(why) => Translated::Ignored(why),
    })
}

/// A job of any project that is concerned.
struct Wish {
    pr: PrNumber,
    what: What,
    /// The check run that was clicked, whose name may single out a project.
    check: Option<String>,
}

enum What {
    Gate { scope: Scope, head: Option<Sha>, refresh: Refresh },
    Command(NodeId),
    Cleanup,
}

type Wishes = Result<Vec<Wish>, Ignored>;

fn jobs(wishes: &[Wish], projects: &[&Project]) -> Result<Translated, Ignored> {
    let shares = |project: &Project| project.shares_repository == SharesRepository::Yes;
    if let ([first, ..], None) = (projects, wishes.iter().find(|wish| wish.check.is_some()))
        && shares(first)
    {
        let jobs = wishes.iter().map(|wish| job(wish, &first.name));
        return Ok(Translated::Spread(jobs.collect()));
    }
    let of = |wish: &Wish| {
        let meant = projects.iter().filter(|project| !shares(project) || is_of(wish, project));
        meant.map(|project| job(wish, &project.name)).collect::<Vec<_>>()
    };
    let jobs: Vec<Job> = wishes.iter().flat_map(of).collect();
    if jobs.is_empty() { Err(Ignored::OtherCheck) } else { Ok(Translated::Jobs(jobs)) }
}

/// Where projects share a repository, a check's name ends in ` (project)`.
fn is_of(wish: &Wish, project: &Project) -> bool {
    let end = format!(" ({})", project.name);
    wish.check.as_ref().is_some_and(|check| check.ends_with(&end))
}

fn job(wish: &Wish, project: &ProjectName) -> Job {
    let (project, pr) = (project.clone(), wish.pr);
    match &wish.what {
        What::Gate { scope, head, refresh } => Job::GateCheck(GateCheck {
            project,
            pr,
            scope: *scope,
            head: head.clone(),
            refresh: *refresh,
            command: None,
        }),
        What::Command(comment) => Job::Command(Command { project, pr, comment: comment.clone() }),
        What::Cleanup => Job::Cleanup(Cleanup { project, pr }),
    }
}

fn pull_request(action: &str, payload: &[u8]) -> Result<Wishes, BadPayload> {
    #[derive(Deserialize)]
    struct Payload {
        pull_request: PullRequest,
        changes: Option<Changes>,
    }
    #[derive(Deserialize)]
    struct Changes {
        base: Option<IgnoredAny>,
    }
    let cleanup = match action {
        "opened" | "synchronize" | "reopened" | "ready_for_review" | "edited" => false,
        "closed" => true,
        _ => return Ok(Err(Ignored::Irrelevant)),
    };
    let Payload { pull_request, changes } = serde_json::from_slice(payload)?;
    if action == "edited" && changes.is_none_or(|changes| changes.base.is_none()) {
        return Ok(Err(Ignored::Irrelevant));
    }
    if cleanup {
        let pr = pull_request.number;
        return Ok(Ok(vec![Wish { pr, what: What::Cleanup, check: None }]));
    }
    if action == "reopened" {
        // Its environment was removed when it was closed.
        let head = Some(pull_request.head.sha);
        let what = What::Gate { scope: Scope::Full, head, refresh: Refresh::Yes };
        return Ok(Ok(vec![Wish { pr: pull_request.number, what, check: None }]));
    }
    Ok(Ok(vec![pull_request.look()]))
}

fn review(action: &str, payload: &[u8]) -> Result<Wishes, BadPayload> {
    #[derive(Deserialize)]
    struct Payload {
        pull_request: PullRequest,
    }
    if !matches!(action, "submitted" | "edited" | "dismissed") {
        return Ok(Err(Ignored::Irrelevant));
    }
    let Payload { pull_request } = serde_json::from_slice(payload)?;
    Ok(Ok(vec![pull_request.look()]))
}

fn comment(action: &str, payload: &[u8]) -> Result<Wishes, BadPayload> {
    #[derive(Deserialize)]
    struct Payload {
        issue: Issue,
        comment: Comment,
    }
    #[derive(Deserialize)]
    struct Issue {
        number: PrNumber,
        pull_request: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Comment {
        node_id: NodeId,
        body: Option<String>,
    }
    if action != "created" {
        return Ok(Err(Ignored::Irrelevant));
    }
    let Payload { issue, comment } = serde_json::from_slice(payload)?;
    if issue.pull_request.is_none() || !may_be_command(comment.body.as_deref().unwrap_or("")) {
        return Ok(Err(Ignored::NotACommand));
    }
    let what = What::Command(comment.node_id);
    Ok(Ok(vec![Wish { pr: issue.number, what, check: None }]))
}

/// Whether a comment looks like a command under any namespace; which one counts is policy.
fn may_be_command(body: &str) -> bool {
    let text = body.trim();
    !text.contains(['\n', '\r'])
        && text.chars().nth(LONGEST_COMMAND).is_none()
        && (text.ends_with("/deploy") || text.ends_with("/gate") || text.contains("/gate "))
}

fn check_run(action: &str, payload: &[u8]) -> Result<Wishes, BadPayload> {
    #[derive(Deserialize)]
    struct Payload {
        check_run: CheckRun,
        repository: RepositoryField,
    }
    #[derive(Deserialize)]
    struct CheckRun {
        name: String,
        #[serde(default, deserialize_with = "or_empty")]
        pull_requests: Vec<Listed>,
    }
    if !matches!(action, "rerequested" | "requested_action") {
        return Ok(Err(Ignored::Irrelevant));
    }
    let Payload { check_run, repository } = serde_json::from_slice(payload)?;
    if !check_run.name.starts_with(OUR_CHECKS) {
        return Ok(Err(Ignored::OtherCheck));
    }
    Ok(again(check_run.pull_requests, &repository, Some(&check_run.name)))
}

fn check_suite(action: &str, payload: &[u8]) -> Result<Wishes, BadPayload> {
    #[derive(Deserialize)]
    struct Payload {
        check_suite: CheckSuite,
        repository: RepositoryField,
    }
    #[derive(Deserialize)]
    struct CheckSuite {
        #[serde(default, deserialize_with = "or_empty")]
        pull_requests: Vec<Listed>,
    }
    if action != "rerequested" {
        return Ok(Err(Ignored::Irrelevant));
    }
    let Payload { check_suite, repository } = serde_json::from_slice(payload)?;
    Ok(again(check_suite.pull_requests, &repository, None))
}

/// Everything anew for the pull requests that a check belongs to.
fn again(mut listed: Vec<Listed>, repository: &RepositoryField, check: Option<&str>) -> Wishes {
    // A commit may be the head of pull requests in other repositories too (forks of ours).
    listed.retain(|pr| pr.base.repo.id.is_none_or(|id| Some(id) == repository.id));
    listed.sort_by_key(|pr| pr.number);
    listed.dedup_by_key(|pr| pr.number);
    listed.truncate(MOST_PULL_REQUESTS);
    if listed.is_empty() {
        return Err(Ignored::NoPullRequest);
    }
    let wish = |Listed { number, head, .. }| {
        let what = What::Gate { scope: Scope::Full, head: head.sha, refresh: Refresh::Yes };
        Wish { pr: number, what, check: check.map(str::to_owned) }
    };
    Ok(listed.into_iter().map(wish).collect())
}

/// What every payload may have.
#[derive(Deserialize)]
struct Head {
    action: Option<String>,
    repository: Option<RepositoryField>,
}

#[derive(Deserialize)]
struct RepositoryField {
    id: Option<u64>,
    full_name: String,
}

#[derive(Deserialize)]
struct PullRequest {
    number: PrNumber,
    head: HeadCommit,
}

#[derive(Deserialize)]
struct HeadCommit {
    sha: Sha,
}

impl PullRequest {
    /// A look at GitHub's facts: it announces the checks, judges approval, and itself asks for a
    /// full gate check when the head has no result.
    fn look(self) -> Wish {
        let head = Some(self.head.sha);
        let what = What::Gate { scope: Scope::Approval, head, refresh: Refresh::No };
        Wish { pr: self.number, what, check: None }
    }
}

/// A pull request as a check lists it.
#[derive(Deserialize)]
struct Listed {
    number: PrNumber,
    #[serde(default)]
    head: ListedHead,
    #[serde(default)]
    base: ListedBase,
}

#[derive(Default, Deserialize)]
struct ListedHead {
    sha: Option<Sha>,
}

#[derive(Default, Deserialize)]
struct ListedBase {
    #[serde(default)]
    repo: ListedRepository,
}

#[derive(Default, Deserialize)]
struct ListedRepository {
    id: Option<u64>,
}

/// GitHub writes `null` where a list is empty, in places.
fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listed>, D::Error> {
    Option::<Vec<Listed>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
