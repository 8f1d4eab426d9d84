//! Jobs and their stages, as metrics.
//!
//! Owns what is counted of every kind of job. Refuses to know what a deploy is.

use prometheus::{Error, HistogramVec, IntCounterVec, IntGaugeVec};

use super::shelf::{Shelf, WAIT, WORK};
use crate::job::JobKind;
use crate::observe::{Event, JobRef, What};
use crate::outcome::{Disposition, Reason, Stage, StageOutcome};

/// Metrics of jobs.
pub(super) struct Jobs {
    stage_duration: HistogramVec,
    stage_in_flight: IntGaugeVec,
    published: IntCounterVec,
    settled: IntCounterVec,
    queued: HistogramVec,
    refusals: IntCounterVec,
    sweeps: IntCounterVec,
}

impl Jobs {
    /// All of them, with the series that are known beforehand. Of the stages' outcomes only `ok`
    /// is: the others would be a hundred empty histograms.
    pub(super) fn new(shelf: &Shelf<'_>) -> Result<Self, Error> {
        let jobs = Self {
            stage_duration: shelf.seconds(
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
            queued: shelf.seconds(
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
            What::Settled { disposition, .. } => {
                self.settled.with_label_values(&[kind, disposition]).inc();
            }
            _ => {}
        }
    }
}
