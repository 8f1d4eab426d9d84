//! The one way to the world: behind a lock, with a bell that rings after every change, so that
//! whoever waits for something is woken and never polls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::world::World;

/// A world that several tasks use. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    changes: Arc<watch::Sender<u64>>,
}

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        let (changes, _) = watch::channel(0);
        Self { world: Arc::new(Mutex::new(world)), changes: Arc::new(changes) }
    }

    /// Looks at the world. For short looks: git is not to be called in here from async code.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the world, on this thread.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Changes the world on a thread that may block, because most changes run git.
    pub(crate) async fn change_blocking<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut World) -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        let shared = self.clone();
        tokio::task::spawn_blocking(move || shared.change(change)).await
    }

    /// Wakes after each change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A panic in one closure leaves a world that is still worth looking at.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
