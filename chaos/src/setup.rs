//! What a worker process is told: one file of JSON. The same file says what the producer of its
//! town must agree on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice::clock::Clock;
use sluice::config::{ChecksAs, Secret};
use sluice::lease::Timings;
use sluice::names::{Login, ProjectName, Repository};
use sluice::pipeline::Settings;
use sluice::policy::{BotOptions, Policy};
use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use sluice::queue::RetryPolicy;
use sluice::queue::amqp::{AmqpQueue, AmqpSettings, DeliveryLimits};
use sluice::redact::Redactor;
use sluice::seal::SealKey;
use sluice_store::Store;
use sluice_worker::checkout::{self, Credentials, Mirrors, NoToken, Token, UrlTemplate};
use sluice_worker::github::{Auth, HttpGitHub, Patience, WriteLimits};

use crate::ports::{Guard, Published};

/// With what webhooks and gate results are signed here.
pub const SECRET: &str = "the webhook secret of a town in chaos";

/// The project, and its repository.
pub const PROJECT: &str = "warehouse";
/// Its repository.
pub const REPOSITORY: &str = "acme/warehouse";

/// What a town is made of, and how it behaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// Where history, warehouse, points and checkouts are.
    pub folder: PathBuf,
    /// The broker's address.
    pub amqp_url: String,
    /// The address of Redis.
    pub redis_url: String,
    /// What every name in both begins with.
    pub prefix: String,
    /// The stand-in's address.
    pub github_url: String,
    /// Our token there.
    pub github_token: String,
    /// A lease's TTL, renewal, fence and lock-delay, in milliseconds.
    pub lease_ms: [u64; 4],
    /// How long each retry of a broken job waits, in milliseconds.
    pub retry_ms: Vec<u64>,
    /// How long a deploy may take once it has prod, in milliseconds.
    pub deploy_ms: u64,
    /// How long a refused merge is tried again under the lease, in milliseconds.
    pub merge_ms: u64,
    /// The broker's heartbeat, in milliseconds: a connection that is silent for twice as long is
    /// taken for dead.
    pub heartbeat_ms: u64,
    /// How often open pull requests are swept, in milliseconds; 0: never.
    pub sweep_ms: u64,
    /// How often a job is stored when it is published.
    pub published: Published,
    /// Which guard is missing.
    pub without: Option<Guard>,
}

