//! The ports of a worker, each effect with its two points; what is asked and not changed goes
//! straight through. And the ports with a guard taken away, for the test of the tests.

mod github;
mod leases;
mod ledger;
mod queue;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice::pipeline::Deps;

use crate::history::History;
use crate::points::{Points, When};

pub use queue::{Pointed as PointedQueue, Published};

/// Something that keeps two from doing the same, or one from doing it twice. A test takes one away
/// and must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Leases are given to whoever asks.
    Lease,
    /// An apply goes on whatever became of its lease.
    Fence,
    /// What is there already is made again.
    Adoption,
    /// Prod is free again while main lacks what it runs.
    Reservation,
    /// A message is done with when it is handed out.
    Redelivery,
}

/// What the decorators have in common.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) points: Points,
    pub(crate) history: History,
    pub(crate) without: Option<Guard>,
    pub(crate) published: Published,
}

impl Around {
    /// Does something with its two points around it.
    async fn at<T>(&self, effect: &str, work: impl Future<Output = T>) -> T {
        self.points.reach(effect, When::Before);
        let done = work.await;
        self.points.reach(effect, When::After);
        done
    }

    fn lacks(&self, guard: Guard) -> bool {
        self.without == Some(guard)
    }
}

/// The same, decorated.
pub(crate) fn decorated(deps: Deps, around: &Around) -> Deps {
    Deps {
        queue: Arc::new(queue::Pointed::new(deps.queue, around.clone())),
        leases: Arc::new(leases::Pointed::new(deps.leases, around.clone())),
        github: Arc::new(github::Pointed::new(deps.github, around.clone())),
        ledger: Arc::new(ledger::Pointed::new(deps.ledger, around.clone())),
        ..deps
    }
}
