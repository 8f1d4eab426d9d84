//! How a town is set up: its policy, its project, its bounds, and everything put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sluice::config::{ChecksAs, Secret};
use sluice::lease::Timings;
use sluice::lease::memory::MemoryLeases;
use sluice::ledger::{Ledger, MemoryLedger};
use sluice::metrics::Metrics;
use sluice::names::{Login, ProjectName, Repository};
use sluice::observe::Observers;
use sluice::pause::MemoryPauses;
use sluice::pipeline::{Deps, Settings};
use sluice::policy::{BotOptions, Policy};
use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use sluice::queue::RetryPolicy;
use sluice::queue::memory::MemoryQueue;
use sluice::redact::Redactor;
use sluice::seal::SealKey;
use sluice_producer::Limits;
use sluice_service::RecentDeliveries;
use sluice_sim::{Standin, StandinConfig, world};
use sluice_worker::checkout::{self, Credentials, Mirrors, NoToken, Token, UrlTemplate};
use sluice_worker::github::{Auth, HttpGitHub, Patience, Settings as GitHubSettings, WriteLimits};
use sluice_worker::run::{Graces, Slots};

use super::engine::{Scripted, Warehouse};
use super::heard::Heard;
use super::hour::{self, Ahead};
use super::leases::Losable;
use super::losing::Losing;

pub const SECRET: &str = "a webhook secret of this town";

/// How long a story waits for anything. A bound against hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

const GRACE: Duration = Duration::from_secs(5);

pub const GRACES: Graces = Graces { gate: GRACE, deploy: GRACE, border: GRACE };

/// The models of every project, in the beginning.
pub(super) const MODELS: [(&str, &str); 2] =
    [("orders", "SELECT 1 AS order_id\n"), ("revenue", "SELECT 1 AS revenue\n")];

/// What a town is like. The default has one approver (carol), everything on, squash merges.
pub struct Setup {
    pub policy: Policy,
    pub project: Project,
    /// Others in the same repository.
    pub others: Vec<Project>,
    pub slots: Slots,
    pub graces: Graces,
    /// The person whose token sluice has; `None`: it has the App's.
    pub person: Option<&'static str>,
    /// What remembers runs; what a process of its own remembers, unless said otherwise.
    pub ledger: Arc<dyn Ledger>,
    /// How often a broken job is tried again.
    pub retries: usize,
    pub gate_timeout: Duration,
    pub mergeability_patience: Duration,
    pub merge_patience: Duration,
    pub report_every: Duration,
    /// Zero: nobody sweeps but the story itself.
    pub sweep_every: Duration,
    pub left_open_after: Duration,
    /// Word of a run that was not heard of is waited for this long.
    pub dead_after: Duration,
    /// Zero: no push is taken for one of many.
    pub settle: Duration,
    /// What may be written to GitHub.
    pub limits: WriteLimits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: policy(),
            project: project(),
            others: Vec::new(),
            slots: Slots { approval: 8, gate: 4, deploy: 2 },
            graces: GRACES,
            person: None,
            ledger: Arc::new(MemoryLedger::default()),
            retries: 3,
            gate_timeout: PATIENCE,
            mergeability_patience: Duration::from_secs(2),
            merge_patience: Duration::from_secs(3),
            report_every: Duration::from_millis(200),
            sweep_every: Duration::ZERO,
            left_open_after: Duration::from_secs(600),
            dead_after: Duration::ZERO,
            settle: Duration::ZERO,
            limits: WriteLimits::NONE,
        }
    }
}

impl Setup {
    /// A monorepo: `warehouse` and `finance`, each in its folder.
    pub fn monorepo() -> Self {
        let also = vec!["macros".to_owned()];
        let finance = Project { also, ..in_folder("finance") };
        Self { project: in_folder("warehouse"), others: vec![finance], ..Self::default() }
    }

    /// A monorepo of 50 projects, each in its folder: `p0` to `p49`.
    pub fn large_monorepo() -> Self {
        let mut projects = (0..50).map(|number| in_folder(&format!("p{number}")));
        let project = projects.next().unwrap();
        Self { project, others: projects.collect(), ..Self::default() }
    }

    /// All projects.
    pub fn projects(&self) -> Vec<Project> {
        std::iter::once(&self.project).chain(&self.others).cloned().collect()
    }

    /// What is in the repository: each project with its configuration and its models.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![("README.md".to_owned(), "Our data.\n".to_owned())];
        for project in self.projects() {
            let folder = match project.path.as_str() {
                "" => String::new(),
                path => format!("{path}/"),
            };
            files.push((format!("{folder}config.yaml"), written(&self.policy)));
            let model =
                |(name, sql): (&str, &str)| (format!("{folder}models/{name}.sql"), sql.to_owned());
            files.extend(MODELS.map(model));
        }
        files
    }

    /// What the pipelines are told of it.
    pub fn settings(&self) -> Settings {
        let [ttl, renew, fence, delay] = [4000, 200, 2000, 500].map(Duration::from_millis);
        Settings {
            seal: SealKey::derive(SECRET.as_bytes()),
            redactor: Arc::new(Redactor::new([SECRET])),
            retry: retry(self),
            lease: Timings::new(ttl, renew, fence, delay).unwrap(),
            host: "town".to_owned(),
            status_url: None,
            report_every: self.report_every,
            progress_every: self.report_every,
            gate_timeout: self.gate_timeout,
            deploy_timeout: PATIENCE,
            mergeability_patience: self.mergeability_patience,
            merge_patience: self.merge_patience,
            sweep_every: self.sweep_every,
            left_open_after: self.left_open_after,
            dead_after: self.dead_after,
            settle: self.settle,
        }
    }
}

