//! Checks as commit statuses, for a token that may write no check runs.
//!
//! A status holds one line; the rest is in a comment of ours, to which the statuses lead. The
//! status is the truth: it names the digest of what belongs to it, and a check that is concluded
//! and whose page is not that one counts as not there
//! ([decision 32](../../../../docs/decisions/0032-statuses-name-their-pages.md)). Owns what is
//! written in which order, and what is read of it. Refuses to know what a check is about.

mod line;
mod pages;
mod turns;

use serde::Deserialize;
use serde_json::{Value, json};
use sluice::github::{Check, CheckStatus, CheckWrite, GitHubError, OpenCheck, Report};
use sluice::names::{Login, NodeId, Sha};

use self::line::{Line, Shown, state, title};
use self::pages::Pages;
pub(super) use self::pages::marker;
pub(super) use self::turns::Turns;
use super::HttpGitHub;
use super::budget::Priority;
use super::client::Errand;
use super::documents;
use super::facts::Found;
use super::limits::{Failure, succeed};
use super::patience::Tries;
use super::shape::{Comment, HeadCommit, StatusOf};

/// The checks that a commit's statuses make up, with the pages that are there.
pub(super) fn checks(commit: &HeadCommit, viewer: &Login, pages: Option<&Comment>) -> Vec<Check> {
    let pages = pages.and_then(|comment| Pages::read(&comment.body));
    let pages = pages.filter(|pages| pages.head == commit.oid);
    let shown = shown(commit.status.as_ref(), viewer, &commit.oid);
    shown.into_iter().filter_map(|shown| check(shown, pages.as_ref())).collect()
}

/// The same, without their pages: what a sweep looks at.
pub(super) fn open_checks(
    status: Option<&StatusOf>,
    viewer: &Login,
    head: &Sha,
) -> impl Iterator<Item = OpenCheck> {
    shown(status, viewer, head).into_iter().map(|shown| {
        let (started_ms, completed_ms) = (Some(shown.asked_ms()), shown.completed_ms());
        let (name, external_id, status, title) = shown.into_parts();
        OpenCheck { name, external_id, status, title, started_ms, completed_ms }
    })
}

/// Whether some status of ours names a page.
pub(super) fn name_pages(commit: &HeadCommit, viewer: &Login) -> bool {
    let shown = shown(commit.status.as_ref(), viewer, &commit.oid);
    shown.iter().any(|shown| shown.line.page.is_some())
}

fn shown(status: Option<&StatusOf>, viewer: &Login, head: &Sha) -> Vec<Shown> {
    let given = status.into_iter().flat_map(|status| status.contexts.iter().cloned());
    given.filter_map(|given| Shown::read(given, viewer, head)).collect()
}

/// A check of a status and its page. One that is open stays open without its page; one that is
/// concluded is nothing without it, as if it had never been written.
fn check(shown: Shown, pages: Option<&Pages>) -> Option<Check> {
    let text = match &shown.line.page {
        Some(digest) => pages.and_then(|pages| pages.text(&shown.name, digest)),
        None => Some(""),
    };
    let is_done = matches!(shown.line.status, CheckStatus::Completed(_));
    if is_done && text.is_none() {
        return None;
    }
    let (id, started_ms) = (shown.id.clone(), Some(shown.asked_ms()));
    let summary = text.unwrap_or_default().to_owned();
    let (name, external_id, status, title) = shown.into_parts();
    Some(Check { id, name, external_id, status, started_ms, title, summary })
}

/// Where the pages are, and what they are.
struct Placed {
    pages: Pages,
    /// Their comment's address, or the pull request's.
    url: Option<String>,
}

impl HttpGitHub {
    /// Shows a report's checks; those that are shown are told in any case. What GitHub was told may
    /// be told again: the last word counts, and it is the same.
    pub(super) async fn write_statuses(
        &self,
        report: &Report,
        told: &mut Vec<(String, NodeId)>,
    ) -> Result<(), GitHubError> {
        let mut tries = Tries::new(self.client.clock.as_ref(), self.patience);
        loop {
            match self.try_statuses(report, told).await {
                Ok(()) => return Ok(()),
                Err(failure) => tries.after(failure).await?,
            }
        }
    }

    async fn try_statuses(
        &self,
        report: &Report,
        told: &mut Vec<(String, NodeId)>,
    ) -> Result<(), Failure> {
        let is_left = |check: &&CheckWrite| told.iter().all(|(name, _)| *name != check.name);
        let mut left: Vec<&CheckWrite> = report.checks.iter().filter(is_left).collect();
        if left.is_empty() {
            return Ok(());
        }
        // Verdicts first: the limits may leave nothing for the rest.
        left.sort_by_key(|check| !matches!(check.status, CheckStatus::Completed(_)));
        let turn = self.turns.of(&report.ask);
        let turn = turn.lock().await;
        let found = self.written(&report.ask, &report.head).await?;
        // The page first: a status never names one that was not there.
        let placed = self.place_pages(report, &left, &found).await?;
        drop(turn);
        let commit = found.checks.as_ref();
        let before = shown(commit.and_then(|c| c.status.as_ref()), &found.viewer, &report.head);
        for check in left {
            let before = before.iter().find(|shown| shown.name == check.name);
            let id = self.write_status(report, check, (before, &placed)).await?;
            told.push((check.name.clone(), id));
        }
        Ok(())
    }

