//! Deploys and their leases, per project, as metrics.
//!
//! Owns the series that dashboards and alerts of a project's prod are made of. Refuses to know of
//! projects that are not configured.

use prometheus::{Error, HistogramVec, IntCounterVec, IntGaugeVec};

use super::shelf::{Shelf, WAIT, WORK};
use crate::lease::LeaseKey;
use crate::names::{Environment, ProjectName};
use crate::observe::{JobRef, LeaseEnd, What};
use crate::outcome::DeployOutcome;

/// Metrics of deploys.
pub(super) struct Deploys {
    lease_wait: HistogramVec,
    lease_hold: HistogramVec,
    lease_lost: IntCounterVec,
    ended: IntCounterVec,
    lead_time: HistogramVec,
    applied_not_merged: IntGaugeVec,
}

impl Deploys {
    pub(super) fn new(shelf: &Shelf<'_>, projects: &[ProjectName]) -> Result<Self, Error> {
        let (wait, hold) = (
            "How long a deploy waited for the lease on prod.",
            "How long a deploy held the lease on prod.",
        );
        let deploys = Self {
            lease_wait: shelf.histogram("lease_wait_seconds", wait, &["project"], WAIT)?,
            lease_hold: shelf.histogram("lease_hold_seconds", hold, &["project"], WORK)?,
            lease_lost: shelf.counter(
                "lease_lost_total",
                "Leases of any kind that were lost, not given back.",
                &["project"],
            )?,
            ended: shelf.counter(
                "deploys_total",
                "Deploys by what they came to.",
                &["project", "outcome"],
            )?,
            lead_time: shelf.histogram(
                "deploy_lead_time_seconds",
                "From the signal for a deploy to prod running it.",
                &["project"],
                WAIT,
            )?,
            applied_not_merged: shelf.gauge(
                "applied_not_merged",
                "Whether prod runs a head that main does not have.",
                &["project"],
            )?,
        };
        deploys.create_series(projects);
        Ok(deploys)
    }

    fn create_series(&self, projects: &[ProjectName]) {
        for project in projects.iter().map(ProjectName::as_str) {
            self.lease_wait.with_label_values(&[project]);
            self.lease_hold.with_label_values(&[project]);
            self.lease_lost.with_label_values(&[project]);
            self.lead_time.with_label_values(&[project]);
            self.applied_not_merged.with_label_values(&[project]);
            for outcome in DeployOutcome::ALL {
                self.ended.with_label_values(&[project, outcome.label()]);
            }
        }
    }

    pub(super) fn observe(&self, job: &JobRef, what: &What) {
        let project = job.project.as_str();
        match what {
            What::LeaseGranted { key, waited } if is_prod(job, key) => {
                self.lease_wait.with_label_values(&[project]).observe(waited.as_secs_f64());
            }
            What::LeaseEnded { key, held, end } => {
                if *end == LeaseEnd::Lost {
                    self.lease_lost.with_label_values(&[project]).inc();
                }
                if is_prod(job, key) {
                    self.lease_hold.with_label_values(&[project]).observe(held.as_secs_f64());
                }
            }
            What::Deployed { lead } => {
                self.lead_time.with_label_values(&[project]).observe(lead.as_secs_f64());
            }
            What::DeployEnded(outcome) => {
                self.ended.with_label_values(&[project, outcome.label()]).inc();
            }
            What::AppliedNotMerged(stands) => self.applied_not_merged(&job.project, *stands),
            _ => {}
        }
    }

    /// Says whether the project's prod runs what its main lacks.
    pub(super) fn applied_not_merged(&self, project: &ProjectName, stands: bool) {
        self.applied_not_merged.with_label_values(&[project.as_str()]).set(stands.into());
    }
}

/// The key of a project's prod.
pub(super) fn prod_of(project: &ProjectName) -> LeaseKey {
    LeaseKey::Environment(project.clone(), Environment::prod())
}

fn is_prod(job: &JobRef, key: &str) -> bool {
    prod_of(&job.project).to_string() == key
}
