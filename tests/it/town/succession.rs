//! A worker that stops, and the one that comes after it.

use sluice_service::{Ended, Shutdown};
use sluice_worker::run::run;

use super::{PATIENCE, Town};

impl Town {
    /// Waits until the worker, which was told to stop, has ended in order; then another one comes.
    pub async fn is_followed_by_another_worker(&mut self) {
        let (deps, shutdown) = (self.deps.clone(), Shutdown::default());
        assert!(self.shutdown.drain.is_cancelled(), "nobody told it to stop");
        let ended = tokio::time::timeout(PATIENCE, &mut self.worker).await;
        assert_eq!(ended.expect("the worker ends").unwrap(), Ended::InOrder);
        self.worker = tokio::spawn(run(deps, self.slots, self.graces, shutdown.clone()));
        self.shutdown = shutdown;
    }
}
