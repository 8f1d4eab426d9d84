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
use crate::names::{ProjectName, Sha};

/// Leases in this process's memory. They end with it, and so does everything they protect.
pub struct MemoryLeases {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    epoch: u64,
    tenancies: BTreeMap<LeaseKey, Tenancy>,
}

/// A key that is not free.
struct Tenancy {
    owner: Owner,
    epoch: u64,
    since_ms: u64,
    renewed_ms: u64,
    phase: String,
    lock_delay: Duration,
    state: TenancyState,
    /// What it goes back to when nobody says otherwise any more: what it was taken from, and then
    /// what its holder said last.
    give_back: Release,
    /// The head that it is reserved for then.
    kept_for: Option<Sha>,
}

#[derive(Clone, Copy)]
enum TenancyState {
    /// Somebody works under it, and renews it before then.
    Held { expires: Instant },
    /// Its holder was lost; nobody gets it before then.
    Resting { until: Instant },
    /// Kept for its pull request, for as long as that takes.
    Reserved,
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
        let (mut give_back, mut kept_for) = (Release::Free, request.owner.head.clone());
        for key in keys {
            let taken = state.take(key, request, (epoch, now, now_ms));
            if taken.give_back == Release::Reserve {
                (give_back, kept_for) = (Release::Reserve, taken.kept_for.clone());
            }
        }
        Ok(Grant {
            give_back,
            kept_for,
            keys: request.keys.clone(),
            owner: request.owner.clone(),
            epoch,
            ttl: request.ttl,
        })
    }

    async fn renew(
        &self,
        grant: &Grant,
        phase: &str,
        give_back: Release,
    ) -> Result<(), LeaseError> {
        let (mut state, now) = self.state();
        let now_ms = unix_ms(self.clock.now());
        for key in &grant.keys {
            if !matches!(state.tenancy(key, grant)?.state, TenancyState::Held { .. }) {
                return Err(LeaseError::Lost(key.clone()));
            }
        }
        for key in &grant.keys {
            let tenancy = state.tenancy(key, grant)?;
            tenancy.state = TenancyState::Held { expires: now + grant.ttl };
            tenancy.renewed_ms = now_ms;
            tenancy.give_back = give_back;
            tenancy.kept_for.clone_from(&grant.kept_for);
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
                    Release::Free => drop(state.tenancies.remove(key)),
                    Release::Reserve => state.tenancy(key, grant)?.reserve(&grant.kept_for),
                }
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError> {
        let (state, now) = self.state();
        let mine = state.tenancies.iter().filter(|(key, _)| key.project() == project);
        Ok(mine.map(|(key, tenancy)| tenancy.info(key, now)).collect())
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

    async fn revoke(&self, key: &LeaseKey) -> Result<Option<LeaseInfo>, LeaseError> {
        let revoked = {
            let (mut state, now) = self.state();
            state.revoke(key, now)
        };
        self.changed.notify_waiters();
        Ok(revoked)
    }

    async fn check(&self) -> Result<(), LeaseError> {
        Ok(())
    }
}

impl State {
    /// Turns what stood until its time was up into a lock-delay, and ends those that are over. What
    /// is then reserved has a new epoch: the grant that was lost has no say in it.
    fn expire(&mut self, now: Instant) {
        let epoch = &mut self.epoch;
        self.tenancies.retain(|_, tenancy| {
            if let TenancyState::Held { expires } = tenancy.state
                && expires <= now
            {
                *epoch += 1;
                tenancy.epoch = *epoch;
                tenancy.state = TenancyState::Resting { until: expires + tenancy.lock_delay };
            }
            match tenancy.state {
                TenancyState::Resting { until } if until <= now => {
                    tenancy.state = TenancyState::Reserved;
                    tenancy.give_back == Release::Reserve
                }
                _ => true,
            }
        });
    }

    /// The epoch, when exactly this request was granted already and still stands.
    fn held_already(&self, keys: &BTreeSet<&LeaseKey>, owner: &Owner) -> Option<u64> {
        let mut epochs = keys.iter().map(|key| {
            let held = self.tenancies.get(*key)?;
            let is_held = matches!(held.state, TenancyState::Held { .. });
            (is_held && held.owner.nonce == owner.nonce).then_some(held.epoch)
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
            let obstacle = self.tenancies.get(key)?.obstacle(owner, now)?;
            Some(LeaseError::Busy { key: key.clone(), obstacle })
        });
        taken.map_or(Ok(()), Err)
    }

    fn take(
        &mut self,
        key: &LeaseKey,
        request: &LeaseRequest,
        (epoch, now, now_ms): (u64, Instant, u64),
    ) -> &Tenancy {
        let before = self.tenancies.remove(key);
        let was_reserved = |before: &Tenancy| matches!(before.state, TenancyState::Reserved);
        let repeated = |before: &Tenancy| before.epoch == epoch;
        let (give_back, kept_for) = match &before {
            Some(before) if repeated(before) => (before.give_back, before.kept_for.clone()),
            Some(before) if was_reserved(before) => (Release::Reserve, before.kept_for.clone()),
            _ => (Release::Free, request.owner.head.clone()),
        };
        let before = before.filter(repeated);
        let (since_ms, phase) = before.map_or((now_ms, String::new()), |b| (b.since_ms, b.phase));
        let tenancy = Tenancy {
            owner: request.owner.clone(),
            epoch,
            since_ms,
            renewed_ms: now_ms,
            phase,
            lock_delay: request.lock_delay,
            state: TenancyState::Held { expires: now + request.ttl },
            give_back,
            kept_for,
        };
        self.tenancies.entry(key.clone()).insert_entry(tenancy).into_mut()
    }

    fn tenancy(&mut self, key: &LeaseKey, grant: &Grant) -> Result<&mut Tenancy, LeaseError> {
        let tenancy = self.tenancies.get_mut(key).filter(|tenancy| tenancy.is_of(grant));
        tenancy.ok_or_else(|| LeaseError::Lost(key.clone()))
    }

    fn revoke(&mut self, key: &LeaseKey, now: Instant) -> Option<LeaseInfo> {
        let tenancy = self.tenancies.get_mut(key)?;
        let was = tenancy.info(key, now);
        self.epoch += 1;
        tenancy.epoch = self.epoch;
        tenancy.give_back = Release::Free;
        match tenancy.state {
            TenancyState::Held { expires } => {
                tenancy.state = TenancyState::Resting { until: expires + tenancy.lock_delay };
            }
            TenancyState::Resting { .. } => {}
            TenancyState::Reserved => drop(self.tenancies.remove(key)),
        }
        Some(was)
    }

    /// When one of the keys may change by time alone.
    fn next_expiry(&self, keys: &[LeaseKey]) -> Option<Instant> {
        keys.iter().filter_map(|key| self.tenancies.get(key)?.changes_at()).min()
    }

    /// Who has each of the keys, by epoch, and whether somebody works under it.
    fn occupation(&self, keys: &[LeaseKey]) -> Vec<Option<(u64, bool)>> {
        let occupant = |key| {
            let tenancy = self.tenancies.get(key)?;
            Some((tenancy.epoch, tenancy.changes_at().is_some()))
        };
        keys.iter().map(occupant).collect()
    }
}

impl Tenancy {
    fn is_of(&self, grant: &Grant) -> bool {
        self.owner.nonce == grant.owner.nonce && self.epoch == grant.epoch
    }

    fn reserve(&mut self, kept_for: &Option<Sha>) {
        self.state = TenancyState::Reserved;
        self.give_back = Release::Reserve;
        self.kept_for.clone_from(kept_for);
    }

    /// When it becomes something else unless somebody does something; reserved things stay.
    fn changes_at(&self) -> Option<Instant> {
        match self.state {
            TenancyState::Held { expires } => Some(expires),
            TenancyState::Resting { until } => Some(until),
            TenancyState::Reserved => None,
        }
    }

    /// What keeps `asker` from having it.
    fn obstacle(&self, asker: &Owner, now: Instant) -> Option<Obstacle> {
        let owner = || Box::new(self.owner.clone());
        match self.state {
            TenancyState::Resting { until } => {
                Some(Obstacle::LockDelay { left: until.saturating_duration_since(now) })
            }
            TenancyState::Held { expires } => {
                let at_most = expires.saturating_duration_since(now) + self.lock_delay;
                Some(Obstacle::Held { owner: owner(), at_most })
            }
            TenancyState::Reserved => {
                (self.owner.pr != asker.pr).then(|| Obstacle::Reserved { owner: owner() })
            }
        }
    }

    fn info(&self, key: &LeaseKey, now: Instant) -> LeaseInfo {
        let standing = match (self.state, self.give_back) {
            (TenancyState::Held { .. }, _) => Standing::Held,
            (TenancyState::Reserved, _) | (_, Release::Reserve) => Standing::Reserved,
            (TenancyState::Resting { until }, Release::Free) => {
                Standing::Resting { left: until.saturating_duration_since(now) }
            }
        };
        LeaseInfo {
            key: key.clone(),
            standing,
            give_back: self.give_back,
            kept_for: self.kept_for.clone(),
            owner: self.owner.clone(),
            epoch: self.epoch,
            since_ms: self.since_ms,
            renewed_ms: self.renewed_ms,
            phase: self.phase.clone(),
        }
    }
}
