//! A scripted engine: real git underneath, and a SQLMesh of a few lines on top.
//!
//! A project is its `models/*.sql`. What goes wrong is written into the files themselves, as SQL
//! comments (`-- fails test`), so that a story's pull requests say what they do. It keeps its own
//! record of applies, and of any two that overlapped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sluice::engine::{Engine, EngineError, Fault, Session, Source};
use sluice::names::{PolicySha, Sha};
use sluice::policy::Policy;
use sluice::project::Project;
use sluice_worker::checkout::Mirrors;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

mod session;

use session::Open;

type Models = BTreeMap<String, String>;

/// The engine of a town.
pub struct Scripted {
    mirrors: Arc<Mirrors>,
    warehouse: Arc<Warehouse>,
    policies: Mutex<BTreeMap<PolicySha, Arc<Policy>>>,
}

/// What all sessions share: the warehouse and its state store.
#[derive(Default)]
pub struct Warehouse {
    data: Mutex<Data>,
    held: watch::Sender<Option<String>>,
    /// How many plans of deploys may be made; `None` while none is held.
    plans_let: watch::Sender<Option<usize>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Data {
    environments: BTreeMap<String, Deployed>,
    plans: u64,
    /// How many plans were begun that a deploy wants to apply.
    deploy_plans: usize,
    applying: Vec<String>,
    /// Two applies that ran at once on one environment or snapshot version.
    overlaps: Vec<String>,
    calls: BTreeMap<&'static str, usize>,
    applied: Vec<String>,
    /// The next apply to prod ends with the bridge, which then says nothing more.
    kills_a_bridge: bool,
    /// No configuration can be read.
    is_misconfigured: bool,
    /// No stranger's code can be run.
    has_no_walls: bool,
}

#[derive(Default, Clone)]
struct Deployed {
    plan_id: String,
    models: Models,
}

impl Data {
    fn fresh_plan(&mut self) -> String {
        self.plans += 1;
        format!("plan-{}", self.plans)
    }
}

impl Scripted {
    pub fn new(mirrors: Arc<Mirrors>) -> Self {
        Self { mirrors, warehouse: Arc::default(), policies: Mutex::default() }
    }

    pub fn warehouse(&self) -> Arc<Warehouse> {
        Arc::clone(&self.warehouse)
    }
}

impl Warehouse {
    /// How often the engine was asked for something that needs Python.
    pub fn calls(&self, what: &str) -> usize {
        self.data.lock().unwrap().calls.get(what).copied().unwrap_or_default()
    }

    /// The text of a model in an environment.
    pub fn model(&self, environment: &str, name: &str) -> Option<String> {
        self.data.lock().unwrap().environments.get(environment)?.models.get(name).cloned()
    }

    pub fn has(&self, environment: &str) -> bool {
        self.data.lock().unwrap().environments.contains_key(environment)
    }

    /// The environments that were applied to, in order.
    pub fn applied(&self) -> Vec<String> {
        self.data.lock().unwrap().applied.clone()
    }

    pub fn overlaps(&self) -> Vec<String> {
        self.data.lock().unwrap().overlaps.clone()
    }

    /// Puts something else into prod, as somebody with a laptop would.
    pub fn is_changed_by_hand(&self, environment: &str, model: &str, sql: &str) {
        let mut data = self.data.lock().unwrap();
        let plan_id = data.fresh_plan();
        let deployed = data.environments.entry(environment.to_owned()).or_default();
        deployed.plan_id = plan_id;
        deployed.models.insert(model.to_owned(), sql.to_owned());
    }

    /// From now on no configuration can be read.
    pub fn breaks_the_configuration(&self) {
        self.data.lock().unwrap().is_misconfigured = true;
    }

    /// From now on no stranger's code can be run.
    pub fn has_no_walls(&self) {
        self.data.lock().unwrap().has_no_walls = true;
    }

    /// Kills the bridge of the next apply to prod.
    pub fn kills_the_next_bridge(&self) {
        self.data.lock().unwrap().kills_a_bridge = true;
    }

    /// Makes every apply to the environment wait before its first stage.
    pub fn hold_apply(&self, environment: &str) {
        self.held.send_replace(Some(environment.to_owned()));
    }

    pub fn release(&self) {
        self.held.send_replace(None);
    }