    /// Writes the pages of these checks. Those of a head that is none any more are not kept.
    async fn place_pages(
        &self,
        report: &Report,
        left: &[&CheckWrite],
        found: &Found,
    ) -> Result<Placed, Failure> {
        let there = found.pages.as_ref();
        let read = there.and_then(|comment| Pages::read(&comment.body));
        let read = read.filter(|pages| pages.head == report.head);
        let is_begun = read.is_some();
        let mut pages = read.unwrap_or_else(|| Pages::new(report.head.clone()));
        left.iter().for_each(|check| pages.write(check));
        let names: Vec<&str> = left.iter().map(|check| check.name.as_str()).collect();
        let body = pages.fitted(&marker(&report.ask.marker), &names);
        let is_head = is_begun || found.head.as_ref() == Some(&report.head);
        let url = match there {
            // There is nothing to be kept of this head yet, or any more.
            there if !is_head || (pages.is_empty() && !is_begun) => {
                there.and_then(|comment| comment.url.clone())
            }
            Some(comment) if comment.body.trim_end() == body.trim_end() => comment.url.clone(),
            there => {
                let priority = Priority::Verdict;
                let errand = Errand::of(&report.ask, "report", priority);
                let (document, input) = match there {
                    Some(comment) => {
                        let input = json!({ "id": comment.id.as_str(), "body": body });
                        (documents::REWRITE_PAGES, input)
                    }
                    None => {
                        let input = json!({ "subjectId": report.pr_id.as_str(), "body": body });
                        (documents::ADD_PAGES, input)
                    }
                };
                self.write_pages(&errand, document, &input).await?
            }
        };
        Ok(Placed { pages, url: url.or_else(|| found.url.clone()) })
    }

    /// Writes the comment; says where it is.
    async fn write_pages(
        &self,
        errand: &Errand<'_>,
        document: &str,
        input: &Value,
    ) -> Result<Option<String>, Failure> {
        let reply = self.client.graphql(errand, document, &json!({ "pages": input })).await?;
        let written = ["/pages/commentEdge/node", "/pages/issueComment"];
        let comment = written.iter().find_map(|place| reply.data.pointer(place));
        let comment = comment.filter(|comment| comment["id"].is_string());
        match (reply.problems.first(), comment) {
            (None, Some(comment)) => Ok(comment["url"].as_str().map(str::to_owned)),
            // It was deleted: it is made anew.
            (Some(problem), _) if problem.is("NOT_FOUND") => {
                Err(Failure::ambiguous(problem.message.clone()))
            }
            (Some(problem), _) => Err(problem.failure()),
            (None, None) => Err(Failure::ambiguous("a comment without an id")),
        }
    }

    /// Writes one status, if what is shown will not do.
    async fn write_status(
        &self,
        report: &Report,
        check: &CheckWrite,
        (before, placed): (Option<&Shown>, &Placed),
    ) -> Result<NodeId, Failure> {
        let now = self.client.clock.now();
        let line = Line::of(check, placed.pages.due(check), before, now);
        let base = check.details_url.as_deref().or(placed.url.as_deref());
        let base = base.ok_or_else(|| Failure::ambiguous("a pull request without an address"))?;
        if let Some(before) = before
            && before.will_do((&line, base), &report.head, now)
        {
            return Ok(before.id.clone());
        }
        let priority = match (check.status, before) {
            (CheckStatus::Completed(_), _) | (_, None) => Priority::Verdict,
            _ => Priority::Progress,
        };
        let path = format!("/repos/{}/statuses/{}", report.ask.repository, report.head);
        let body = json!({
            "state": state(check.status),
            "context": check.name,
            "description": title(&check.title),
            "target_url": line.address(base, &report.head),
        });
        let errand = Errand::of(&report.ask, "report", priority);
        let answer = self.client.post_rest(&errand, &path, &body).await?;
        let answer = succeed(answer, "the commit, or lets us write no status", now)?;
        #[derive(Deserialize)]
        struct Given {
            node_id: NodeId,
        }
        let given: Given = serde_json::from_slice(&answer.body).map_err(|source| {
            let what = "a status of another shape than asked for".to_owned();
            Failure::Ambiguous { what, source: Some(Box::new(source)) }
        })?;
        Ok(given.node_id)
    }
}
