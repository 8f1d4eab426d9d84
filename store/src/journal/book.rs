//! What this process runs, kept here and exact: the journal in Redis is a picture of it.

use std::collections::HashMap;
use std::time::Duration;

use sluice::clock::unix_ms;
use sluice::github::CheckStatus;
use sluice::job::{JobKind, WAITED_FOR};
use sluice::names::{Environment, JobId, Sha};
use sluice::observe::{CheckSaid, Event, JobRef, What};
use sluice::outcome::{Conclusion, DeployOutcome, Stage};
use sluice::render::checks::CheckKind;

use super::trail::{CheckShown, Followed};
use super::{EndedDeploy, RunningJob, StageTime, head};

/// The most stages of one job that are kept. A deploy that plans three times has some thirty.
const MOST_STAGES: usize = 100;

/// The most of a reason that is kept, in characters.
const MOST_WHY: usize = 500;

/// The most jobs that are kept: far more than any worker has slots.
const MOST_JOBS: usize = 1000;

/// How long a job is shown that is in no stage. Nothing of a job happens outside one, so it has
/// panicked: nobody says that it has ended.
const STAGELESS_SHOWN: Duration = Duration::from_secs(600);

/// The jobs that run in this process.
#[derive(Default)]
pub(super) struct Book {
    pages: HashMap<JobId, Page>,
}

/// A job that runs.
struct Page {
    job: JobRef,
    enqueued_ms: u64,
    started_ms: u64,
    stage: Option<Stage>,
    stage_since_ms: u64,
    stages: Vec<StageTime>,
    lead_ms: Option<u64>,
    outcome: Option<DeployOutcome>,
    /// The head that it speaks of first: a look at its end may be at a newer one.
    head: Option<Sha>,
    /// Reasons for which it refused something.
    refused: Vec<&'static str>,
    /// What it knows of the check of the pull request's environment.
    environment: Known,
}

/// What a job knows of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Not even whether it is there.
    Nothing,
    /// It says so; `None`: it is not there.
    Says(Option<CheckStatus>),
}

/// What is told in Redis, once and in order.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// It waits, as somebody says who published it.
    Published {
        job: JobRef,
        at_ms: u64,
    },
    /// It does not wait any more.
    Begun {
        job: JobRef,
        enqueued_ms: u64,
    },
    /// It waits again.
    Back {
        job: JobRef,
        enqueued_ms: u64,
    },
    Ended(JobRef, Box<EndedDeploy>),
    /// It goes on, for those who wait for what follows from an event.
    Followed {
        cause: String,
        job: JobId,
        now: Box<Followed>,
    },
    /// Checks of a head say something else.
    Checks {
        job: JobRef,
        head: Sha,
        checks: Vec<(&'static str, CheckShown)>,
    },
    /// A pull request is judged at this head.
    Judged {
        job: JobRef,
        head: Sha,
        environment: Environment,
    },
    /// This job has built the pull request's environment.
    Built(JobRef),
}

/// What an event changes.
#[derive(Default)]
pub(super) struct Change {
    /// What is told.
    pub(super) entries: Vec<Entry>,
    /// Whether something else runs, or is elsewhere.
    pub(super) picture: bool,
}

impl Book {
    /// Takes an event in.
    pub(super) fn note(&mut self, event: &Event, host: &str) -> Change {
        let Some(job) = &event.job else { return Change::default() };
        let at_ms = unix_ms(event.at);
        match &event.what {
            What::Published => {
                let entry = Entry::Published { job: job.clone(), at_ms };
                Change { entries: vec![entry], picture: false }
            }
            What::Started { queued } => {
                let queued = u64::try_from(queued.as_millis()).unwrap_or(u64::MAX);
                self.begin(job, at_ms, at_ms.saturating_sub(queued))
            }
            What::Settled { disposition, why } => {
                let followed = self.settled(job, disposition, why.as_deref());
                let mut change = self.end(job, at_ms, (disposition, host));
                change.entries.extend(followed);
                change
            }
            what => {
                let Some(page) = self.pages.get_mut(&job.id) else { return Change::default() };
                let mut entries = page.shown(what);
                let picture = page.note(what, at_ms);
                entries.extend(picture.then(|| page.followed(None)).flatten());
                Change { entries, picture }
            }
        }
    }

