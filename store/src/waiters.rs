//! Who waits for what, within this process.
//!
//! Owns the fan-out of one subscription to all who wait, in the order in which they came. Bounded
//! by their number: a wake-up is a mark beside a waiter, never a message in a queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All who wait.
#[derive(Default)]
pub(crate) struct Waiters {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    by_key: HashMap<String, BTreeMap<u64, Arc<Bell>>>,
}

/// What rings for one who waits.
#[derive(Default)]
struct Bell {
    rung: Notify,
    place: Mutex<usize>,
}

/// One who waits. Dropping it ends that.
pub(crate) struct Waiter {
    waiters: Arc<Waiters>,
    number: u64,
    keys: Vec<String>,
    bell: Arc<Bell>,
}

impl Waiters {
    /// Waits for any of these keys from now on: what rings before [`Waiter::rung`] is not missed.
    pub(crate) fn enter(self: &Arc<Self>, keys: Vec<String>) -> Waiter {
        let bell = Arc::new(Bell::default());
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        for key in &keys {
            state.by_key.entry(key.clone()).or_default().insert(number, bell.clone());
        }
        drop(state);
        Waiter { waiters: self.clone(), number, keys, bell }
    }

    /// Rings for all who wait for any of these keys, and says to each how many came before it.
    pub(crate) fn wake(&self, keys: &[String]) {
        let mut woken = BTreeMap::new();
        {
            let state = self.state();
            for waiters in keys.iter().filter_map(|key| state.by_key.get(key)) {
                woken.extend(waiters.iter().map(|(number, bell)| (*number, bell.clone())));
            }
        }
        for (place, bell) in woken.into_values().enumerate() {
            bell.ring(place);
        }
    }

    /// Rings for all: nobody knows what was missed.
    pub(crate) fn wake_all(&self) {
        let keys: Vec<String> = self.state().by_key.keys().cloned().collect();
        self.wake(&keys);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    fn ring(&self, place: usize) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
        self.rung.notify_one();
    }
}

impl Waiter {
    /// Returns when it has rung since this was called last, with how many came before.
    pub(crate) async fn rung(&self) -> usize {
        self.bell.rung.notified().await;
        *self.bell.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.waiters.state();
        for key in &self.keys {
            if let Some(waiting) = state.by_key.get_mut(key) {
                waiting.remove(&self.number);
                if waiting.is_empty() {
                    state.by_key.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[tokio::test]
    async fn each_hears_of_its_own_keys_and_its_place() {
        let waiters = Arc::new(Waiters::default());
        let [first, second] = [0, 1].map(|_| waiters.enter(vec!["a".to_owned(), "b".to_owned()]));
        let other = waiters.enter(key("c"));
        waiters.wake(&["a".to_owned(), "b".to_owned()]);
        assert_eq!((first.rung().await, second.rung().await), (0, 1));
        drop(first);
        waiters.wake(&key("b"));
        assert_eq!(second.rung().await, 0);
        assert!(tokio::time::timeout(std::time::Duration::ZERO, other.rung()).await.is_err());
        waiters.wake_all();
        other.rung().await;
        drop((second, other));
        assert!(waiters.state().by_key.is_empty(), "who has gone is forgotten");
    }
}
