//! A worker that stops, and the one that comes after it.

use sluice_service::{Ended, Shutdown};
use sluice_worker::run::run;

use super::{PATIENCE, Town};

impl Town {
    /// Waits until the worker, which was told to stop, has ended in order.
    pub async fn is_left_by_its_worker(&mut self) {
        assert!(self.shutdown.drain.is_cancelled(), "nobody told it to stop");
        let worker = self.worker.take().expect("there is one");
        let ended = tokio::time::timeout(PATIENCE, worker).await;
        assert_eq!(ended.expect("the worker ends").unwrap(), Ended::InOrder);
    }

    /// The same, if it is still there; then another one comes.
    pub async fn is_followed_by_another_worker(&mut self) {
        if self.worker.is_some() {
            self.is_left_by_its_worker().await;
        }
        let (deps, shutdown) = (self.deps.clone(), Shutdown::default());
        self.worker = Some(tokio::spawn(run(deps, self.slots, self.graces, shutdown.clone())));
        self.shutdown = shutdown;
    }
}
