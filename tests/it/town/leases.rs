//! Leases that a story can take away from their holder, as a restarted store does.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use sluice::lease::memory::MemoryLeases;
use sluice::lease::{
    Grant, LeaseError, LeaseInfo, LeaseKey, LeaseRequest, Leases, Release, Standing,
};
use sluice::names::ProjectName;
use tokio::sync::watch;

/// The in-memory leases, and who holds which.
pub struct Losable {
    leases: MemoryLeases,
    held: Mutex<Vec<Grant>>,
    noticed: watch::Sender<bool>,
    /// Whether renewals get an answer.
    renews: watch::Sender<bool>,
    /// What nobody can say.
    away: Mutex<Option<Call>>,
}

/// What the store may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Inspect,
    Turn,
}

/// Whether the store answers.
pub enum Answers {
    Yes,
    No,
}

impl Losable {
    pub fn new(leases: MemoryLeases) -> Self {
        Self {
            leases,
            held: Mutex::default(),
            noticed: watch::Sender::default(),
            renews: watch::Sender::new(true),
            away: Mutex::default(),
        }
    }

    /// Takes everything from everybody: the next renewal finds nothing.
    pub async fn are_lost(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        for grant in held {
            // Some have been given back since.
            drop(self.leases.release(&grant, Release::Free).await);
        }
    }
}

impl Losable {
    /// Makes the store leave renewals without an answer, and answer again.
    pub fn answers_renewals(&self, answers: Answers) {
        self.renews.send_replace(matches!(answers, Answers::Yes));
    }

    /// Makes the store unavailable for one sort of question, or for none.
    pub fn is_away_for(&self, call: Option<Call>) {
        *self.away.lock().unwrap() = call;
    }

    fn says(&self, call: Call) -> Result<(), LeaseError> {
        match *self.away.lock().unwrap() == Some(call) {
            true => Err(LeaseError::Unavailable(format!("away for {call:?}"))),
            false => Ok(()),
        }
    }

    /// Waits until a holder has found out.
    pub async fn until_noticed(&self) {
        self.noticed.subscribe().wait_for(|noticed| *noticed).await.unwrap();
    }
}

#[async_trait]
impl Leases for Losable {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError> {
        if matches!(request.keys.as_slice(), [LeaseKey::PullRequest(..)]) {
            self.says(Call::Turn)?;
        }
        let grant = self.leases.acquire(request).await?;
        self.held.lock().unwrap().push(grant.clone());
        Ok(grant)
    }

    async fn renew(
        &self,
        grant: &Grant,
        phase: &str,
        give_back: Release,
    ) -> Result<(), LeaseError> {
        drop(self.renews.subscribe().wait_for(|renews| *renews).await.unwrap());
        let renewed = self.leases.renew(grant, phase, give_back).await;
        if renewed.is_err() {
            self.noticed.send_replace(true);
        }
        renewed
    }

    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError> {
        self.leases.release(grant, release).await
    }

    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError> {
        self.says(Call::Inspect)?;
        self.leases.inspect(project).await
    }

    async fn changed(&self, keys: &[LeaseKey], at_most: Duration) {
        self.leases.changed(keys, at_most).await;
    }

    async fn revoke(&self, key: &LeaseKey) -> Result<Option<LeaseInfo>, LeaseError> {
        self.leases.revoke(key).await
    }

    async fn check(&self) -> Result<(), LeaseError> {
        self.leases.check().await
    }
}

/// Whether a lease is held or reserved, and not a sweep's.
pub(super) fn is_somebodys(lease: &LeaseInfo) -> bool {
    let rests = matches!(lease.standing, Standing::Resting { .. });
    !rests && !matches!(lease.key, LeaseKey::Sweep(_))
}
