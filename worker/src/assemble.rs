//! From configuration to a worker that can be run: the only place that knows what a worker is made
//! of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use sluice::clock::{Clock, SystemClock, unix_ms};
use sluice::config::{Account, Config, Variables, process_variables};
use sluice::engine::Engine;
use sluice::metrics::Metrics;
use sluice::names::{ProjectName, Repository};
use sluice::observe::Observer;
use sluice::pipeline::{Deps, Settings};
use sluice::seal::SealKey;
use sluice_service::{Stores, host};

use crate::checkout::{self, Credentials, Mirrors, NoToken, Token, UrlTemplate};
use crate::engine::SqlMesh;
use crate::github::{Auth, ExposeSecret as _, HttpGitHub, Patience, WriteLimits};
use crate::run::{Graces, Slots};
use crate::sqlmesh::{self, Bridges, Environments, Told, default_folder};

/// Changes are shown on GitHub at most this often: each write is a request of a limited budget.
const REPORT_EVERY: Duration = Duration::from_millis(1500);

/// Progress of an apply is shown at most this often (BEHAVIOUR, "Deploy: stages").
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A gate check of a head that replaced another one just now waits this long for the next push.
const SETTLE: Duration = Duration::from_secs(10);

/// GitHub was seen to say UNKNOWN for up to 3 minutes.
const MERGEABILITY_PATIENCE: Duration = Duration::from_secs(240);

/// How long a refused merge is tried again under the lease, before the job itself is.
const MERGE_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Approval gate checks and commands that run at once: requests to GitHub, nothing else.
const APPROVAL_SLOTS: u16 = 16;

/// How long a deploy that was told to stop may take to come to a border between two stages of
/// SQLMesh's evaluator.
const BORDER_GRACE: Duration = Duration::from_secs(30);

/// A worker, ready to run.
pub struct Worker {
    /// All that its jobs get from outside.
    pub deps: Deps,
    /// What its `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Who is told what happens, to be closed at the end.
    pub told: sluice_service::Told,
    /// How many jobs it runs at once.
    pub slots: Slots,
    /// How long they may go on once it is told to stop.
    pub graces: Graces,
}

/// What a worker is put into.
pub struct Around {
    /// Where everything is kept.
    pub stores: Stores,
    /// Told what happens, besides the metrics.
    pub observers: Vec<Arc<dyn Observer>>,
    /// What the worker is called where people ask who holds a lease.
    pub name: String,
}

impl Around {
    /// The stores that the configuration names, shared with other processes.
    ///
    /// # Errors
    /// One of them is `memory:`, or has an address that cannot be used.
    pub fn shared(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let name = host("sluice-worker");
        let stores = Stores::connect_shared(config, &name, &clock)?;
        Ok(Self { stores, observers: Vec::new(), name })
    }
}

/// Puts a worker together as the configuration says, around an engine that reads repositories with
/// its credentials: [`engine`] makes the real one.
///
/// # Errors
/// The configuration lacks a secret, GitHub's address cannot be used, or the engine not be made.
pub fn assemble(
    config: &Config,
    engine: impl FnOnce(Arc<dyn Credentials>) -> anyhow::Result<Arc<dyn Engine>>,
    around: Around,
) -> anyhow::Result<Worker> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let names: Vec<ProjectName> = config.projects.iter().map(|p| p.name.clone()).collect();
    let metrics = Arc::new(Metrics::new(&names, env!("CARGO_PKG_VERSION"))?);
    let mut observers = around.observers;
    observers.push(metrics.clone());
    let worker = &config.worker;
    let shown = sluice_service::redis::Worker {
        host: around.name.clone(),
        since_ms: unix_ms(clock.now()),
        gate_slots: worker.gate_slots,
        deploy_slots: worker.deploy_slots,
    };
    let told = around.stores.told(observers, Some(shown));
    let observer = told.observer.clone();
    let Stores { queue, leases, ledger, pauses, .. } = around.stores;
    let github = Arc::new(github_of(config, &observer, &clock)?);
    let engine = engine(Arc::new(SameToken(github.clone())))?;
    let deps = Deps {
        queue,
        leases,
        github,
        engine,
        clock,
        observer,
        ledger,
        pauses,
        projects: config.projects.iter().cloned().map(Arc::new).collect(),
        settings: Arc::new(settings(config, &process_variables(), around.name)?),
    };
    Ok(Worker {
        deps,
        metrics,
        told,
        slots: Slots {
            approval: APPROVAL_SLOTS,
            gate: worker.gate_slots,
            deploy: worker.deploy_slots,
        },
        graces: Graces {
            gate: worker.gate_grace,
            deploy: worker.deploy_grace,
            border: BORDER_GRACE,
        },
    })
}

