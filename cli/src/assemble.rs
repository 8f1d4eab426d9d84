//! All parts, put together: the only place that knows every adapter.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sluice::clock::{Clock, SystemClock};
use sluice::config::{Config, Variables, process_variables};
use sluice::lease::memory::MemoryLeases;
use sluice::ledger::MemoryLedger;
use sluice::metrics::Metrics;
use sluice::names::ProjectName;
use sluice::observe::{Observer, Observers};
use sluice::pause::MemoryPauses;
use sluice::pipeline::{Deps, Settings};
use sluice::queue::Route;
use sluice::queue::memory::MemoryQueue;
use sluice::redact::Redactor;
use sluice::seal::SealKey;
use sluice_producer::{Bound, RecentDeliveries};
use sluice_worker::checkout::{self, Credentials, Mirrors, NoToken, Token, UrlTemplate};
use sluice_worker::engine::SqlMesh;
use sluice_worker::github::{Auth, HttpGitHub, Patience};
use sluice_worker::run::Slots;
use sluice_worker::sqlmesh::{self, Bridges, Environments};
use tokio_util::sync::CancellationToken;

/// Changes are shown on GitHub at most this often: each write is a request of a limited budget.
const REPORT_EVERY: Duration = Duration::from_millis(1500);

/// Progress of an apply is shown at most this often (BEHAVIOUR, "Deploy: stages").
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Gauges are as old as this at most, a third of what Prometheus scrapes at by default.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// GitHub was seen to say UNKNOWN for up to 3 minutes.
const MERGEABILITY_PATIENCE: Duration = Duration::from_secs(240);

/// How long a refused merge is tried again under the lease, before the job itself is.
const MERGE_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Approval gate checks and commands that run at once: requests to GitHub, nothing else.
const APPROVAL_SLOTS: u16 = 16;

/// Producer and worker, ready to run in one process.
pub(crate) struct Assembled {
    deps: Deps,
    producer: sluice_producer::Deps,
    producer_settings: sluice_producer::Settings,
    queue: Arc<MemoryQueue>,
    slots: Slots,
    grace: Duration,
}

/// Puts everything together as the configuration says. `also` are told what happens, besides the
/// metrics.
pub(crate) fn assemble(
    config: &Config,
    environments: Environments,
    also: Vec<Arc<dyn Observer>>,
) -> anyhow::Result<Assembled> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let names: Vec<ProjectName> = config.projects.iter().map(|p| p.name.clone()).collect();
    let metrics = Arc::new(Metrics::new(&names, env!("CARGO_PKG_VERSION"))?);
    let mut observers = also;
    observers.push(metrics.clone());
    let observer: Arc<dyn Observer> = Arc::new(Observers::new(observers));
    let queue = Arc::new(MemoryQueue::new(clock.clone(), config.retry.clone()));
    let deps = Deps {
        queue: queue.clone(),
        leases: Arc::new(MemoryLeases::new(clock.clone())),
        github: Arc::new(github(config, &observer, &clock)?),
        engine: Arc::new(engine(config, environments, &clock)?),
        clock: clock.clone(),
        observer: observer.clone(),
        ledger: Arc::new(MemoryLedger::default()),
        pauses: Arc::new(MemoryPauses::default()),
        projects: config.projects.iter().cloned().map(Arc::new).collect(),
        settings: Arc::new(settings(config, &process_variables())?),
    };
    let producer = sluice_producer::Deps {
        queue: queue.clone(),
        processed: Arc::new(RecentDeliveries::new(clock.clone())),
        clock,
        observer,
        metrics,
    };
    Ok(Assembled {
        deps,
        producer,
        producer_settings: sluice_producer::Settings::of(config),
        queue,
        slots: Slots {
            approval: APPROVAL_SLOTS,
            gate: config.worker.gate_slots,
            deploy: config.worker.deploy_slots,
        },
        grace: config.worker.drain_grace,
    })
}

impl Assembled {
    /// Where jobs wait.
    pub(crate) fn queue(&self) -> Arc<MemoryQueue> {
        Arc::clone(&self.queue)
    }

    /// Serves webhooks and runs jobs until `shutdown`; returns when the last job has ended or has
    /// been given back.
    pub(crate) async fn run(self, bound: Bound, shutdown: CancellationToken) {
        let sampling = tokio::spawn(sample(self.deps.clone(), self.producer.metrics.clone()));
        let producer = bound.serve(self.producer_settings, self.producer, shutdown.clone());
        let worker = sluice_worker::run::run(self.deps, self.slots, self.grace, shutdown);
        tokio::join!(producer, worker);
        sampling.abort();
    }
}

