//! What the tests share: a queue that can fail and hang, a running producer, a GitHub that signs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use sluice::clock::SystemClock;
use sluice::config::Secret;
use sluice::job::Envelope;
use sluice::lease::memory::MemoryLeases;
use sluice::ledger::Processed;
use sluice::metrics::Metrics;
use sluice::names::{DeliveryId, ProjectName, Repository};
use sluice::observe::{Event, Observer, What};
use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use sluice::queue::{Deliveries, Queue, QueueError, Route, Waiting};
use sluice_producer::{Deps, Limits, Settings, serve};
use sluice_service::{Bound, RecentDeliveries};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const HEAD: &str = "ab00000000000000000000000000000000000001";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How the queue takes a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Stores,
    /// Stores this many more and refuses the rest.
    StoresOnly(usize),
    /// Answers when its mood changes.
    Hangs,
}

/// A queue that keeps what it stored, and how often it was asked to.
pub(crate) struct MoodyQueue {
    mood: watch::Sender<Mood>,
    asked: watch::Sender<usize>,
    stored: Mutex<Vec<Envelope>>,
}

#[async_trait]
impl Queue for MoodyQueue {
    async fn publish(&self, envelope: &Envelope) -> Result<(), QueueError> {
        self.asked.send_modify(|asked| *asked += 1);
        let mut moods = self.mood.subscribe();
        let mood = *moods.wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
        match mood {
            Mood::StoresOnly(0) => return Err(QueueError::Unavailable("amqp://u:pw@h".into())),
            Mood::StoresOnly(more) => self.mood.send_modify(|mood| {
                *mood = Mood::StoresOnly(more - 1);
            }),
            Mood::Stores | Mood::Hangs => {}
        }
        self.stored.lock().unwrap().push(envelope.clone());
        Ok(())
    }

    async fn consume(&self, _: &Route, _: u16) -> Result<Box<dyn Deliveries>, QueueError> {
        Err(QueueError::Unavailable("the producer does not consume".into()))
    }

    async fn waiting(&self, _: &Route) -> Result<Waiting, QueueError> {
        match *self.mood.borrow() {
            Mood::Stores | Mood::Hangs => Ok(Waiting::default()),
            Mood::StoresOnly(_) => Err(QueueError::Unavailable("amqp://u:pw@h".into())),
        }
    }

    async fn delayed(&self) -> Result<u64, QueueError> {
        Ok(0)
    }

    async fn dead_letters(&self) -> Result<u64, QueueError> {
        Ok(0)
    }

    async fn check(&self) -> Result<(), QueueError> {
        self.waiting(&Route::Gate).await.map(drop)
    }
}

/// What remembers deliveries, and may take its time to.
pub(crate) struct Reluctant {
    memory: RecentDeliveries,
    marks: watch::Sender<bool>,
}

#[async_trait]
impl Processed for Reluctant {
    async fn contains(&self, delivery: &DeliveryId) -> bool {
        self.memory.contains(delivery).await
    }

    async fn mark(&self, deliveries: &[DeliveryId]) {
        self.marks.subscribe().wait_for(|marks| *marks).await.unwrap();
        self.memory.mark(deliveries).await;
    }
}

/// Writes down what it is told: `webhook push push`, `published approval w#7`.
#[derive(Default)]
pub(crate) struct Diary(Mutex<Vec<String>>);