/// Where Python environments are made, and with what.
///
/// # Errors
/// There is no folder for them: neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn environments(told: Told) -> anyhow::Result<Environments> {
    let folder = default_folder().context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(Environments { folder, base: PathBuf::from("python3"), told })
}

/// SQLMesh on git checkouts, as the configuration says.
///
/// # Errors
/// The data folder cannot be used.
pub fn engine(
    config: &Config,
    environments: Environments,
    credentials: Arc<dyn Credentials>,
) -> anyhow::Result<Arc<dyn Engine>> {
    let data = &config.worker.data_dir;
    let mirrors = Mirrors::new(checkout::Settings {
        data_dir: data.clone(),
        git: "git".into(),
        url: UrlTemplate::new(config.github.git_url.as_str())?,
        credentials,
        timeouts: checkout::Timeouts::default(),
    });
    let mirrors = mirrors.with_context(|| format!("cannot use {}", data.display()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let silence = config.lease.timings.silence();
    let settings = sqlmesh::Settings { silence, ..sqlmesh::Settings::new(environments) };
    let bridges = Bridges::new(settings, clock)?;
    let patience = Duration::from_secs(60);
    Ok(Arc::new(SqlMesh::new(Arc::new(mirrors), Arc::new(bridges), data, patience)?))
}

/// GitHub over HTTP, as the configuration says.
///
/// # Errors
/// There is neither token nor App, or the address cannot be used.
pub fn github_of(
    config: &Config,
    observer: &Arc<dyn Observer>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<HttpGitHub> {
    let account = config.github.account.as_ref().context("there is no GitHub token, and no App")?;
    Ok(HttpGitHub::new(&crate::github::Settings {
        api_url: config.github.api_url.clone(),
        auth: match account {
            Account::Token(token) => Auth::Token(token.expose().into()),
            Account::App { id, private_key } => {
                Auth::App { id: *id, private_key: private_key.expose().into() }
            }
        },
        app: None,
        checks: config.github.checks,
        patience: Patience::default(),
        limits: WriteLimits {
            per_minute: config.github.writes_per_minute,
            per_hour: config.github.writes_per_hour,
        },
        observer: observer.clone(),
        clock: clock.clone(),
    })?)
}

fn settings(config: &Config, variables: &Variables, host: String) -> anyhow::Result<Settings> {
    let secrets = &config.github.webhook_secrets;
    let seal = secrets.first().context("there is no webhook secret")?;
    Ok(Settings {
        seal: SealKey::derive(seal.expose().as_bytes()),
        redactor: Arc::new(config.redactor(variables)),
        retry: config.retry.clone(),
        lease: config.lease.timings,
        host,
        status_url: config.github.status_url.clone(),
        report_every: REPORT_EVERY,
        progress_every: PROGRESS_EVERY,
        gate_timeout: config.worker.gate_timeout,
        deploy_timeout: config.worker.deploy_timeout,
        mergeability_patience: MERGEABILITY_PATIENCE,
        merge_patience: MERGE_PATIENCE,
        sweep_every: config.worker.sweep_every,
        left_open_after: config.worker.left_open_after,
        // Nobody could have had what it held any sooner.
        dead_after: config.lease.timings.ttl() + config.lease.timings.lock_delay(),
        settle: SETTLE,
    })
}

/// Repositories are read with the token that GitHub is asked with.
struct SameToken(Arc<HttpGitHub>);

#[async_trait::async_trait]
impl Credentials for SameToken {
    async fn token(&self, repository: &Repository) -> Result<Option<Token>, NoToken> {
        let token = self.0.token(repository).await;
        let token = token.map_err(|error| NoToken { what: error.to_string() })?;
        Ok(Some(Token::new(token.expose_secret())))
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
        let redactor = settings(&config.unwrap(), &variables, String::new()).unwrap().redactor;
        for secret in ["of the webhook", "of the worker", "of the warehouse", "of the lake"] {
            assert_eq!(redactor.redact(secret), sluice::redact::REDACTED);
        }
        assert_eq!(redactor.redact("of nobody"), "of nobody");
    }
}