/// A policy with one approver, everything on, squash merges.
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
            prod_branch_names: vec!["main".to_owned(), "master".to_owned()],
            forward_only_branch_suffix: "-forward-only".to_owned(),
            check_if_blocked_on_deploy_to_prod: true,
        },
        linter: true,
    }
}

/// A policy as the town's projects write it down.
pub fn written(policy: &Policy) -> String {
    serde_json::to_string_pretty(policy).unwrap()
}

fn project() -> Project {
    Project {
        name: ProjectName::new("warehouse").unwrap(),
        repository: Repository::new("acme/warehouse").unwrap(),
        path: String::new(),
        python: Python::Interpreter("python".into()),
        also: vec![],
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 8,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository: SharesRepository::No,
    }
}

/// A project of a monorepo.
fn in_folder(name: &str) -> Project {
    Project {
        name: ProjectName::new(name).unwrap(),
        path: name.to_owned(),
        shares_repository: SharesRepository::Yes,
        ..project()
    }
}

/// What is behind a town.
pub(super) struct Behind {
    pub(super) deps: Deps,
    pub(super) producer: (sluice_producer::Settings, sluice_producer::Deps),
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) losing: Arc<Losing>,
    pub(super) leases: Arc<Losable>,
    pub(super) warehouse: Arc<Warehouse>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<Ahead>,
    pub(super) heard: Arc<Heard>,
}

impl Behind {
    pub(super) fn new(setup: &Setup, github: &Standin, folder: &Path) -> Self {
        let clock = hour::clock();
        let heard = Arc::new(Heard::default());
        let projects = setup.projects();
        let names: Vec<ProjectName> = projects.iter().map(|one| one.name.clone()).collect();
        let metrics = Arc::new(Metrics::new(&names, "test").unwrap());
        let observer = Arc::new(Observers::new(vec![heard.clone(), metrics.clone()]));
        let queue = Arc::new(MemoryQueue::new(clock.clone(), retry(setup)));
        let leases = Arc::new(Losable::new(MemoryLeases::new(clock.clone())));
        let engine = Scripted::new(mirrors(github, folder));
        let warehouse = engine.warehouse();
        let token = match setup.person {
            Some(login) => format!("token-{login}"),
            None => github.token().to_owned(),
        };
        let adapter = HttpGitHub::new(&GitHubSettings {
            api_url: github.url().to_owned(),
            auth: Auth::Token(token.into()),
            app: None,
            checks: ChecksAs::Auto,
            patience: Patience::default(),
            limits: setup.limits,
            observer: observer.clone(),
            clock: clock.clone(),
        });
        let producer = sluice_producer::Deps {
            queue: queue.clone(),
            processed: Arc::new(RecentDeliveries::new(clock.clone())),
            leases: leases.clone(),
            clock: clock.clone(),
            observer: observer.clone(),
            metrics: metrics.clone(),
        };
        let losing = Arc::new(Losing::new(queue.clone()));
        let deps = Deps {
            queue: losing.clone(),
            leases: leases.clone(),
            github: Arc::new(adapter.unwrap()),
            engine: Arc::new(engine),
            clock: clock.clone(),
            observer,
            ledger: setup.ledger.clone(),
            pauses: Arc::new(MemoryPauses::default()),
            projects: projects.iter().cloned().map(Arc::new).collect(),
            settings: Arc::new(setup.settings()),
        };
        let producer = (producer_settings(setup), producer);
        Self { deps, producer, queue, losing, leases, warehouse, metrics, clock, heard }
    }
}

fn retry(setup: &Setup) -> RetryPolicy {
    RetryPolicy { delays: vec![Duration::from_millis(20); setup.retries] }
}

/// A GitHub whose clock can be set ahead.
pub(super) fn standin() -> StandinConfig {
    StandinConfig { clock: world::Clock::Ahead(Duration::ZERO), ..StandinConfig::default() }
}

/// Checkouts of what is on GitHub, below `folder`.
pub fn mirrors(github: &Standin, folder: &Path) -> Arc<Mirrors> {
    let mirrors = Mirrors::new(checkout::Settings {
        data_dir: folder.to_owned(),
        git: "git".into(),
        url: UrlTemplate::new(format!("{}/{{repository}}.git", github.url())).unwrap(),
        credentials: Arc::new(TownToken(github.token().to_owned())),
        timeouts: checkout::Timeouts::default(),
    });
    Arc::new(mirrors.unwrap())
}

pub fn producer_settings(setup: &Setup) -> sluice_producer::Settings {
    sluice_producer::Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        webhook_secrets: vec![Secret::new(SECRET)],
        projects: setup.projects().into(),
        linger: Duration::ZERO,
        limits: Limits::default(),
    }
}

struct TownToken(String);

#[async_trait::async_trait]
impl Credentials for TownToken {
    async fn token(&self, _: &Repository) -> Result<Option<Token>, NoToken> {
        Ok(Some(Token::new(&self.0)))
    }
}