impl Observer for Diary {
    fn observe(&self, event: &Event) {
        let line = match (&event.what, &event.job) {
            (What::Webhook { event, outcome, .. }, None) => format!("webhook {event} {outcome}"),
            (What::Published, Some(job)) => {
                format!("published {} {}#{}", job.kind.label(), job.project, job.pr)
            }
            other => format!("unexpected {other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// A running producer and the GitHub in front of it.
pub(crate) struct World {
    pub(crate) queue: Arc<MoodyQueue>,
    pub(crate) diary: Arc<Diary>,
    processed: Arc<Reluctant>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
}

/// What a test can set, with what it is otherwise.
pub(crate) struct Given {
    pub(crate) projects: Vec<Project>,
    pub(crate) linger: Duration,
    pub(crate) limits: Limits,
}

impl Default for Given {
    fn default() -> Self {
        let projects = vec![project("w")];
        Self { projects, linger: Duration::ZERO, limits: Limits::default() }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::given(Given::default()).await
    }

    pub(crate) async fn given(given: Given) -> Self {
        let queue = Arc::new(MoodyQueue {
            mood: watch::Sender::new(Mood::Stores),
            asked: watch::Sender::new(0),
            stored: Mutex::default(),
        });
        let diary = Arc::new(Diary::default());
        let processed = Arc::new(Reluctant {
            memory: RecentDeliveries::new(Arc::new(SystemClock)),
            marks: watch::Sender::new(true),
        });
        let deps = Deps {
            queue: queue.clone(),
            processed: processed.clone(),
            leases: Arc::new(MemoryLeases::new(Arc::new(SystemClock))),
            clock: Arc::new(SystemClock),
            observer: diary.clone(),
            metrics: Arc::new(Metrics::new(&[], "1.2.3").unwrap()),
        };
        let settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            webhook_secrets: ["new", "old"].map(Secret::new).to_vec(),
            projects: given.projects.into(),
            linger: given.linger,
            limits: given.limits,
        };
        let bound = Bound::new(settings.listen).await.unwrap();
        let url = format!("http://{}", bound.address());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(serve(bound, settings, deps, shutdown.clone()));
        let client = reqwest::Client::new();
        Self { queue, diary, processed, shutdown, running, url, client }
    }

    pub(crate) fn deliveries_are_marked(&self, marks: bool) {
        self.processed.marks.send_replace(marks);
    }

    pub(crate) fn queue_is(&self, mood: Mood) {
        self.queue.mood.send_replace(mood);
    }

    /// Returns when the queue was asked to store this often.
    pub(crate) async fn asked(&self, times: usize) {
        let mut asked = self.queue.asked.subscribe();
        let enough = asked.wait_for(|asked| *asked >= times);
        tokio::time::timeout(PATIENCE, enough).await.unwrap().unwrap();
    }

    /// The ids of what is stored.
    pub(crate) fn stored(&self) -> Vec<String> {
        self.queue.stored.lock().unwrap().iter().map(|job| job.id.to_string()).collect()
    }

    pub(crate) fn diary(&self) -> Vec<String> {
        self.diary.0.lock().unwrap().clone()
    }

    /// A delivery as GitHub makes it, signed with the new secret.
    pub(crate) fn delivery(&self, id: &str, event: &str, payload: &Value) -> RequestBuilder {
        let body = payload.to_string();
        self.unsigned(id, event).header("X-Hub-Signature-256", sign("new", &body)).body(body)
    }

    pub(crate) fn unsigned(&self, id: &str, event: &str) -> RequestBuilder {
        self.client
            .post(format!("{}/webhooks/github", self.url))
            .header("Content-Type", "application/json")
            .header("X-GitHub-Event", event)
            .header("X-GitHub-Delivery", id)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Ends the producer and waits for its end.
    pub(crate) async fn finish(self) {
        let Self { running, shutdown, client, .. } = self;
        drop(client);
        shutdown.cancel();
        tokio::time::timeout(PATIENCE, running).await.expect("it ends").unwrap();
    }
}

pub(crate) async fn status(request: RequestBuilder) -> u16 {
    let answer = tokio::time::timeout(PATIENCE, request.send()).await;
    answer.expect("it answers").unwrap().status().as_u16()
}

pub(crate) fn sign(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) fn opened() -> Value {
    json!({
        "action": "opened",
        "pull_request": {"number": 7, "head": {"sha": HEAD}},
        "repository": {"full_name": "acme/warehouse"},
    })
}

pub(crate) fn project(name: &str) -> Project {
    Project {
        name: ProjectName::new(name).unwrap(),
        repository: Repository::new("acme/warehouse").unwrap(),
        path: String::new(),
        python: Python::Interpreter("python3".into()),
        also: vec![],
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository: SharesRepository::No,
    }
}
