//! From configuration to a producer that can be run.

use std::sync::Arc;

use sluice::clock::Clock;
use sluice::config::Config;
use sluice::metrics::Metrics;
use sluice::observe::Observer;
use sluice_service::Stores;

use crate::{Deps, Settings};

/// A producer as the configuration says. `observer` is told what happens; it tells `metrics` too.
pub fn assemble(
    config: &Config,
    stores: &Stores,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    metrics: Arc<Metrics>,
) -> (Settings, Deps) {
    let deps = Deps {
        queue: stores.queue.clone(),
        processed: stores.processed.clone(),
        leases: stores.leases.clone(),
        clock,
        observer,
        metrics,
    };
    (Settings::of(config), deps)
}
