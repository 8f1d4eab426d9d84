//! Every metric of sluice: name, help, labels and buckets, in one struct that listens to events.
//!
//! Owns the names of DESIGN "Metrics". Labels are closed enums or configured names, never free
//! text, so that the number of series has a bound. Refuses to know who serves the text.

use std::time::{Duration, SystemTime};

use prometheus::{Registry, TextEncoder};

use self::deploys::{Deploys, prod_of};
use self::edge::Edge;
use self::jobs::Jobs;
use self::shelf::Shelf;
use crate::clock::unix_ms;
use crate::lease::{LeaseError, Leases, Standing};
use crate::ledger::Ledger;
use crate::names::ProjectName;
use crate::observe::{Event, Observer};
use crate::queue::{Queue, QueueError, Route};

mod deploys;
mod edge;
mod jobs;
mod shelf;

/// Every metric. One per process; it listens, and answers a scrape.
///
/// Series are made at zero for the labels that are known beforehand, so that a rate sees their
/// first event.
pub struct Metrics {
    registry: Registry,
    jobs: Jobs,
    deploys: Deploys,
    edge: Edge,
}

/// Why there is no sample. The gauges keep what they last said.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The queue did not say.
    #[error("no queue depth: {0}")]
    Queue(#[from] QueueError),
    /// The leases did not say.
    #[error("no reservations: {0}")]
    Leases(#[from] LeaseError),
}

impl Metrics {
    /// All metrics of the configured projects. Fails only when a name or a label in this module is
    /// not one that Prometheus accepts.
    pub fn new(projects: &[ProjectName], version: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let shelf = Shelf(&registry);
        shelf.build_info(version)?;
        let jobs = Jobs::new(&shelf)?;
        let deploys = Deploys::new(&shelf, projects)?;
        let edge = Edge::new(&shelf)?;
        Ok(Self { registry, jobs, deploys, edge })
    }

    /// Makes the series of webhooks with these outcomes at zero: for a process that receives some.
    pub fn expect_webhooks(&self, outcomes: &[&str]) {
        self.edge.expect_webhooks(outcomes);
    }

    /// The answer to a scrape, in Prometheus' text format 0.0.4.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Asks how many jobs wait on `routes`, and for how long at `now` the oldest of them: the
    /// queue, or the ledger where the queue cannot say. Also how many jobs are delayed, and
    /// how many failed for good: letters that the broker made, too, which nobody is told of.
    pub async fn sample_queue(
        &self,
        queue: &dyn Queue,
        ledger: &dyn Ledger,
        now: SystemTime,
        routes: &[Route],
    ) -> Result<(), SampleError> {
        for route in routes {
            let mut waiting = queue.waiting(route).await?;
            if waiting.oldest.is_none() && waiting.jobs > 0 {
                let since = ledger.oldest(route).await;
                let age = |since| Duration::from_millis(unix_ms(now).saturating_sub(since));
                waiting.oldest = since.map(age);
            }
            self.edge.queue(route, waiting);
        }
        self.edge.depth("sluice.retry", queue.delayed().await?);
        self.edge.depth("sluice.dead", queue.dead_letters().await?);
        Ok(())
    }

    /// Asks which projects' prod is reserved: how "applied, not merged" stands in the leases. The
    /// event alone would not do: one worker hears that it began, another one may merge.
    pub async fn sample_reservations(
        &self,
        leases: &dyn Leases,
        projects: &[ProjectName],
    ) -> Result<(), SampleError> {
        for project in projects {
            let prod = prod_of(project);
            let standing = leases.inspect(project).await?;
            let reserved =
                standing.iter().any(|info| info.key == prod && info.standing == Standing::Reserved);
            self.deploys.applied_not_merged(project, reserved);
        }
        Ok(())
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event) {
        self.jobs.observe(event);
        self.edge.observe(&event.what);
        if let Some(job) = &event.job {
            self.deploys.observe(job, &event.what);
        }
    }
}