    /// How a job has ended, or that it comes back, for those who follow it: one that nobody saw
    /// begin as well.
    fn settled(&self, job: &JobRef, disposition: &str, why: Option<&str>) -> Option<Entry> {
        let end = Some((disposition, why));
        match self.pages.get(&job.id) {
            Some(page) => page.followed(end),
            None => Page::new(job, (0, 0)).followed(end),
        }
    }

    /// Everything that runs here.
    pub(super) fn running(&mut self, host: &str, now_ms: u64) -> Vec<RunningJob> {
        self.pages.retain(|_, page| {
            let idle = Duration::from_millis(now_ms.saturating_sub(page.stage_since_ms));
            page.stage.is_some() || idle < STAGELESS_SHOWN
        });
        let job = |page: &Page| RunningJob {
            job: page.job.id.clone(),
            kind: page.job.kind.label().to_owned(),
            project: page.job.project.clone(),
            pr: page.job.pr,
            head: head(&page.job.id),
            host: host.to_owned(),
            since_ms: page.started_ms,
            stage: page.stage.map(|stage| stage.label().to_owned()),
            stage_since_ms: page.stage_since_ms,
        };
        self.pages.values().map(job).collect()
    }

    fn begin(&mut self, job: &JobRef, started_ms: u64, enqueued_ms: u64) -> Change {
        if self.pages.len() < MOST_JOBS {
            self.pages.insert(job.id.clone(), Page::new(job, (started_ms, enqueued_ms)));
        }
        let begun = Entry::Begun { job: job.clone(), enqueued_ms };
        let followed = self.pages.get(&job.id).and_then(|page| page.followed(None));
        Change { entries: std::iter::once(begun).chain(followed).collect(), picture: true }
    }

    fn end(&mut self, job: &JobRef, at_ms: u64, (disposition, host): (&str, &str)) -> Change {
        let Some(page) = self.pages.remove(&job.id) else { return Change::default() };
        let (job, enqueued_ms) = (page.job.clone(), page.enqueued_ms);
        let mut entries = vec![match disposition {
            "done" | "dead" => Entry::Begun { job: job.clone(), enqueued_ms },
            _ => Entry::Back { job: job.clone(), enqueued_ms },
        }];
        if let Some(outcome) = page.outcome.filter(|_| job.kind == JobKind::Deploy) {
            let ended = EndedDeploy {
                head: head(&job.id),
                job: job.id.clone(),
                pr: job.pr,
                host: host.to_owned(),
                outcome: outcome.label().to_owned(),
                lead_ms: page.lead_ms,
                started_ms: page.started_ms,
                ended_ms: at_ms,
                stages: page.stages,
            };
            entries.push(Entry::Ended(job, Box::new(ended)));
        }
        Change { entries, picture: true }
    }
}

impl Page {
    fn new(job: &JobRef, (started_ms, enqueued_ms): (u64, u64)) -> Self {
        Self {
            job: job.clone(),
            enqueued_ms,
            started_ms,
            stage: None,
            stage_since_ms: started_ms,
            stages: Vec::new(),
            lead_ms: None,
            outcome: None,
            head: None,
            refused: Vec::new(),
            environment: Known::Nothing,
        }
    }

    /// Where it stands, if somebody waits for what follows from its event.
    fn followed(&self, end: Option<(&str, Option<&str>)>) -> Option<Entry> {
        if !self.job.cause.starts_with(WAITED_FOR) {
            return None;
        }
        let now = Followed {
            kind: self.job.kind.label().to_owned(),
            project: self.job.project.clone(),
            pr: self.job.pr,
            head: self.head.clone(),
            stage: self.stage.map(|stage| stage.label().to_owned()),
            stages: self.stages.clone(),
            refused: self.refused.iter().map(|reason| (*reason).to_owned()).collect(),
            outcome: self.outcome.map(|outcome| outcome.label().to_owned()),
            settled: end.map(|(disposition, _)| disposition.to_owned()),
            why: end.and_then(|(_, why)| why).map(|why| why.chars().take(MOST_WHY).collect()),
        };
        let (cause, job) = (self.job.cause.clone(), self.job.id.clone());
        Some(Entry::Followed { cause, job, now: Box::new(now) })
    }

