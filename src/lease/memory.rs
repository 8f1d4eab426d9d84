//! Leases within one process, for `sluice up`, the demo and the tests.
//!
//! Owns the semantics that the contract suite (`tests/it/contracts/leases.rs`) holds every adapter
//! to. Nothing runs in the background: what has expired is found out when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{
    Grant, LeaseError, LeaseInfo, LeaseKey, LeaseRequest, Leases, Obstacle, Owner, Release,
    Standing,
};
use crate::clock::{Clock, unix_ms};
use crate::names::ProjectName;

/// Leases in this process's memory. They end with it, and so does everything they protect.
pub struct MemoryLeases {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    epoch: u64,
    slots: BTreeMap<LeaseKey, Slot>,
}

/// A key that is not free.
enum Slot {
    /// Held or reserved.
    Taken(Tenancy),
    /// Its holder was lost; nobody gets it before then.
    Resting { until: Instant },
}

struct Tenancy {
    owner: Owner,
    epoch: u64,
    since_ms: u64,
    renewed_ms: u64,
    phase: String,
    lock_delay: Duration,
    /// When it expires; `None` while it is reserved.
    expires: Option<Instant>,
    /// What it was taken from, and goes back to unless its holder decides otherwise.
    taken_from: Release,
}

impl Tenancy {
    fn is_of(&self, grant: &Grant) -> bool {
        self.owner.nonce == grant.owner.nonce && self.epoch == grant.epoch
    }
}

impl MemoryLeases {
    /// Nothing is held.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), changed: Notify::new() }
    }

    /// The state as it is now: what has expired is gone.
    fn state(&self) -> (MutexGuard<'_, State>, Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.instant();
        state.expire(now);
        (state, now)
    }
}

#[async_trait]
impl Leases for MemoryLeases {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError> {
        let (mut state, now) = self.state();
        let now_ms = unix_ms(self.clock.now());
        let keys: BTreeSet<&LeaseKey> = request.keys.iter().collect();
        let epoch = match state.held_already(&keys, &request.owner) {
            Some(epoch) => epoch,
            None => {
                state.must_be_free(&request.keys, &request.owner, now)?;
                state.epoch += 1;
                state.epoch
            }
        };
        let mut give_back = Release::Free;
        for key in keys {
            if state.take(key, request, (epoch, now, now_ms)) == Release::Reserve {
                give_back = Release::Reserve;
            }
        }
        Ok(Grant {
            give_back,
            keys: request.keys.clone(),
            owner: request.owner.clone(),
            epoch,
            ttl: request.ttl,
        })
    }

