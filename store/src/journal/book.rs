//! What this process runs, kept here and exact: the journal in Redis is a picture of it.

use std::collections::HashMap;
use std::time::Duration;

use sluice::clock::unix_ms;
use sluice::job::JobKind;
use sluice::names::JobId;
use sluice::observe::{Event, JobRef, What};
use sluice::outcome::{DeployOutcome, Stage};

use super::{EndedDeploy, RunningJob, StageTime, head};

/// The most stages of one job that are kept. A deploy that plans three times has some thirty.
const MOST_STAGES: usize = 100;

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
            What::Settled { disposition, .. } => self.end(job, at_ms, (disposition, host)),
            what => {
                let page = self.pages.get_mut(&job.id);
                Change { entries: Vec::new(), picture: page.is_some_and(|p| p.note(what, at_ms)) }
            }
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
            let page = Page {
                job: job.clone(),
                enqueued_ms,
                started_ms,
                stage: None,
                stage_since_ms: started_ms,
                stages: Vec::new(),
                lead_ms: None,
                outcome: None,
            };
            self.pages.insert(job.id.clone(), page);
        }
        let entry = Entry::Begun { job: job.clone(), enqueued_ms };
        Change { entries: vec![entry], picture: true }
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