    /// What a word about the job's head changes for those who wait for its checks.
    fn shown(&mut self, what: &What) -> Vec<Entry> {
        match what {
            What::Judged { head, environment } => {
                self.head.get_or_insert_with(|| head.clone());
                let (job, head) = (self.job.clone(), head.clone());
                vec![Entry::Judged { job, head, environment: environment.clone() }]
            }
            What::Checks { head, checks } => {
                self.head.get_or_insert_with(|| head.clone());
                let is_built = self.builds(checks).then(|| Entry::Built(self.job.clone()));
                let shown = |said: &CheckSaid| {
                    let (status, title) = (said.status.label().to_owned(), said.title.clone());
                    (said.kind.key(), CheckShown { status, title })
                };
                let checks: Vec<_> = checks.iter().map(shown).collect();
                let (job, head) = (self.job.clone(), head.clone());
                let told = (!checks.is_empty()).then_some(Entry::Checks { job, head, checks });
                told.into_iter().chain(is_built).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether this job says now, and not before it, that the environment stands.
    fn builds(&mut self, checks: &[CheckSaid]) -> bool {
        let said = checks.iter().find(|said| said.kind == CheckKind::PrEnvironment);
        let said = said.map(|said| said.status);
        let before = self.environment;
        if before == Known::Nothing || said.is_some() {
            self.environment = Known::Says(said);
        }
        let stands = Some(CheckStatus::Completed(Conclusion::Success));
        before != Known::Nothing && said == stands && before != Known::Says(stands)
    }

    /// Takes a word about the job in; whether it is elsewhere now.
    fn note(&mut self, what: &What, at_ms: u64) -> bool {
        match what {
            What::StageStarted(stage) => {
                (self.stage, self.stage_since_ms) = (Some(*stage), at_ms);
                return true;
            }
            What::StageEnded { stage, outcome, took } => {
                if self.stages.len() < MOST_STAGES {
                    self.stages.push(StageTime {
                        stage: stage.label().to_owned(),
                        outcome: outcome.label().to_owned(),
                        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    });
                }
                if self.stage == Some(*stage) {
                    (self.stage, self.stage_since_ms) = (None, at_ms);
                    return true;
                }
            }
            What::Deployed { lead } => {
                self.lead_ms = Some(u64::try_from(lead.as_millis()).unwrap_or(u64::MAX));
            }
            What::DeployEnded(outcome) => self.outcome = Some(*outcome),
            What::Refused(refusals) => {
                for reason in refusals.iter().map(|refusal| refusal.reason.label()) {
                    if !self.refused.contains(&reason) {
                        self.refused.push(reason);
                    }
                }
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use sluice::names::{PrNumber, ProjectName};

    use super::*;

    #[test]
    fn a_job_that_has_panicked_is_not_shown_for_ever() {
        let job = JobRef {
            id: JobId::new("gate:warehouse:7").unwrap(),
            kind: JobKind::Gate,
            project: ProjectName::new("warehouse").unwrap(),
            pr: PrNumber(7),
            cause: "test".to_owned(),
        };
        let mut book = Book::default();
        let mut say = |what| {
            let event = Event { at: SystemTime::UNIX_EPOCH, job: Some(job.clone()), what };
            book.note(&event, "worker-1")
        };
        assert!(say(What::Started { queued: Duration::ZERO }).picture);
        assert!(say(What::StageStarted(Stage::Lint)).picture);
        let outcome = sluice::outcome::StageOutcome::Interrupted;
        assert!(
            say(What::StageEnded { stage: Stage::Lint, outcome, took: Duration::ZERO }).picture
        );
        let shown = u64::try_from(STAGELESS_SHOWN.as_millis()).unwrap();
        assert_eq!(book.running("worker-1", shown - 1).len(), 1);
        assert!(book.running("worker-1", shown).is_empty());
    }
}
