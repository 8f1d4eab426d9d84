//! What a job shows on its pull request: check runs and one sticky comment.
//!
//! Owns the difference between what is shown and what shall be shown, so that a write happens only
//! when something changed and several changes share one request. Refuses to know why anything is
//! shown. Everything passes the redactor on its way out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::clock::Clock;
use crate::github::{
    Ask, Attempt, CheckStatus, CheckWrite, CommentWrite, Facts, GitHub, Report, ReportError,
    Reported,
};
use crate::names::{JobId, NodeId, Sha};
use crate::observe::{CheckSaid, Event, JobRef, Observer, What};
use crate::outcome::Stop;
use crate::pipeline::cx::{Cx, Mandate, stop_of_github};
use crate::pipeline::left_open;
use crate::redact::Redactor;
use crate::render::checks::{self, CheckKind, Said};

/// How our hidden lines begin. No text of others has a line that does ([`crate::render`]).
const HIDDEN: &str = "<!-- sluice:";

/// The visible side of one job on one head.
pub(crate) struct Board {
    shared: Arc<Shared>,
    pacer: AbortHandle,
}

struct Shared {
    github: Arc<dyn GitHub>,
    clock: Arc<dyn Clock>,
    redactor: Arc<Redactor>,
    observer: Arc<dyn Observer>,
    place: Place,
    job: JobRef,
    details_url: Option<String>,
    mandate: Mandate,
    urgent: Arc<AtomicBool>,
    every: Duration,
    state: Mutex<State>,
    writing: tokio::sync::Mutex<()>,
    changed: Notify,
}

/// Where the board hangs.
struct Place {
    ask: Ask,
    repository_id: NodeId,
    pr_id: NodeId,
    head: Sha,
    names: BTreeMap<CheckKind, String>,
}

#[derive(Default)]
struct State {
    checks: BTreeMap<CheckKind, Row>,
    comment: Option<NodeId>,
    comment_shown: Option<String>,
    comment_wanted: Option<String>,
    eyes: Option<NodeId>,
    /// Whether everything that was written is known here.
    attempt: Attempt,
}

#[derive(Default)]
struct Row {
    id: Option<NodeId>,
    /// The job that will conclude it, when that is not the board's own.
    job: Option<JobId>,
    shown: Option<Said>,
    wanted: Option<Said>,
}

impl Board {
    /// A board for a head, starting from what GitHub shows already.
    pub(crate) fn new(cx: &Cx<'_>, facts: &Facts) -> Self {
        let Cx { deps, project, .. } = cx;
        let names: BTreeMap<_, _> =
            CheckKind::ALL.iter().map(|kind| (*kind, checks::name(*kind, project))).collect();
        let shared = Arc::new(Shared {
            github: Arc::clone(&deps.github),
            clock: Arc::clone(&deps.clock),
            redactor: Arc::clone(&deps.settings.redactor),
            observer: Arc::clone(&deps.observer),
            state: Mutex::new(State::of(facts, &names)),
            place: Place {
                ask: cx.ask(None),
                repository_id: facts.repository_id.clone(),
                pr_id: facts.id.clone(),
                head: facts.head.clone(),
                names,
            },
            job: cx.job.clone(),
            details_url: cx.status_page(),
            mandate: cx.mandate.clone(),
            urgent: Arc::clone(&cx.urgent),
            every: deps.settings.report_every,
            writing: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        });
        shared.tell_all();
        let pacer = tokio::spawn(pace(Arc::clone(&shared))).abort_handle();
        Self { shared, pacer }
    }

    /// What the check says from now on.
    pub(crate) fn say(&self, kind: CheckKind, said: Said) {
        self.say_for(kind, said, None);
    }