    async fn renew(&self, grant: &Grant, phase: &str) -> Result<(), LeaseError> {
        let (mut state, now) = self.state();
        let now_ms = unix_ms(self.clock.now());
        for key in &grant.keys {
            if state.tenancy(key, grant)?.expires.is_none() {
                return Err(LeaseError::Lost(key.clone()));
            }
        }
        for key in &grant.keys {
            let tenancy = state.tenancy(key, grant)?;
            tenancy.expires = Some(now + grant.ttl);
            tenancy.renewed_ms = now_ms;
            phase.clone_into(&mut tenancy.phase);
        }
        Ok(())
    }

    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError> {
        {
            let (mut state, _) = self.state();
            for key in &grant.keys {
                state.tenancy(key, grant)?;
            }
            for key in &grant.keys {
                match release {
                    Release::Free => drop(state.slots.remove(key)),
                    Release::Reserve => state.tenancy(key, grant)?.expires = None,
                }
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError> {
        let (state, _) = self.state();
        let mine = state.slots.iter().filter(|(key, _)| key.project() == project);
        Ok(mine.filter_map(|(key, slot)| slot.info(key)).collect())
    }

    async fn changed(&self, keys: &[LeaseKey], at_most: Duration) {
        let deadline = self.clock.instant() + at_most;
        let mut before = None;
        loop {
            let changed = self.changed.notified();
            let (occupation, pause) = {
                let (state, now) = self.state();
                let expiry = state.next_expiry(keys).unwrap_or(deadline).min(deadline);
                if now >= deadline {
                    return;
                }
                (state.occupation(keys), expiry.saturating_duration_since(now))
            };
            let same = before.get_or_insert_with(|| occupation.clone()) == &occupation;
            if !same || occupation.iter().all(Option::is_none) {
                return;
            }
            tokio::select! {
                () = changed => {}
                () = self.clock.sleep(pause) => {}
            }
        }
    }
}

impl State {
    /// Turns what stood until its time was up into a lock-delay, and ends those that are over.
    fn expire(&mut self, now: Instant) {
        self.slots.retain(|_, slot| {
            if let Slot::Taken(Tenancy { expires: Some(expires), lock_delay, .. }) = slot
                && *expires <= now
            {
                *slot = Slot::Resting { until: *expires + *lock_delay };
            }
            !matches!(slot, Slot::Resting { until } if *until <= now)
        });
    }

    /// The epoch, when exactly this request was granted already and still stands.
    fn held_already(&self, keys: &BTreeSet<&LeaseKey>, owner: &Owner) -> Option<u64> {
        let mut epochs = keys.iter().map(|key| match self.slots.get(*key) {
            Some(Slot::Taken(held)) if held.expires.is_some() => {
                (held.owner.nonce == owner.nonce).then_some(held.epoch)
            }
            _ => None,
        });
        let first = epochs.next()??;
        epochs.all(|epoch| epoch == Some(first)).then_some(first)
    }

    fn must_be_free(
        &self,
        keys: &[LeaseKey],
        owner: &Owner,
        now: Instant,
    ) -> Result<(), LeaseError> {
        let taken = keys.iter().find_map(|key| {
            let obstacle = self.slots.get(key)?.obstacle(owner, now)?;
            Some(LeaseError::Busy { key: key.clone(), obstacle })
        });
        taken.map_or(Ok(()), Err)
    }

    fn take(
        &mut self,
        key: &LeaseKey,
        request: &LeaseRequest,
        (epoch, now, now_ms): (u64, Instant, u64),
    ) -> Release {
        let (before, taken_from) = match self.slots.remove(key) {
            Some(Slot::Taken(before)) if before.epoch == epoch => {
                let taken_from = before.taken_from;
                (Some(before), taken_from)
            }
            Some(Slot::Taken(before)) if before.expires.is_none() => (None, Release::Reserve),
            _ => (None, Release::Free),
        };
        let (since_ms, phase) = before.map_or((now_ms, String::new()), |b| (b.since_ms, b.phase));
        let tenancy = Tenancy {
            owner: request.owner.clone(),
            epoch,
            since_ms,
            renewed_ms: now_ms,
            phase,
            lock_delay: request.lock_delay,
            expires: Some(now + request.ttl),
            taken_from,
        };
        self.slots.insert(key.clone(), Slot::Taken(tenancy));
        taken_from
    }

    fn tenancy(&mut self, key: &LeaseKey, grant: &Grant) -> Result<&mut Tenancy, LeaseError> {
        match self.slots.get_mut(key) {
            Some(Slot::Taken(tenancy)) if tenancy.is_of(grant) => Ok(tenancy),
            _ => Err(LeaseError::Lost(key.clone())),
        }
    }

    /// When one of the keys may change by time alone.
    fn next_expiry(&self, keys: &[LeaseKey]) -> Option<Instant> {
        keys.iter().filter_map(|key| self.slots.get(key)?.expires()).min()
    }

    /// Who has each of the keys, by epoch; a lock-delay counts as epoch 0.
    fn occupation(&self, keys: &[LeaseKey]) -> Vec<Option<(u64, bool)>> {
        let occupant = |key| {
            Some(match self.slots.get(key)? {
                Slot::Taken(tenancy) => (tenancy.epoch, tenancy.expires.is_some()),
                Slot::Resting { .. } => (0, false),
            })
        };
        keys.iter().map(occupant).collect()
    }
}

impl Slot {
    fn expires(&self) -> Option<Instant> {
        match self {
            Self::Taken(tenancy) => tenancy.expires,
            Self::Resting { until } => Some(*until),
        }
    }

    /// What keeps `asker` from having it.
    fn obstacle(&self, asker: &Owner, now: Instant) -> Option<Obstacle> {
        match self {
            Self::Resting { until } => {
                Some(Obstacle::LockDelay { left: until.saturating_duration_since(now) })
            }
            Self::Taken(Tenancy { owner, expires: Some(expires), lock_delay, .. }) => {
                let at_most = expires.saturating_duration_since(now) + *lock_delay;
                Some(Obstacle::Held { owner: Box::new(owner.clone()), at_most })
            }
            Self::Taken(Tenancy { owner, expires: None, .. }) => (owner.pr != asker.pr)
                .then(|| Obstacle::Reserved { owner: Box::new(owner.clone()) }),
        }
    }

    fn info(&self, key: &LeaseKey) -> Option<LeaseInfo> {
        let Self::Taken(tenancy) = self else { return None };
        let held = tenancy.expires.is_some();
        Some(LeaseInfo {
            key: key.clone(),
            standing: if held { Standing::Held } else { Standing::Reserved },
            owner: tenancy.owner.clone(),
            epoch: tenancy.epoch,
            since_ms: tenancy.since_ms,
            renewed_ms: tenancy.renewed_ms,
            phase: tenancy.phase.clone(),
        })
    }
}
