//! Jobs and their stages, as metrics.
//!
//! Owns what is counted of every kind of job. Refuses to know what a deploy is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus::{Error, HistogramVec, IntCounterVec, IntGaugeVec};

use super::shelf::{REQUESTS, Shelf, WAIT, WORK};
use crate::job::JobKind;
use crate::names::JobId;
use crate::observe::{Event, JobRef, What};
use crate::outcome::{Disposition, Reason, Stage, StageOutcome};

/// Jobs whose requests are counted at once, in one process.
const MOST_IN_HAND: usize = 1024;

/// Metrics of jobs.
pub(super) struct Jobs {
    stage_duration: HistogramVec,
    stage_in_flight: IntGaugeVec,
    published: IntCounterVec,
    settled: IntCounterVec,
    queued: HistogramVec,
    refusals: IntCounterVec,
    sweeps: IntCounterVec,
    requests: HistogramVec,
    /// Requests of the jobs in hand.
    asked: Mutex<HashMap<JobId, u32>>,
}

impl Jobs {
    /// All of them, with the series that are known beforehand. Of the stages' outcomes only `ok`
    /// is: the others would be a hundred empty histograms.
    pub(super) fn new(shelf: &Shelf<'_>) -> Result<Self, Error> {
        let jobs = Self {
            stage_duration: shelf.histogram(
                "stage_duration_seconds",
                "How long a stage of a job took.",
                &["stage", "outcome"],
                WORK,
            )?,
            stage_in_flight: shelf.gauge(
                "stage_in_flight",
                "Stages that run now in this process.",
                &["stage"],
            )?,
            published: shelf.counter(
                "jobs_published_total",
                "Jobs that were stored.",
                &["kind"],
            )?,
            settled: shelf.counter(
                "jobs_settled_total",
                "Deliveries by what became of them.",
                &["kind", "disposition"],
            )?,
            queued: shelf.histogram(
                "job_queue_seconds",
                "From the first publishing of a job to a start of it, retries included.",
                &["kind"],
                WAIT,
            )?,
            refusals: shelf.counter(
                "refusals_total",
                "Refused jobs, once for each of their reasons.",
                &["reason"],
            )?,
            sweeps: shelf.counter(
                "sweeps_total",
                "Times that the open pull requests of a repository were looked through.",
                &["outcome"],
            )?,
            requests: shelf.histogram(
                "github_requests_per_job",
                "Requests to GitHub that a job made until its message was settled.",
                &["kind"],
                REQUESTS,
            )?,
            asked: Mutex::default(),
        };
        jobs.create_series();
        Ok(jobs)
    }

    fn create_series(&self) {
        for stage in Stage::ALL {
            self.stage_duration.with_label_values(&[stage.label(), StageOutcome::Ok.label()]);
            self.stage_in_flight.with_label_values(&[stage.label()]);
        }
        for kind in JobKind::ALL {
            self.published.with_label_values(&[kind.label()]);
            self.queued.with_label_values(&[kind.label()]);
            self.requests.with_label_values(&[kind.label()]);
            for disposition in Disposition::LABELS {
                self.settled.with_label_values(&[kind.label(), disposition]);
            }
        }
        for outcome in ["done", "failed"] {
            self.sweeps.with_label_values(&[outcome]);
        }
        for reason in Reason::ALL {
            self.refusals.with_label_values(&[reason.label()]);
        }
    }

    pub(super) fn observe(&self, event: &Event) {
        match &event.what {
            What::StageStarted(stage) => {
                self.stage_in_flight.with_label_values(&[stage.label()]).inc();
            }
            What::StageEnded { stage, outcome, took } => {
                self.stage_in_flight.with_label_values(&[stage.label()]).dec();
                let labels = [stage.label(), outcome.label()];
                self.stage_duration.with_label_values(&labels).observe(took.as_secs_f64());
            }
            What::Refused(refusals) => {
                for refusal in refusals {
                    self.refusals.with_label_values(&[refusal.reason.label()]).inc();
                }
            }
            What::Swept { outcome } => self.sweeps.with_label_values(&[outcome]).inc(),
            what => {
                if let Some(job) = &event.job {
                    self.observe_job(job, what);
                }
            }
        }
    }

    fn observe_job(&self, job: &JobRef, what: &What) {
        let kind = job.kind.label();
        match what {
            What::Published => self.published.with_label_values(&[kind]).inc(),
            What::Started { queued } => {
                self.queued.with_label_values(&[kind]).observe(queued.as_secs_f64());
            }
            What::GitHubRequest { .. } => {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                // One that is dropped in the middle is never settled: such ones do not pile up.
                if asked.len() < MOST_IN_HAND || asked.contains_key(&job.id) {
                    *asked.entry(job.id.clone()).or_default() += 1;
                }
            }
            What::Settled { disposition, .. } => {
                self.settled.with_label_values(&[kind, disposition]).inc();
                let asked =
                    self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.id);
                self.requests.with_label_values(&[kind]).observe(asked.unwrap_or(0).into());
            }
            _ => {}
        }
    }
}
