//! A worker in which nothing takes time but sluice itself: GitHub answers from memory, SQLMesh is
//! never asked.

use std::sync::Arc;

use async_trait::async_trait;
use sluice::config::Config;
use sluice::engine::{Engine, EngineError, Session, Source};
use sluice::github::{
    Ask, Changed, Check, DeploymentId, DeploymentWrite, Facts, GitHub, GitHubError, Merge,
    MergeOutcome, MergeState, OpenPulls, Page, PrState, Redelivered, Report, ReportError, Reported,
    Role,
};
use sluice::names::{Login, NodeId, PolicySha, Repository, Sha};
use sluice::observe::{Event, Observer, What};
use sluice::policy::Policy;
use sluice::project::Project;
use sluice_service::Stores;
use sluice_worker::{Around, Worker, assemble};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What GitHub does when it is asked.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    /// At once: the pull request is open.
    AtOnce,
    /// Never.
    Never,
}

/// A whole worker, with GitHub in its memory.
pub(crate) fn worker(
    config: &Config,
    stores: Stores,
    answers: Answers,
    tally: &Arc<Tally>,
) -> anyhow::Result<Worker> {
    let observers: Vec<Arc<dyn Observer>> = vec![tally.clone()];
    let around = Around { stores, observers, name: "bench".to_owned() };
    let mut worker = assemble(config, |_| Ok(Arc::new(Still(answers))), around)?;
    worker.deps.github = Arc::new(Still(answers));
    Ok(worker)
}

/// How many jobs were begun and ended.
pub(crate) struct Tally {
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) settled: watch::Sender<usize>,
}

impl Tally {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: watch::Sender::new(0), settled: watch::Sender::new(0) })
    }
}

impl Observer for Tally {
    fn observe(&self, event: &Event) {
        match event.what {
            What::Started { .. } => self.begun.send_modify(|begun| *begun += 1),
            What::Settled { .. } => self.settled.send_modify(|settled| *settled += 1),
            _ => {}
        }
    }
}

struct Still(Answers);

fn nothing() -> GitHubError {
    GitHubError::NotFound("what the bench does not need".to_owned())
}

fn sha(digit: &str) -> Result<Sha, GitHubError> {
    Sha::new(digit.repeat(40)).map_err(|_| nothing())
}

fn facts(ask: &Ask) -> Result<Facts, GitHubError> {
    let node = || NodeId::new("PR_1").map_err(|_| nothing());
    Ok(Facts {
        id: node()?,
        repository_id: node()?,
        number: ask.pr,
        title: "a change".to_owned(),
        state: PrState::Open,
        draft: false,
        fork: false,
        author: None,
        head: sha("a")?,
        head_branch: "change".to_owned(),
        base_branch: "main".to_owned(),
        base: sha("b")?,
        base_project_tree: None,
        ownership: sluice::github::Ownership::NotAsked,
        queue: sluice::github::MergeQueue::None,
        changed: Changed::Unknown,
        policy: PolicySha::new("policy").map_err(|_| nothing())?,
        reviews: Vec::new(),
        merge_state: MergeState::Clean,
        review_decision: None,
        required_pending: Vec::new(),
        checks: Vec::new(),
        comment: None,
        command: None,
    })
}

#[async_trait]
impl GitHub for Still {
    async fn facts(&self, ask: &Ask) -> Result<Facts, GitHubError> {
        match self.0 {
            Answers::AtOnce => facts(ask),
            Answers::Never => std::future::pending().await,
        }
    }

    async fn checks(&self, _: &Ask, _: &Sha) -> Result<Vec<Check>, GitHubError> {
        Ok(Vec::new())
    }

    async fn report(&self, _: &Report) -> Result<Reported, ReportError> {
        Ok(Reported::default())
    }

    async fn merge(&self, _: &Merge) -> Result<MergeOutcome, GitHubError> {
        Err(nothing())
    }

    async fn deployment(&self, _: &DeploymentWrite) -> Result<Option<DeploymentId>, GitHubError> {
        Ok(None)
    }

    async fn role(&self, _: &Ask, _: &Login) -> Result<Role, GitHubError> {
        Err(nothing())
    }

    async fn open_pulls(&self, _: &Repository, _: Option<&Page>) -> Result<OpenPulls, GitHubError> {
        Ok(OpenPulls::default())
    }

    async fn redeliver(&self, _: u64) -> Result<Option<Redelivered>, GitHubError> {
        Ok(None)
    }
}

#[async_trait]
impl Engine for Still {
    async fn policy(
        &self,
        _: &Project,
        base: &Sha,
        _: &PolicySha,
    ) -> Result<Arc<Policy>, EngineError> {
        Err(EngineError::NoCommit(base.clone()))
    }

    async fn open(
        &self,
        source: &Source,
        _: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        Err(EngineError::NoCommit(source.head.clone()))
    }
}