    /// Waits until an apply to the environment has begun (and is held, if it is).
    pub async fn until_applying(&self, environment: &str) {
        let mut changed = self.changed.subscribe();
        let applying = || self.data.lock().unwrap().applying.iter().any(|e| e == environment);
        let waiting = async {
            while !applying() {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("no apply began");
    }

    /// Makes every plan of a deploy wait until it is let go.
    pub fn hold_plans(&self) {
        self.plans_let.send_replace(Some(0));
    }

    /// Waits until a deploy has begun its next plan, which is held.
    pub async fn until_planning(&self) {
        let let_go = self.plans_let.borrow().unwrap_or_default();
        let mut changed = self.changed.subscribe();
        let waiting = async {
            while self.data.lock().unwrap().deploy_plans <= let_go {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("no plan began");
    }

    /// Lets the plan go that is held; the next one is held again.
    pub fn let_plan_go(&self) {
        self.plans_let.send_modify(|plans| *plans = plans.map(|plans| plans + 1));
    }

    /// Lets every plan go from now on.
    pub fn let_all_plans_go(&self) {
        self.plans_let.send_replace(None);
    }

    /// A deploy's plan has begun: returns when it is let go.
    async fn plan_of_deploy(&self) {
        let number = {
            let mut data = self.data.lock().unwrap();
            data.deploy_plans += 1;
            data.deploy_plans
        };
        self.changed.send_modify(|n| *n += 1);
        let mut let_go = self.plans_let.subscribe();
        let go = |plans: &Option<usize>| plans.is_none_or(|plans| plans >= number);
        drop(let_go.wait_for(go).await.unwrap());
    }

    fn count(&self, what: &'static str) {
        *self.data.lock().unwrap().calls.entry(what).or_default() += 1;
    }
}

#[async_trait]
impl Engine for Scripted {
    async fn policy(
        &self,
        project: &Project,
        base: &Sha,
        policy: &PolicySha,
    ) -> Result<Arc<Policy>, EngineError> {
        if self.warehouse.data.lock().unwrap().is_misconfigured {
            return Err(declared(Fault::Config, "no such gateway"));
        }
        if let Some(known) = self.policies.lock().unwrap().get(policy) {
            return Ok(known.clone());
        }
        let cancel = CancellationToken::new();
        let files = self.mirrors.configuration(project, base, &cancel).await?;
        let text = std::fs::read_to_string(files.project().join("config.yaml")).unwrap();
        let read: Policy =
            serde_json::from_str(&text).map_err(|error| declared(Fault::Config, error))?;
        let read = Arc::new(read);
        self.policies.lock().unwrap().insert(policy.clone(), read.clone());
        Ok(read)
    }

    async fn open(
        &self,
        source: &Source,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        if source.confined && self.warehouse.data.lock().unwrap().has_no_walls {
            return Err(declared(Fault::Load, "this worker has no walls"));
        }
        let worktree = self.mirrors.merged(source, &cancel).await?;
        let mut models = Models::new();
        for file in std::fs::read_dir(worktree.project().join("models")).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            models.insert(name, std::fs::read_to_string(&path).unwrap());
        }
        let checkout = worktree.checkout().clone();
        let warehouse = Arc::clone(&self.warehouse);
        warehouse.count(if source.confined { "open apart" } else { "open" });
        let (previous, is_dead) = (BTreeMap::new(), false);
        Ok(Box::new(Open { checkout, models, warehouse, cancel, previous, is_dead }))
    }
}

fn declared(class: Fault, message: impl ToString) -> EngineError {
    EngineError::Declared { class, message: message.to_string(), traceback: None }
}

/// An apply that is under way; two on one environment at once are put on record.
struct Running<'a> {
    warehouse: &'a Warehouse,
    environment: String,
}

impl<'a> Running<'a> {
    fn begin(warehouse: &'a Warehouse, environment: &str) -> Self {
        let mut data = warehouse.data.lock().unwrap();
        if data.applying.iter().any(|running| running == environment) {
            data.overlaps.push(environment.to_owned());
        }
        data.applying.push(environment.to_owned());
        drop(data);
        warehouse.changed.send_modify(|n| *n += 1);
        Self { warehouse, environment: environment.to_owned() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut data = self.warehouse.data.lock().unwrap();
        if let Some(index) = data.applying.iter().position(|e| *e == self.environment) {
            data.applying.remove(index);
        }
        drop(data);
        self.warehouse.changed.send_modify(|n| *n += 1);
    }
}
