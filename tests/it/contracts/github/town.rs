//! A stand-in with one repository, people, and the adapter as sluice's App.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use sluice::clock::{Clock, SystemClock};
use sluice::config::ChecksAs;
use sluice::github::{Ask, Attempt, CheckStatus, CheckWrite, CommentWrite, Facts, GitHub, Report};
use sluice::names::{JobId, NodeId, PrNumber, Repository, Sha};
use sluice::observe::Observers;
use sluice::outcome::Conclusion;
use sluice_conformance::Watched;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::Role;
use sluice_sim::{Actor, Oid, Pr, PrSpec, RepositoryName, Standin, StandinConfig};
use sluice_worker::github::{Auth, HttpGitHub, Patience, SecretString, Settings, WriteLimits};

/// The hidden text in our sticky comment.
pub(super) const MARKER: &str = "<!-- sluice:warehouse -->";

/// The machine's clock, on which every wait is over at once: GitHub's faults are counted here,
/// not timed.
struct Impatient;

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> SystemTime {
        SystemClock.now()
    }
    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// A town: `alice` writes, `bob` maintains, `mallory` is nobody.
pub(super) struct Town {
    pub(super) standin: Watched,
    pub(super) github: HttpGitHub,
    pub(super) repository: RepositoryName,
    pub(super) alice: Actor,
    pub(super) bob: Actor,
    pub(super) mallory: Actor,
}

impl Town {
    pub(super) async fn found() -> Self {
        Self::around(StandinConfig::default(), settings).await
    }

    /// The same in another stand-in, with another adapter.
    pub(super) async fn around(
        config: StandinConfig,
        settings: impl FnOnce(&Standin) -> Settings,
    ) -> Self {
        let standin = Watched::start(config).await.unwrap();
        let github = HttpGitHub::new(&settings(&standin));
        let [alice, bob, mallory] = ["alice", "bob", "mallory"].map(|login| standin.user(login));
        let files =
            [("warehouse/config.yaml", "gateways: {}"), ("warehouse/models/a.sql", "SELECT 1")];
        let repository = standin.repository("acme/data").with_files(&files).await.unwrap();
        alice.joins(&repository, Role::Write).await.unwrap();
        bob.joins(&repository, Role::Maintain).await.unwrap();
        Self { standin, github: github.unwrap(), repository, alice, bob, mallory }
    }

    /// A pull request of alice's that changes one model.
    pub(super) async fn pr(&self, branch: &str) -> Pr {
        let spec = PrSpec::new(branch).file(&format!("warehouse/models/{branch}.sql"), "SELECT 2");
        self.alice.opens_pr(&self.repository, spec).await.unwrap()
    }

    pub(super) fn ask(&self, pr: &Pr) -> Ask {
        Ask {
            repository: Repository::new(self.repository.to_string()).unwrap(),
            pr: PrNumber(pr.number),
            path: "warehouse".to_owned(),
            marker: MARKER.to_owned(),
            command: None,
            files: true,
            owners: false,
            job: None,
            urgent: false,
        }
    }

    pub(super) async fn facts(&self, pr: &Pr) -> Facts {
        self.github.facts(&self.ask(pr)).await.unwrap()
    }

    /// The head, as the world has it.
    pub(super) fn head(&self, pr: &Pr) -> Sha {
        as_sha(&self.standin.pr(pr).unwrap().head)
    }

    /// A report of one check that is done and a comment, both new.
    pub(super) async fn report(&self, pr: &Pr, job: &str) -> Report {
        let facts = self.facts(pr).await;
        let comment = CommentWrite { id: None, body: format!("{MARKER}\nheld for now") };
        Report {
            ask: self.ask(pr),
            repository_id: facts.repository_id,
            pr_id: facts.id,
            head: facts.head,
            checks: vec![check(job, CheckStatus::Completed(Conclusion::Success))],
            comment: Some(comment),
            eyes: None,
            attempt: Attempt::First,
        }
    }

    /// The next requests of that mutation or query go wrong.
    pub(super) async fn spoil(&self, field: &'static str, times: u32, answer: Answer) {
        let spoil = move |world: &mut sluice_sim::World| {
            world.faults.answer(Matching::GraphQl(field.to_owned()), times, answer);
            Ok(())
        };
        self.standin.change(spoil).await.unwrap();
    }

    /// How many requests the future needs.
    pub(super) async fn counted<T>(&self, future: impl Future<Output = T>) -> (T, usize) {
        let before = self.standin.requests().len();
        let output = future.await;
        (output, self.standin.requests().len() - before)
    }

    /// How often that field was asked for.
    pub(super) fn asked(&self, field: &str) -> usize {
        let requests = self.standin.requests();
        requests.iter().filter(|r| r.operations.iter().any(|name| name == field)).count()
    }
}

/// An adapter of that stand-in.
pub(super) fn settings(standin: &Standin) -> Settings {
    Settings {
        api_url: standin.url().to_owned(),
        auth: Auth::Token(SecretString::from(standin.token())),
        app: None,
        checks: ChecksAs::Auto,
        patience: Patience::default(),
        limits: WriteLimits::NONE,
        observer: Arc::new(Observers::default()),
        clock: Arc::new(Impatient),
    }
}

/// A check run that job writes.
pub(super) fn check(job: &str, status: CheckStatus) -> CheckWrite {
    CheckWrite {
        id: None,
        name: "SQLMesh - Linter".to_owned(),
        external_id: JobId::new(job).unwrap(),
        status,
        title: "Linter passed".to_owned(),
        summary: "All well.".to_owned(),
        details_url: Some("https://sluice.example/jobs/1".to_owned()),
    }
}

/// The stand-in's commit id as ours.
pub(super) fn as_sha(oid: &Oid) -> Sha {
    Sha::new(oid.as_str()).unwrap()
}

/// A node's id that GitHub would give out, of a thing that never was.
pub(super) fn nobodys_node() -> NodeId {
    NodeId::new("IC_999999").unwrap()
}