    /// The same, where another job will conclude it.
    pub(crate) fn say_for(&self, kind: CheckKind, said: Said, job: Option<JobId>) {
        let title = self.shared.redactor.redact(&said.title).into_owned();
        let said = Said { title, summary: self.shared.redacted(&said.summary), ..said };
        let mut state = self.shared.state();
        let row = state.checks.entry(kind).or_default();
        row.job = job;
        let before = row.wanted.take();
        row.wanted = Some(left_open::still_counting(before.as_ref(), said));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// The sticky comment's new text.
    pub(crate) fn comment(&self, body: String) {
        let body = self.shared.redacted(&body);
        self.shared.state().comment_wanted = Some(body);
        self.shared.changed.notify_one();
    }

    /// The comment gets an 👀 with the next write.
    pub(crate) fn eyes(&self, comment: &NodeId) {
        self.shared.state().eyes = Some(comment.clone());
    }

    /// The checks that are neither concluded nor absent.
    pub(crate) fn open(&self) -> Vec<CheckKind> {
        let state = self.shared.state();
        let open = |row: &Row| {
            row.wanted.as_ref().is_some_and(|f| !matches!(f.status, CheckStatus::Completed(_)))
        };
        state.checks.iter().filter(|(_, row)| open(row)).map(|(kind, _)| *kind).collect()
    }

    /// Writes what is not shown yet, now. [`Stop::Interrupted`] when the lease that it is written
    /// under does not stand any more.
    pub(crate) async fn flush(&self) -> Result<(), Stop> {
        self.shared.flush().await
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.pacer.abort();
    }
}

/// Shows changes soon after they are made, and not more often than `every`. A write that fails is
/// left to the next one: the last, which the job itself makes, reports its failure.
async fn pace(shared: Arc<Shared>) {
    loop {
        shared.changed.notified().await;
        shared.clock.sleep(shared.every).await;
        if let Err(why) = shared.flush().await {
            tracing::debug!(%why, job = %shared.job.id, "progress could not be shown yet");
        }
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // No code between lock and unlock can panic; a poisoned lock still holds good data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text without secrets. Our own hidden lines stay as they are: a mark that is changed is not
    /// found again, and a project's name may well be the value of some variable.
    fn redacted(&self, text: &str) -> String {
        let is_ours = |line: &str| {
            let line = line.trim_end();
            line.starts_with(HIDDEN) && line.find("-->") == Some(line.len().saturating_sub(3))
        };
        let mut out = String::with_capacity(text.len());
        let mut told = 0;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if is_ours(line) {
                out.push_str(&self.redactor.redact(&text[told..at]));
                out.push_str(line);
                told = at + line.len();
            }
            at += line.len();
        }
        out.push_str(&self.redactor.redact(&text[told..]));
        out
    }

    async fn flush(&self) -> Result<(), Stop> {
        let _one_writer = self.writing.lock().await;
        let Some((report, faces)) = self.pending() else { return Ok(()) };
        if !self.mandate.stands() {
            let why = "the lease was lost before all was shown".to_owned();
            return Err(Stop::Interrupted(why));
        }
        // Only an answer says that all is known: a write that is given up half-way may be done.
        self.state().attempt = Attempt::Again;
        let (written, outcome) = match self.github.report(&report).await {
            Ok(written) => (written, Ok(())),
            Err(ReportError { written, source }) => (written, Err(source)),
        };
        let mut state = self.state();
        if outcome.is_ok() {
            state.attempt = Attempt::First;
            if state.eyes == report.eyes {
                state.eyes = None;
            }
        }
        let Reported { checks, comment } = written;
        let mut shown = Vec::new();
        for (kind, face) in faces {
            let name = &self.place.names[&kind];
            if let Some((_, id)) = checks.iter().find(|(n, _)| n == name) {
                shown.push(CheckSaid::of(kind, &face));
                let row = state.checks.entry(kind).or_default();
                row.id = Some(id.clone());
                row.shown = Some(face);
            }
        }
        if let (Some(id), Some(comment)) = (comment, report.comment) {
            state.comment = Some(id);
            state.comment_shown = Some(comment.body);
        }
        drop(state);
        if !shown.is_empty() {
            self.tell(shown);
        }
        outcome.map_err(stop_of_github)
    }

    /// Tells listeners what is there.
    fn tell_all(&self) {
        let state = self.state();
        let shown = state.checks.iter().filter_map(|(kind, row)| {
            let face = row.shown.as_ref()?;
            Some(CheckSaid::of(*kind, face))
        });
        let shown = shown.collect();
        drop(state);
        self.tell(shown);
    }

    fn tell(&self, checks: Vec<CheckSaid>) {
        let what = What::Checks { head: self.place.head.clone(), checks };
        let event = Event { at: self.clock.now(), job: Some(self.job.clone()), what };
        self.observer.observe(&event);
    }

    /// What is to be written, and the faces that it will show; `None` when all is shown.
    fn pending(&self) -> Option<(Report, Vec<(CheckKind, Said)>)> {
        let state = self.state();
        let mut writes = Vec::new();
        let mut faces = Vec::new();
        for (kind, row) in &state.checks {
            let Some(wanted) = row.wanted.as_ref().filter(|w| row.shown.as_ref() != Some(*w))
            else {
                continue;
            };
            writes.push(CheckWrite {
                id: row.id.clone(),
                name: self.place.names[kind].clone(),
                external_id: row.job.as_ref().unwrap_or(&self.job.id).clone(),
                status: wanted.status,
                title: wanted.title.clone(),
                summary: wanted.summary.clone(),
                details_url: self.details_url.clone(),
            });
            faces.push((*kind, wanted.clone()));
        }
        let comment = state
            .comment_wanted
            .as_ref()
            .filter(|wanted| state.comment_shown.as_ref() != Some(*wanted))
            .map(|body| CommentWrite { id: state.comment.clone(), body: body.clone() });
        if writes.is_empty() && comment.is_none() && state.eyes.is_none() {
            return None;
        }
        let report = Report {
            ask: Ask { urgent: self.urgent.load(Ordering::Relaxed), ..self.place.ask.clone() },
            repository_id: self.place.repository_id.clone(),
            pr_id: self.place.pr_id.clone(),
            head: self.place.head.clone(),
            checks: writes,
            comment,
            eyes: state.eyes.clone(),
            attempt: state.attempt,
        };
        Some((report, faces))
    }
}

impl CheckSaid {
    fn of(kind: CheckKind, face: &Said) -> Self {
        Self { kind, status: face.status, title: face.title.clone() }
    }
}

impl State {
    fn of(facts: &Facts, names: &BTreeMap<CheckKind, String>) -> Self {
        let mut checks = BTreeMap::new();
        for (kind, name) in names {
            let Some(check) = facts.checks.iter().find(|check| check.name == *name) else {
                continue;
            };
            let face = Said {
                status: check.status,
                title: check.title.clone(),
                summary: check.summary.clone(),
            };
            let row = Row {
                id: Some(check.id.clone()),
                job: None,
                shown: Some(face.clone()),
                wanted: Some(face),
            };
            checks.insert(*kind, row);
        }
        Self {
            checks,
            comment: facts.comment.as_ref().map(|comment| comment.id.clone()),
            comment_shown: facts.comment.as_ref().map(|comment| comment.body.clone()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
