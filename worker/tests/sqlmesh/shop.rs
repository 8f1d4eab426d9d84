//! A SQLMesh project of three models on DuckDB in a folder of its own, and a worker's bridges for
//! it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sluice::clock::SystemClock;
use sluice::engine::{Checkout, Fence, Plan, PlanRequest, Progress, Purpose, Session, Watch};
use sluice::names::{Environment, ProjectName, Repository, Sha};
use sluice::policy::{BotOptions, Policy};
use sluice::project::{Approvals, OldHead, OwnersApproval, Project, Python, SharesRepository};
use sluice_worker::sqlmesh::{
    BridgeSession, Bridges, Environments, REQUIREMENTS, Settings, Site, default_folder,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What a test may not wait for any longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The project, its warehouse and its bridges.
pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    pub(crate) project: Project,
    pub(crate) bridges: Bridges,
}

impl Shop {
    pub(crate) async fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap()).await
    }

    /// A shop in a folder that may hold one already.
    pub(crate) async fn at(folder: TempDir) -> Self {
        Self::with(folder, |_| {}).await
    }

    /// The same, with other bounds.
    pub(crate) async fn with(folder: TempDir, set: impl FnOnce(&mut Settings)) -> Self {
        let told = Arc::new(|line: &str| eprintln!("{line}"));
        let environments =
            Environments { folder: default_folder().unwrap(), base: "python3".into(), told };
        let python = environments.interpreter(REQUIREMENTS).await.unwrap();
        let mut settings = Settings::new(environments);
        set(&mut settings);
        let bridges = Bridges::new(settings, Arc::new(SystemClock)).unwrap();
        let shop = Self { folder, project: project(python), bridges };
        if !shop.path("config.yaml").exists() {
            shop.write("config.yaml", &config(&shop.path("warehouse.duckdb").display(), ""));
            shop.write("models/orders.sql", ORDERS);
            shop.write("models/daily.sql", DAILY);
            shop.write("models/totals.sql", TOTALS);
            shop.write("tests/test_totals.yaml", TEST);
        }
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn reconfigure(&self, more: &str) {
        self.write("config.yaml", &config(&self.path("warehouse.duckdb").display(), more));
    }

    pub(crate) async fn policy(&self) -> Policy {
        self.bridges.policy(&self.project, self.folder.path()).await.unwrap()
    }

    pub(crate) fn site(&self) -> Site {
        let sha = Sha::new("a".repeat(40)).unwrap();
        Site {
            folder: self.folder.path().to_owned(),
            cache: self.path("cache"),
            checkout: Checkout { tree: sha.clone(), project_tree: sha },
            keep: None,
        }
    }

    pub(crate) async fn open(&self) -> BridgeSession {
        self.open_until(CancellationToken::new()).await
    }

    pub(crate) async fn open_until(&self, cancel: CancellationToken) -> BridgeSession {
        self.bridges.session(&self.project, self.site(), cancel).await.unwrap()
    }

    /// A session whose project is loaded.
    pub(crate) async fn loaded(&self) -> BridgeSession {
        let mut session = self.open().await;
        session.load().await.unwrap();
        session
    }

    /// Brings prod to what the files say.
    pub(crate) async fn deploy(&self) {
        let mut session = self.loaded().await;
        let plan = plan(&mut session, Purpose::Prod).await;
        session.apply(&plan, &Gate::open()).await.unwrap();
        Box::new(session).close().await.unwrap();
    }
}

fn project(python: PathBuf) -> Project {
    Project {
        name: ProjectName::new("shop").unwrap(),
        repository: Repository::new("acme/shop").unwrap(),
        path: String::new(),
        python: Python::Interpreter(python),
        also: vec![],
        gateway: None,
        pass_env: vec!["CARGO_PKG_NAME".to_owned()],
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository: SharesRepository::No,
    }
}

fn config(database: &dyn Display, more: &str) -> String {
    format!(
        "gateways: {{local: {{connection: {{type: duckdb, database: '{database}'}}}}}}\n\
         default_gateway: local\n\
         model_defaults: {{dialect: duckdb, start: '2024-01-01'}}\n\
         linter: {{enabled: true, rules: [noselectstar]}}\n\
         users:\n\
         - {{username: carol, github_username: Carol, roles: [required_approver]}}\n\
         - {{username: dave, github_username: Dave}}\n{more}\n"
    )
}

