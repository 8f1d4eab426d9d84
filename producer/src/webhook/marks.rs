//! Marks of deliveries that are stored: made together, a few at a time, by a task of its own.
//!
//! Owns that each one keeps its turn until it is marked. Nobody waits for a mark but the copy of a
//! delivery, so those that come while some are being made are made together afterwards: at a high
//! rate that is a third of the calls.

use std::sync::Arc;

use sluice::ledger::Processed;
use sluice::names::DeliveryId;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A delivery's turn: a copy of it waits until it is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

/// Where marks are ordered.
pub(super) struct Marks {
    line: mpsc::Sender<(DeliveryId, Turn)>,
    ending: CancellationToken,
    maker: TaskTracker,
}

impl Marks {
    /// Marks are made in `processed`; at most `turns` are on their way, as there are no more turns.
    pub(super) fn made_in(processed: Arc<dyn Processed>, turns: usize) -> Self {
        let (line, coming) = mpsc::channel(turns);
        let (ending, maker) = (CancellationToken::new(), TaskTracker::new());
        maker.spawn(make(processed, coming, ending.clone()));
        Self { line, ending, maker }
    }

    /// It will be marked, and its turn over then.
    pub(super) async fn order(&self, delivery: DeliveryId, turn: Turn) {
        if self.line.send((delivery, turn)).await.is_err() {
            tracing::warn!("a delivery was stored after the last mark: a copy is stored again");
        }
    }

    /// Returns when all that was ordered is made, which ends in time by itself.
    pub(super) async fn end(&self) {
        self.ending.cancel();
        self.maker.close();
        self.maker.wait().await;
    }
}

async fn make(
    processed: Arc<dyn Processed>,
    mut coming: mpsc::Receiver<(DeliveryId, Turn)>,
    ending: CancellationToken,
) {
    let (most, mut some) = (coming.max_capacity(), Vec::new());
    while ending.run_until_cancelled(coming.recv_many(&mut some, most)).await.is_some() {
        mark(processed.as_ref(), &mut some).await;
    }
    coming.close();
    while coming.recv_many(&mut some, most).await > 0 {
        mark(processed.as_ref(), &mut some).await;
    }
}

async fn mark(processed: &dyn Processed, some: &mut Vec<(DeliveryId, Turn)>) {
    let (deliveries, turns): (Vec<_>, Vec<_>) = some.drain(..).unzip();
    processed.mark(&deliveries).await;
    drop(turns);
}
