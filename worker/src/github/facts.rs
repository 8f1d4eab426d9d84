//! Reading all facts about a pull request.
//!
//! Owns the request and how an answer becomes facts. Refuses to decide, and to make facts out of
//! half an answer: only what GitHub plainly says is not there may be missing.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice::clock::unix_ms;
use sluice::github::{Ask, Changed, Check, CommandFacts, Comment, Facts, GitHubError};
use sluice::names::{Login, NodeId, PrNumber, Sha};

use super::budget::Priority;
use super::checks::Required;
use super::client::Errand;
use super::comments::Ours;
use super::documents;
use super::graphql::Problem;
use super::limits::Failure;
use super::meaning::{alias, folder, policy, project_tree, queue, reviews, state};
use super::owners::{ALIASES, Said};
use super::patience::Tries;
use super::shape::{self, Contexts, HeadCommit, Viewed, Written};
use super::{HttpGitHub, rest, statuses};
use sluice::policy::files as configuration;

/// Pages of a hundred checks and statuses that are read after the first.
const MORE_PAGES: usize = 9;

impl HttpGitHub {
    /// All facts, with retries.
    pub(super) async fn read_facts(&self, ask: &Ask) -> Result<Facts, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        loop {
            match self.try_facts(ask).await {
                Ok(facts) => return Ok(facts),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    /// Our own check runs on a commit, with retries.
    pub(super) async fn read_checks(
        &self,
        ask: &Ask,
        commit: &Sha,
    ) -> Result<Vec<Check>, GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        loop {
            match self.written(ask, commit).await {
                Ok(found) => return Ok(self.found_checks(found)),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    /// What GitHub says to the one document, and what it may lack.
    async fn viewed(
        &self,
        ask: &Ask,
    ) -> Result<(Viewed<shape::Repository>, Vec<Problem>), Failure> {
        let errand = Errand::of(ask, "facts", Priority::Verdict);
        self.read(&errand, documents::FACTS, &variables(self, ask)).await
    }

    async fn try_facts(&self, ask: &Ask) -> Result<Facts, Failure> {
        let (viewed, missing) = self.viewed(ask).await?;
        let viewer = viewed.viewer.login;
        let repository = viewed.repository.ok_or_else(|| unknown(ask))?;
        let mut pr = repository.pull_request.ok_or_else(|| unknown(ask))?;
        let head = pr.standing.head_ref_oid.clone();
        let (commit, mut required) =
            self.of_head(ask, std::mem::take(&mut pr.commits), &head).await?;
        let command = self.command(ask, &pr, viewed.command).await?;
        let queue = queue(&pr);
        let wants_pages = commit.as_ref().is_some_and(|it| statuses::name_pages(it, &viewer));
        let Ours { sticky, pages } = self.ours(ask, pr.comments, wants_pages).await?;
        note_unread(&missing, &mut required);
        let changed = match pr.files.take() {
            Some(listed) => self.changed(ask, listed).await?,
            None => Changed::Unknown,
        };
        let checks = commit.map(|commit| self.checks_of(commit, &viewer, pages.as_ref()));
        let target = pr.base_ref.as_ref().and_then(|base| base.target.as_ref());
        let base_project_tree = target
            .and_then(|base| project_tree(&ask.path, base.tree.as_ref()?, base.folder.as_ref()));
        let author = pr.author.map(|author| author.login);
        let reviews = pr.reviews.map(reviews).unwrap_or_default();
        let said = Said {
            base: target,
            changed: &changed,
            reviews: &reviews,
            author: author.as_ref(),
            is_commanded: command.is_some(),
        };
        let ownership = self.ownership(ask, &said).await?;
        Ok(Facts {
            policy: policy(target, &pr.base_ref_oid)?,
            base_project_tree,
            changed,
            ownership,
            base: target.map_or_else(|| pr.base_ref_oid.clone(), |target| target.oid.clone()),
            required_pending: required.pending(pr.base_ref.as_ref()),
            state: state(&pr.standing, &ask.path)?,
            comment: sticky,
            reviews,
            id: pr.id,
            repository_id: repository.id,
            number: PrNumber(pr.number),
            title: pr.title,
            draft: pr.is_draft,
            fork: pr.is_cross_repository,
            author,
            head,
            head_branch: pr.head_ref_name,
            base_branch: pr.base_ref_name,
            queue,
            merge_state: pr.merge_state_status,
            review_decision: pr.review_decision,
            checks: checks.unwrap_or_default(),
            command,
        })
    }

    /// The newest commit, and what is known of its checks.
    async fn of_head(
        &self,
        ask: &Ask,
        listed: shape::Nodes<shape::PullRequestCommit>,
        head: &Sha,
    ) -> Result<(Option<HeadCommit>, Required), Failure> {
        let listed = listed.into_vec().into_iter();
        // The list of commits lags behind a push, and is cut for very long pull requests.
        let listed = listed.map(|c| c.commit).find(|commit| commit.oid == *head);
        let mut commit = match listed {
            Some(commit) => Some(commit),
            None => self.written(ask, head).await?.checks,
        };
        let mut required = Required::default();
        if let Some(commit) = &mut commit {
            self.required(ask, commit, &mut required).await?;
        }
        Ok((commit, required))
    }

    /// Posts a query once and takes its data only whole, save for what may be missing; that is
    /// returned beside it.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        errand: &Errand<'_>,
        document: &str,
        variables: &Value,
    ) -> Result<(T, Vec<Problem>), Failure> {
        let reply = self.client.graphql(errand, document, variables).await?;
        let may_lack = |problem: &&Problem| may_be_missing(problem) || self.way.may_lack(problem);
        if let Some(problem) = reply.problems.iter().find(|problem| !may_lack(problem)) {
            return Err(problem.failure());
        }
        reply.problems.iter().filter(|it| self.way.may_lack(it)).for_each(|it| self.way.hears(it));
        let data = serde_json::from_value(reply.data).map_err(|source| Failure::Ambiguous {
            what: "an answer of another shape than asked for".to_owned(),
            source: Some(Box::new(source)),
        })?;
        Ok((data, reply.problems))
    }

    /// What we wrote to a commit and its pull request, by the commit's id.
    pub(super) async fn written(&self, ask: &Ask, head: &Sha) -> Result<Found, Failure> {
        let variables = json!({
            "owner": ask.repository.owner(),
            "name": ask.repository.name(),
            "number": ask.pr.0,
            "head": head.as_str(),
            "suites": self.app.suites(),
            "withRuns": self.way.may_be_runs(),
            "withStatuses": self.way.may_be_statuses(),
        });
        let errand = Errand::of(ask, "facts", Priority::Verdict);
        let (viewed, _) =
            self.read::<Viewed<Written>>(&errand, documents::WRITTEN, &variables).await?;
        let repository = viewed.repository.ok_or_else(|| unknown(ask))?;
        let (viewer, checks) = (viewed.viewer.login, repository.object);
        let mut found = Found { viewer, checks, comment: None, pages: None, head: None, url: None };
        if let Some(conversation) = repository.pull_request {
            let wants_pages = self.way.is_statuses();
            let Ours { sticky, pages } = self.ours(ask, conversation.comments, wants_pages).await?;
            (found.comment, found.pages) = (sticky, pages);
            (found.head, found.url) = (conversation.head_ref_oid, conversation.url);
        }
        Ok(found)
    }

    /// Our own checks among what was found.
    pub(super) fn found_checks(&self, found: Found) -> Vec<Check> {
        let Found { viewer, checks, pages, .. } = found;
        let own = checks.map(|commit| self.checks_of(commit, &viewer, pages.as_ref()));
        own.unwrap_or_default()
    }

    /// Our own checks on a commit. Until it is known which way they go, a check run counts before a
    /// status of its name.
    fn checks_of(
        &self,
        commit: HeadCommit,
        viewer: &Login,
        pages: Option<&shape::Comment>,
    ) -> Vec<Check> {
        let statuses = match self.way.may_be_statuses() {
            true => statuses::checks(&commit, viewer, pages),
            false => Vec::new(),
        };
        let mut own = match self.way.may_be_runs() {
            true => self.app.runs(commit, viewer),
            false => Vec::new(),
        };
        for status in statuses {
            if own.iter().all(|run| run.name != status.name) {
                own.push(status);
            }
        }
        own
    }

    async fn required(
        &self,
        ask: &Ask,
        commit: &mut HeadCommit,
        required: &mut Required,
    ) -> Result<(), Failure> {
        let mut page = commit.status_check_rollup.take().map(|rollup| rollup.contexts);
        for _ in 0..=MORE_PAGES {
            let Some(contexts) = page else { return Ok(()) };
            contexts.list.iter().for_each(|context| required.saw(context));
            if !contexts.page_info.has_next_page {
                return Ok(());
            }
            page = self.next_page((ask, &commit.oid), contexts, required).await?;
        }
        required.unread("more checks than sluice reads");
        Ok(())
    }

    async fn next_page(
        &self,
        (ask, head): (&Ask, &Sha),
        read: Contexts,
        required: &mut Required,
    ) -> Result<Option<Contexts>, Failure> {
        let variables = json!({
            "owner": ask.repository.owner(),
            "name": ask.repository.name(),
            "number": ask.pr.0,
            "head": head.as_str(),
            "after": read.page_info.end_cursor.unwrap_or_default(),
        });
        let errand = Errand::of(ask, "facts", Priority::Verdict);
        let document = documents::MORE_CONTEXTS;
        let (data, missing) = self.read::<Value>(&errand, document, &variables).await?;
        note_unread(&missing, required);
        let contexts = data.pointer("/repository/object/statusCheckRollup/contexts");
        Contexts::deserialize(contexts.unwrap_or(&Value::Null)).map(Some).map_err(|source| {
            let what = "a page of checks of another shape than asked for".to_owned();
            Failure::Ambiguous { what, source: Some(Box::new(source)) }
        })
    }

    async fn command(
        &self,
        ask: &Ask,
        pr: &shape::PullRequest,
        node: Value,
    ) -> Result<Option<CommandFacts>, Failure> {
        if ask.command.is_none() || node.get("id").is_none() {
            return Ok(None);
        }
        let odd = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Ambiguous {
            what: "a comment of another shape than asked for".to_owned(),
            source: Some(source),
        };
        let command: shape::Command =
            serde_json::from_value(node).map_err(|source| odd(Box::new(source)))?;
        if command.pull_request.is_none_or(|of| of.id != pr.id) {
            return Ok(None);
        }
        let created = humantime::parse_rfc3339(&command.created_at)
            .map_err(|source| odd(Box::new(source)))?;
        let head = &pr.standing.head_ref_oid;
        // A fork's pushes are in the fork's record, which may be private.
        let head_pushed_ms = match pr.is_cross_repository {
            true => None,
            false => rest::pushed_ms(self, ask, &pr.head_ref_name, head).await?,
        };
        Ok(Some(CommandFacts {
            id: command.id,
            author: command.author.map(|author| author.login),
            body: command.body,
            edited: command.last_edited_at.is_some(),
            created_ms: unix_ms(created),
            head_pushed_ms,
        }))
    }
}

/// What was found of ours on GitHub.
pub(super) struct Found {
    pub(super) viewer: Login,
    pub(super) checks: Option<HeadCommit>,
    pub(super) comment: Option<Comment>,
    /// What our statuses have no room for.
    pub(super) pages: Option<shape::Comment>,
    /// The head of the pull request now, and where people see it.
    pub(super) head: Option<Sha>,
    pub(super) url: Option<String>,
}

fn variables(github: &HttpGitHub, ask: &Ask) -> Value {
    let folder = folder(&ask.path);
    let file = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let mut variables = json!({
        "owner": ask.repository.owner(),
        "name": ask.repository.name(),
        "number": ask.pr.0,
        "folder": folder,
        "inFolder": !folder.is_empty(),
        "suites": github.app.suites(),
        "withRuns": github.way.may_be_runs(),
        "withStatuses": github.way.may_be_statuses(),
        "command": ask.command.as_ref().map_or("", NodeId::as_str),
        "withCommand": ask.command.is_some(),
        "withOwners": ask.owners,
    });
    for name in configuration::all() {
        variables[alias(name)] = file(name).into();
    }
    variables
}

/// Takes note of rules and checks that could not be read: there may be required ones among them.
fn note_unread(missing: &[Problem], required: &mut Required) {
    if missing.iter().any(is_unread_rule) {
        required.unread("the base branch's rules, which this account may not read");
    }
    if missing.iter().any(|problem| problem.path().any(|name| name == "contexts")) {
        required.unread("check runs of others, which this token may not read");
    }
}

fn unknown(ask: &Ask) -> Failure {
    let what = format!("pull request {} of {}", ask.pr, ask.repository);
    Failure::Final(GitHubError::NotFound(what))
}

fn may_be_missing(problem: &Problem) -> bool {
    let last = problem.path().next_back().unwrap_or_default();
    let is_file =
        || configuration::all().any(|name| alias(name) == last) || ALIASES.contains(&last);
    (problem.is("NOT_FOUND") && (matches!(last, "command" | "folder") || is_file()))
        || is_unread_rule(problem)
        || is_unread_queue(problem)
        || problem.path().nth(1) == Some("merged")
}

/// Whether a queue is required is then for the merge to find out.
fn is_unread_queue(problem: &Problem) -> bool {
    let mut path = problem.path();
    problem.is("FORBIDDEN") && path.any(|name| matches!(name, "mergeQueue" | "mergeQueueEntry"))
}

fn is_unread_rule(problem: &Problem) -> bool {
    let mut path = problem.path();
    problem.is("FORBIDDEN") && path.any(|name| matches!(name, "refUpdateRule" | "rules"))
}
