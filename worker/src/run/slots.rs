//! The slots that the deploys of all projects share.
//!
//! Owns how many are free. Taking one never waits: whoever cannot have one gives its job back, so
//! that another worker gets it.

use tokio::sync::watch;

/// The slots.
#[derive(Clone)]
pub(super) struct DeploySlots {
    free: watch::Sender<u16>,
}

/// A slot, until it is dropped.
pub(super) struct Slot {
    free: watch::Sender<u16>,
}

impl DeploySlots {
    /// So many; at least one.
    pub(super) fn new(count: u16) -> Self {
        Self { free: watch::Sender::new(count.max(1)) }
    }

    /// A slot, if one is free now.
    pub(super) fn take(&self) -> Option<Slot> {
        let taken = self.free.send_if_modified(|free| {
            let is_free = *free > 0;
            *free = free.saturating_sub(1);
            is_free
        });
        taken.then(|| Slot { free: self.free.clone() })
    }

    /// Returns when one is free; somebody else may be faster.
    pub(super) async fn some(&self) {
        // This keeps the sender, so the channel stays open.
        let _ = self.free.subscribe().wait_for(|free| *free > 0).await;
    }

    /// Returns when none is free.
    pub(super) async fn none(&self) {
        let _ = self.free.subscribe().wait_for(|free| *free == 0).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.free.send_modify(|free| *free += 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_slot_comes_back_when_it_is_dropped() {
        let slots = DeploySlots::new(1);
        slots.some().await;
        let slot = slots.take().unwrap();
        assert!(slots.take().is_none());
        slots.none().await;
        drop(slot);
        slots.some().await;
        assert!(slots.take().is_some());
    }
}
