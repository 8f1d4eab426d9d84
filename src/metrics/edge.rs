//! What goes in and out, as metrics: webhooks, GitHub, the queue.
//!
//! Owns the bound on the labels that come from outside. Refuses to know of jobs.

use prometheus::{Error, HistogramVec, IntCounterVec, IntGaugeVec};

use super::shelf::{ANSWER, Shelf};
use crate::event::LABELS;
use crate::observe::What;
use crate::queue::{Route, Waiting};

/// Metrics of the edges.
pub(super) struct Edge {
    webhooks: IntCounterVec,
    webhook_duration: HistogramVec,
    github_requests: IntCounterVec,
    github_rate_limit: IntGaugeVec,
    github_held_back: IntCounterVec,
    queue_depth: IntGaugeVec,
    queue_oldest_age: IntGaugeVec,
}

impl Edge {
    pub(super) fn new(shelf: &Shelf<'_>) -> Result<Self, Error> {
        let edge = Self {
            webhooks: shelf.counter(
                "webhooks_total",
                "Webhooks by what became of them.",
                &["event", "outcome"],
            )?,
            webhook_duration: shelf.histogram(
                "webhook_duration_seconds",
                "From a webhook's arrival to the answer.",
                &[],
                ANSWER,
            )?,
            github_requests: shelf.counter(
                "github_requests_total",
                "Requests to GitHub; status `none` when there was no answer.",
                &["verb", "status"],
            )?,
            github_rate_limit: shelf.gauge(
                "github_rate_limit_remaining",
                "Requests left until GitHub's limit, as it last said.",
                &[],
            )?,
            github_held_back: shelf.counter(
                "github_held_back_total",
                "Requests to GitHub that had to wait, or were not made, to keep its limits.",
                &["priority"],
            )?,
            queue_depth: shelf.gauge(
                "queue_depth",
                "Jobs that wait, not those in hand; all delayed ones as `sluice.retry`, what \
                 failed for good as `sluice.dead`.",
                &["queue"],
            )?,
            queue_oldest_age: shelf.gauge(
                "queue_oldest_age_seconds",
                "How long ago the oldest job that waits was stored; 0 when none waits.",
                &["queue"],
            )?,
        };
        edge.webhook_duration.with_label_values::<&str>(&[]);
        for priority in ["progress", "comment", "verdict", "merge"] {
            edge.github_held_back.with_label_values(&[priority]);
        }
        Ok(edge)
    }

    pub(super) fn observe(&self, what: &What) {
        match what {
            What::Webhook { event, outcome, took } => {
                self.webhooks.with_label_values(&[event, outcome]).inc();
                self.webhook_duration.with_label_values::<&str>(&[]).observe(took.as_secs_f64());
            }
            What::GitHubRequest { verb, status, remaining, .. } => {
                self.github_requests.with_label_values(&[*verb, &status_label(*status)]).inc();
                if let Some(remaining) = remaining {
                    let remaining = i64::try_from(*remaining).unwrap_or(i64::MAX);
                    self.github_rate_limit.with_label_values::<&str>(&[]).set(remaining);
                }
            }
            What::GitHubHeldBack { priority } => {
                self.github_held_back.with_label_values(&[*priority]).inc();
            }
            _ => {}
        }
    }

    pub(super) fn queue(&self, route: &Route, waiting: Waiting) {
        let jobs = i64::try_from(waiting.jobs).unwrap_or(i64::MAX);
        let age_s = waiting.oldest.unwrap_or_default().as_secs();
        let age_s = i64::try_from(age_s).unwrap_or(i64::MAX);
        self.queue_depth.with_label_values(&[route.queue()]).set(jobs);
        self.queue_oldest_age.with_label_values(&[route.queue()]).set(age_s);
    }

    /// Makes the series of webhooks at zero.
    pub(super) fn expect_webhooks(&self, outcomes: &[&str]) {
        for event in LABELS {
            for outcome in outcomes {
                self.webhooks.with_label_values(&[event, *outcome]);
            }
        }
    }

    /// How many jobs there are in a queue that has no route: what is delayed, what failed for good.
    pub(super) fn depth(&self, queue: &str, jobs: u64) {
        let jobs = i64::try_from(jobs).unwrap_or(i64::MAX);
        self.queue_depth.with_label_values(&[queue]).set(jobs);
    }
}

fn status_label(status: u16) -> String {
    match status {
        0 => "none".to_owned(),
        100..=599 => status.to_string(),
        _ => "other".to_owned(),
    }
}
