//! Where metrics are made: each gets the prefix, a help text and a place in the registry.
//!
//! Owns the prefix and the buckets. Refuses to know what is measured.

use prometheus::core::Collector;
use prometheus::{
    Error, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, opts,
};

/// For work, from an answer of GitHub's (50 ms) to a backfill (4 h).
pub(super) const WORK: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0];

/// For waiting in a line, where below a second is at once and a morning is possible.
pub(super) const WAIT: &[f64] =
    &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0];

/// For webhooks: GitHub gives up after 10 s, and a confirm from the broker takes milliseconds.
pub(super) const ANSWER: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// For requests of one job: an approval takes 3, a gate check or a deploy 8.
pub(super) const REQUESTS: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0];

/// Makes metrics and puts them into a registry.
pub(super) struct Shelf<'a>(pub(super) &'a Registry);

impl Shelf<'_> {
    /// A histogram.
    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        let opts = HistogramOpts::from(named(name, help)).buckets(buckets.to_vec());
        self.put(HistogramVec::new(opts, labels)?)
    }

    /// A counter for each combination of labels.
    pub(super) fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        self.put(IntCounterVec::new(named(name, help), labels)?)
    }

    /// A gauge for each combination of labels.
    pub(super) fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, Error> {
        self.put(IntGaugeVec::new(named(name, help), labels)?)
    }

    /// `build_info`: always 1, for the sake of its label.
    pub(super) fn build_info(&self, version: &str) -> Result<(), Error> {
        let help = "Always 1; the label says which version runs.";
        let opts = named("build_info", help).const_label("version", version);
        self.put(IntGauge::with_opts(opts)?)?.set(1);
        Ok(())
    }

    fn put<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn named(name: &str, help: &str) -> Opts {
    opts!(name, help).namespace("sluice")
}
