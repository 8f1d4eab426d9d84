//! What the tests of `hold` stand on: a store with moods, a diary, a clock that the test moves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::{Keeper, hold};
use crate::clock::manual::ManualClock;
use crate::job::JobKind;
use crate::lease::memory::MemoryLeases;
use crate::lease::{
    Grant, LeaseError, LeaseInfo, LeaseKey, LeaseRequest, Leases, Release, Standing, Timings, Wait,
    Wish,
};
use crate::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use crate::observe::{Event, JobRef, Observer, What};
use crate::outcome::Stop;

/// How the store answers renewals (and everything else while it is away).
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Well,
    Away,
    Silent,
    /// It does what it is asked, and its answers are lost.
    Unheard,
}

/// A store that can be away, or silent.
pub(super) struct Store {
    real: MemoryLeases,
    mood: Mutex<Mood>,
    pub(super) requests: AtomicUsize,
    pub(super) renewals: AtomicUsize,
    renewed: Notify,
    refused: Notify,
    /// Fires when the next lease is granted.
    cancels: Mutex<Option<CancellationToken>>,
}

impl Store {
    pub(super) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Cancels the job while its next lease is being granted.
    pub(super) fn cancels_while_it_grants(&self, cancel: &CancellationToken) {
        *self.cancels.lock().unwrap() = Some(cancel.clone());
    }

    /// Waits until it was asked while it was away.
    pub(super) async fn until_refused(&self) {
        self.refused.notified().await;
    }

    /// Waits until so many renewals were answered.
    pub(super) async fn until_renewed(&self, times: usize) {
        loop {
            let renewed = self.renewed.notified();
            tokio::pin!(renewed);
            renewed.as_mut().enable();
            if self.renewals.load(Ordering::SeqCst) >= times {
                return;
            }
            renewed.await;
        }
    }

    async fn answers(&self) -> Result<(), LeaseError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well | Mood::Unheard => Ok(()),
            Mood::Away => {
                self.refused.notify_one();
                Err(LeaseError::Unavailable("away".to_owned()))
            }
            Mood::Silent => std::future::pending().await,
        }
    }

    /// What is heard of an answer.
    fn heard<T>(&self, answer: Result<T, LeaseError>) -> Result<T, LeaseError> {
        match *self.mood.lock().unwrap() {
            Mood::Unheard => Err(LeaseError::Unavailable("the answer was lost".to_owned())),
            _ => answer,
        }
    }
}

#[async_trait]
impl Leases for Store {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.answers().await?;
        let granted = self.real.acquire(request).await;
        if let Some(cancel) = self.cancels.lock().unwrap().take() {
            cancel.cancel();
        }
        self.heard(granted)
    }
    async fn renew(
        &self,
        grant: &Grant,
        phase: &str,
        give_back: Release,
    ) -> Result<(), LeaseError> {
        self.answers().await?;
        let answer = self.real.renew(grant, phase, give_back).await;
        self.renewals.fetch_add(1, Ordering::SeqCst);
        self.renewed.notify_waiters();
        self.heard(answer)
    }
    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError> {
        self.answers().await?;
        self.heard(self.real.release(grant, release).await)
    }
    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError> {
        self.real.inspect(project).await
    }
    async fn changed(&self, keys: &[LeaseKey], at_most: Duration) {
        self.real.changed(keys, at_most).await;
    }
    async fn revoke(&self, key: &LeaseKey) -> Result<Option<LeaseInfo>, LeaseError> {
        self.real.revoke(key).await
    }
    async fn check(&self) -> Result<(), LeaseError> {
        self.answers().await
    }
}

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Observer for Diary {
    fn observe(&self, event: &Event) {
        let line = match &event.what {
            What::LeaseGranted { key, waited } => format!("{key} after {waited:?}"),
            What::LeaseEnded { key, held, end } => format!("{key} {end:?} after {held:?}"),
            other => panic!("unexpected event {other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

pub(super) struct Bench {
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<Store>,
    diary: Arc<Diary>,
    pub(super) keeper: Keeper,
    pub(super) cancel: CancellationToken,
}

impl Bench {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        let store = Arc::new(Store {
            real: MemoryLeases::new(clock.clone()),
            mood: Mutex::new(Mood::Well),
            requests: AtomicUsize::new(0),
            renewals: AtomicUsize::new(0),
            renewed: Notify::new(),
            refused: Notify::new(),
            cancels: Mutex::default(),
        });
        let diary = Arc::new(Diary::default());
        let keeper = Keeper {
            leases: store.clone(),
            clock: clock.clone(),
            observer: diary.clone(),
            timings: Timings::default(),
            host: "worker-1".to_owned(),
        };
        Self { clock, store, diary, keeper, cancel: CancellationToken::new() }
    }

    pub(super) fn wish<'a>(&self, pr: u64, wait: Wait<'a>) -> Wish<'a> {
        let job = JobRef {
            id: JobId::new(format!("deploy-{pr}")).unwrap(),
            kind: JobKind::Deploy,
            project: project(),
            pr: PrNumber(pr),
            cause: "test".to_owned(),
        };
        let head = Sha::new("a".repeat(40)).unwrap();
        Wish::environment(&job, &head, &Environment::prod(), wait, &self.cancel)
    }

    pub(super) fn diary(&self) -> Vec<String> {
        self.diary.0.lock().unwrap().clone()
    }

    pub(super) async fn standing(&self) -> Vec<Standing> {
        self.store.inspect(&project()).await.unwrap().iter().map(|info| info.standing).collect()
    }

    /// What prod becomes when its holder is lost now.
    pub(super) async fn given_back(&self) -> Release {
        self.store.inspect(&project()).await.unwrap()[0].give_back
    }

    /// What an operator's unlock does.
    pub(super) async fn take_away_prod(&self) {
        let info = self.store.inspect(&project()).await.unwrap().remove(0);
        assert_eq!(info.key.to_string(), "warehouse/prod");
        let (keys, owner) = (vec![info.key], info.owner);
        let grant = Grant {
            keys,
            owner,
            epoch: info.epoch,
            ttl: seconds(120),
            give_back: Release::Free,
            kept_for: None,
        };
        self.store.release(&grant, Release::Free).await.unwrap();
    }

    /// Holds until the lease is lost, on a task of its own; says when it works.
    pub(super) async fn hold_until_lost(
        &self,
        pr: u64,
    ) -> tokio::task::JoinHandle<Result<&'static str, Stop>> {
        let (keeper, wish) = (self.keeper.clone(), self.wish(pr, Wait::No));
        let (begun, begins) = oneshot::channel();
        let task = tokio::spawn(async move {
            hold(&keeper, wish, async |lease| {
                begun.send(()).ok();
                lease.lost().cancelled().await;
                Ok("finished all the same")
            })
            .await
        });
        begins.await.unwrap();
        task
    }
}

pub(super) fn project() -> ProjectName {
    ProjectName::new("warehouse").unwrap()
}

pub(super) fn snapshot() -> LeaseKey {
    LeaseKey::Snapshot(project(), "orders@1".to_owned())
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