const ORDERS: &str = "MODEL (name shop.orders, kind FULL); SELECT 1 AS id, 10 AS amount";
pub(crate) const DAILY: &str = "MODEL (name shop.daily, kind INCREMENTAL_BY_TIME_RANGE \
                     (time_column ds), start '2024-01-01'); \
                     SELECT @start_ds AS ds, id, amount FROM shop.orders";
const TOTALS: &str = "MODEL (name shop.totals, kind VIEW); \
                      SELECT id, SUM(amount) AS total FROM shop.orders GROUP BY id";
const TEST: &str = "test_totals:
  model: shop.totals
  inputs: {shop.orders: {rows: [{id: 1, amount: 2}, {id: 1, amount: 3}]}}
  outputs: {query: {rows: [{id: 1, total: 5}]}}
";

/// The reference's defaults, with everything categorized and backfilled.
pub(crate) fn options() -> BotOptions {
    BotOptions {
        invalidate_environment_after_deploy: true,
        enable_deploy_command: false,
        merge_method: None,
        command_namespace: None,
        auto_categorize_changes: serde_json::json!({"sql": "full", "python": "full"}),
        default_pr_start: None,
        default_pr_preview_start: "yesterday".to_owned(),
        skip_pr_backfill: false,
        pr_include_unmodified: false,
        run_on_deploy_to_prod: false,
        pr_environment_name: None,
        pr_min_intervals: None,
        pr_preview_min_intervals: 1,
        prod_branch_names: vec!["main".to_owned()],
        forward_only_branch_suffix: "-forward-only".to_owned(),
        check_if_blocked_on_deploy_to_prod: true,
    }
}

pub(crate) fn request(purpose: Purpose) -> PlanRequest {
    let environment = match purpose {
        Purpose::Pr => Environment::new("shop_7").unwrap(),
        Purpose::ProdPreview | Purpose::Prod => Environment::prod(),
    };
    PlanRequest { purpose, environment, options: options(), head_branch: "topic".to_owned() }
}

pub(crate) async fn plan(session: &mut BridgeSession, purpose: Purpose) -> Plan {
    session.plan(&request(purpose)).await.unwrap()
}

/// A watch that remembers, and lets `stages` begin; any other stage it halts.
pub(crate) struct Gate {
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) told: Mutex<Vec<Progress>>,
    shut_before: Option<&'static str>,
}

impl Gate {
    pub(crate) fn open() -> Self {
        Self { asked: Mutex::default(), told: Mutex::default(), shut_before: None }
    }

    pub(crate) fn shut_before(stage: &'static str) -> Self {
        Self { shut_before: Some(stage), ..Self::open() }
    }
}

#[async_trait]
impl Watch for Gate {
    async fn may_start(&self, stage: &str) -> Fence {
        self.asked.lock().unwrap().push(stage.to_owned());
        if self.shut_before == Some(stage) { Fence::Halt } else { Fence::Go }
    }

    fn progress(&self, progress: Progress) {
        self.told.lock().unwrap().push(progress);
    }
}

/// A model that starts a process in a session of its own, writes down who runs, and then waits for
/// something that never comes.
pub(crate) fn stuck_model(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "import os, subprocess
from sqlmesh import model

@model('shop.stuck', kind='FULL', columns={{'id': 'int'}})
def execute(context, **kwargs):
    print('printed by a job', flush=True)
    pipe = '{folder}/never'
    os.mkfifo(pipe)
    far = subprocess.Popen(['setsid', 'cat', pipe])
    with open('{folder}/pids.part', 'w') as pids:
        pids.write(f'{{os.getppid()}} {{os.getpid()}} {{far.pid}}')
    os.rename('{folder}/pids.part', '{folder}/pids')
    open(pipe).read()
"
    )
}

/// The server, the job and the process that left the job's group, once the stuck model runs.
pub(crate) async fn stuck_pids(folder: &Path) -> [i32; 3] {
    let path = folder.join("pids");
    until("the model runs", || path.exists()).await;
    let text = std::fs::read_to_string(path).unwrap();
    let pids: Vec<i32> = text.split(' ').map(|pid| pid.parse().unwrap()).collect();
    pids.try_into().unwrap()
}

/// Whether a process runs; one that only waits to be reaped does not.
pub(crate) fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

/// Looks again and again; there is no event for what another process does.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looked = tokio::time::timeout(PATIENCE, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !holds() {
            ticks.tick().await;
        }
    });
    looked.await.unwrap_or_else(|_| panic!("{what}: did not happen"));
}