impl Setup {
    /// A setup without addresses, with leases of seconds.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            amqp_url: String::new(),
            redis_url: String::new(),
            prefix: format!("chaos-{}", hex::encode(rand::random::<[u8; 4]>())),
            github_url: String::new(),
            github_token: String::new(),
            lease_ms: [2000, 250, 1000, 300],
            retry_ms: vec![200, 500, 1000, 2000, 5000],
            deploy_ms: 20_000,
            merge_ms: 3000,
            heartbeat_ms: 10_000,
            sweep_ms: 4000,
            published: Published::Once,
            without: None,
        }
    }

    /// How leases are kept.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn timings(&self) -> anyhow::Result<Timings> {
        let [ttl, renew, fence, delay] = self.lease_ms.map(Duration::from_millis);
        Ok(Timings::new(ttl, renew, fence, delay)?)
    }

    fn retry(&self) -> RetryPolicy {
        let delays = self.retry_ms.iter().map(|ms| Duration::from_millis(*ms));
        RetryPolicy { delays: delays.collect() }
    }

    /// The project that is served.
    ///
    /// # Errors
    /// Never, as the names are.
    pub fn project(&self) -> anyhow::Result<Project> {
        Ok(Project {
            name: ProjectName::new(PROJECT)?,
            repository: Repository::new(REPOSITORY)?,
            path: String::new(),
            python: Python::Interpreter("python".into()),
            also: vec![],
            gateway: None,
            pass_env: Vec::new(),
            max_sessions: 16,
            approvals: Approvals::AtLeast(1),
            approval_on_old_head: OldHead::Refuse,
            code_owners: OwnersApproval::NotAsked,
            shares_repository: SharesRepository::No,
        })
    }

    /// The queue on the broker, for a process that is called `name`.
    ///
    /// # Errors
    /// The address is none.
    pub fn queue(&self, name: &str, clock: Arc<dyn Clock>) -> anyhow::Result<AmqpQueue> {
        let url = Secret::new(&self.amqp_url);
        let project = self.project()?.name;
        let delays = [250, 500, 1000, 2000, 5000, 30_000].map(Duration::from_millis).to_vec();
        let settings = AmqpSettings {
            prefix: self.prefix.clone(),
            name: name.to_owned(),
            delays,
            heartbeat: Duration::from_millis(self.heartbeat_ms),
            capacity: 10_000,
            deliveries: DeliveryLimits { checks: 100, deploys: 100 },
            ..AmqpSettings::new(url, vec![project], self.retry())
        };
        Ok(AmqpQueue::connect(settings, clock)?)
    }

    /// What is kept in Redis.
    ///
    /// # Errors
    /// The address is none.
    pub fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::connect(&sluice_store::Settings {
            url: Secret::new(&self.redis_url),
            ca_file: None,
            key_prefix: self.prefix.clone(),
            timings: self.timings()?,
        })?)
    }

    /// Checkouts of what is on GitHub, for a process that is called `name`.
    ///
    /// # Errors
    /// Their folder cannot be made.
    pub fn mirrors(&self, name: &str) -> anyhow::Result<Arc<Mirrors>> {
        Ok(Arc::new(Mirrors::new(checkout::Settings {
            data_dir: self.folder.join(name),
            git: "git".into(),
            url: UrlTemplate::new(format!("{}/{{repository}}.git", self.github_url))?,
            credentials: Arc::new(OneToken(self.github_token.clone())),
            timeouts: checkout::Timeouts::default(),
        })?))
    }

    /// GitHub, told to whoever listens.
    ///
    /// # Errors
    /// The address is none.
    pub fn github(
        &self,
        observer: Arc<dyn sluice::observe::Observer>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<HttpGitHub> {
        Ok(HttpGitHub::new(&sluice_worker::github::Settings {
            api_url: self.github_url.clone(),
            auth: Auth::Token(self.github_token.clone().into()),
            app: None,
            checks: ChecksAs::Auto,
            patience: Patience::default(),
            limits: WriteLimits::NONE,
            observer,
            clock,
        })?)
    }

    /// What the pipelines are told.
    ///
    /// # Errors
    /// The leases' timings do not fit together.
    pub fn settings(&self, name: &str) -> anyhow::Result<Settings> {
        let deploy_timeout = Duration::from_millis(self.deploy_ms);
        Ok(Settings {
            seal: SealKey::derive(SECRET.as_bytes()),
            redactor: Arc::new(Redactor::new([SECRET])),
            retry: self.retry(),
            lease: self.timings()?,
            host: name.to_owned(),
            status_url: None,
            report_every: Duration::from_millis(200),
            progress_every: Duration::from_millis(500),
            gate_timeout: Duration::from_secs(30),
            deploy_timeout,
            mergeability_patience: Duration::from_secs(10),
            merge_patience: Duration::from_millis(self.merge_ms),
            sweep_every: Duration::from_millis(self.sweep_ms),
            left_open_after: Duration::from_secs(5),
            dead_after: Duration::from_secs(5),
            settle: Duration::from_secs(1),
        })
    }
}

/// A policy with one approver (carol), everything on, squash merges.
#[must_use]
pub fn policy() -> Policy {
    Policy {
        approvers: vec![Login::new("carol")],
        bot: BotOptions {
            invalidate_environment_after_deploy: true,
            enable_deploy_command: true,
            merge_method: Some(sluice::github::MergeMethod::Squash),
            command_namespace: None,
            auto_categorize_changes: serde_json::Value::Null,
            default_pr_start: None,
            default_pr_preview_start: "yesterday".to_owned(),
            skip_pr_backfill: true,
            pr_include_unmodified: false,
            run_on_deploy_to_prod: false,
            pr_environment_name: None,
            pr_min_intervals: None,
            pr_preview_min_intervals: 1,
            prod_branch_names: vec!["main".to_owned()],
            forward_only_branch_suffix: "-forward-only".to_owned(),
            check_if_blocked_on_deploy_to_prod: true,
        },
        linter: true,
    }
}

struct OneToken(String);

#[async_trait::async_trait]
impl Credentials for OneToken {
    async fn token(&self, _: &Repository) -> Result<Option<Token>, NoToken> {
        Ok(Some(Token::new(&self.0)))
    }
}