/// Keeps the gauges that nobody tells: how deep the queues are, and what is reserved.
async fn sample(deps: Deps, metrics: Arc<Metrics>) {
    let projects: Vec<ProjectName> = deps.projects.iter().map(|p| p.name.clone()).collect();
    let mut routes = vec![Route::Approval, Route::Gate];
    routes.extend(projects.iter().cloned().map(Route::Deploy));
    loop {
        if let Err(error) = metrics.sample_queue(deps.queue.as_ref(), &routes).await {
            tracing::warn!(%error, "the queues could not be sampled");
        }
        if let Err(error) = metrics.sample_reservations(deps.leases.as_ref(), &projects).await {
            tracing::warn!(%error, "the leases could not be sampled");
        }
        deps.clock.sleep(SAMPLE_EVERY).await;
    }
}

fn token(config: &Config) -> anyhow::Result<String> {
    let token = config.github.token.as_ref().context("there is no GitHub token")?;
    Ok(token.expose().to_owned())
}

fn github(
    config: &Config,
    observer: &Arc<dyn Observer>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<HttpGitHub> {
    Ok(HttpGitHub::new(&sluice_worker::github::Settings {
        api_url: config.github.api_url.clone(),
        auth: Auth::Token(token(config)?.into()),
        app: None,
        patience: Patience::default(),
        observer: observer.clone(),
        clock: clock.clone(),
    })?)
}

fn engine(
    config: &Config,
    environments: Environments,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<SqlMesh> {
    let data = &config.worker.data_dir;
    let mirrors = Mirrors::new(checkout::Settings {
        data_dir: data.clone(),
        git: "git".into(),
        url: UrlTemplate::new(config.github.git_url.as_str())?,
        credentials: Arc::new(FixedToken(token(config)?)),
        timeouts: checkout::Timeouts::default(),
    });
    let mirrors = mirrors.with_context(|| format!("cannot use {}", data.display()))?;
    let bridges = Bridges::new(sqlmesh::Settings::new(environments), clock.clone())?;
    Ok(SqlMesh::new(Arc::new(mirrors), Arc::new(bridges), data, Duration::from_secs(60))?)
}

fn settings(config: &Config, variables: &Variables) -> anyhow::Result<Settings> {
    let secrets = &config.github.webhook_secrets;
    let seal = secrets.first().context("there is no webhook secret")?;
    let ours = secrets.iter().chain(&config.github.token).map(|secret| secret.expose());
    // What a project's Python may see, it may say: a warehouse quotes passwords in its errors.
    let passed = config.projects.iter().flat_map(|project| &project.pass_env);
    let known = ours.chain(passed.filter_map(|name| Some(variables.get(name)?.as_str())));
    Ok(Settings {
        seal: SealKey::derive(seal.expose().as_bytes()),
        redactor: Arc::new(Redactor::new(known)),
        retry: config.retry.clone(),
        lease: config.lease.timings,
        host: format!("sluice up, process {}", std::process::id()),
        status_url: config.github.status_url.clone(),
        report_every: REPORT_EVERY,
        progress_every: PROGRESS_EVERY,
        gate_timeout: config.worker.gate_timeout,
        deploy_timeout: config.worker.deploy_timeout,
        mergeability_patience: MERGEABILITY_PATIENCE,
        merge_patience: MERGE_PATIENCE,
        sweep_every: config.worker.sweep_every,
        left_open_after: config.worker.left_open_after,
    })
}

/// The one token of the configuration.
struct FixedToken(String);

#[async_trait::async_trait]
impl Credentials for FixedToken {
    async fn token(
        &self,
        _repository: &sluice::names::Repository,
    ) -> Result<Option<Token>, NoToken> {
        Ok(Some(Token::new(&self.0)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sluice::config::Role;

    use super::*;

    const FILE: &str = r#"
        [[project]]
        name = "warehouse"
        repository = "acme/warehouse"
        python = "python3"
        pass_env = ["PGUSER", "PGPASSWORD"]
        [[project]]
        name = "lake"
        repository = "acme/lake"
        python = "python3"
        pass_env = ["LAKE_KEY"]
    "#;

    #[test]
    fn what_projects_may_see_is_redacted_like_our_own_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sluice.toml");
        std::fs::write(&file, FILE).unwrap();
        let variables: Variables = [
            ("SLUICE_WEBHOOK_SECRET", "of the webhook"),
            ("GITHUB_TOKEN", "of the worker"),
            ("PGPASSWORD", "of the warehouse"),
            ("LAKE_KEY", "of the lake"),
            ("HOME", "of nobody"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let config = Config::load(Some(&file), &variables, &[Role::Producer, Role::Worker]);
        let redactor = settings(&config.unwrap(), &variables).unwrap().redactor;
        for secret in ["of the webhook", "of the worker", "of the warehouse", "of the lake"] {
            assert_eq!(redactor.redact(secret), sluice::redact::REDACTED);
        }
        assert_eq!(redactor.redact("of nobody"), "of nobody");
    }
}
