//! A scripted engine: real git underneath, and a SQLMesh of a few lines on top.
//!
//! A project is its `models/*.sql`. What goes wrong is written into the files themselves, as SQL
//! comments (`-- fails test`), so that a story's pull requests say what they do. It keeps its own
//! record of applies, and of any two that overlapped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sluice::engine::{
    Applied, Change, Checkout, DirectChange, Engine, EngineError, EnvironmentState, Fault, Fence,
    LintReport, Loaded, ModelChange, Plan, PlanRequest, Progress, Session, Source, TestFailure,
    TestReport, Used, Watch,
};
use sluice::names::{Environment, PolicySha, Sha};
use sluice::policy::Policy;
use sluice::project::Project;
use sluice_worker::checkout::Mirrors;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

type Models = BTreeMap<String, String>;

/// The engine of a town.
pub struct Scripted {
    mirrors: Arc<Mirrors>,
    warehouse: Arc<Warehouse>,
}

/// What all sessions share: the warehouse and its state store.
#[derive(Default)]
pub struct Warehouse {
    data: Mutex<Data>,
    held: watch::Sender<Option<String>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Data {
    environments: BTreeMap<String, Deployed>,
    plans: u64,
    applying: Vec<String>,
    /// Two applies that ran at once on one environment or snapshot version.
    overlaps: Vec<String>,
    calls: BTreeMap<&'static str, usize>,
    applied: Vec<String>,
}

#[derive(Default, Clone)]
struct Deployed {
    plan_id: String,
    models: Models,
}

impl Scripted {
    pub fn new(mirrors: Arc<Mirrors>) -> Self {
        Self { mirrors, warehouse: Arc::default() }
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
        data.plans += 1;
        let plan_id = format!("plan-{}", data.plans);
        let deployed = data.environments.entry(environment.to_owned()).or_default();
        deployed.plan_id = plan_id;
        deployed.models.insert(model.to_owned(), sql.to_owned());
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
        _policy: &PolicySha,
    ) -> Result<Arc<Policy>, EngineError> {
        let cancel = CancellationToken::new();
        let files = self.mirrors.configuration(project, base, &cancel).await?;
        let text = std::fs::read_to_string(files.project().join("config.yaml")).unwrap();
        serde_json::from_str(&text).map(Arc::new).map_err(|error| declared(Fault::Config, error))
    }

    async fn open(
        &self,
        source: &Source,
        cancel: CancellationToken,
    ) -> Result<Box<dyn Session>, EngineError> {
        let worktree = self.mirrors.merged(source, &cancel).await?;
        let mut models = Models::new();
        for file in std::fs::read_dir(worktree.project().join("models")).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            models.insert(name, std::fs::read_to_string(&path).unwrap());
        }
        let checkout = worktree.checkout().clone();
        let warehouse = Arc::clone(&self.warehouse);
        warehouse.count("open");
        Ok(Box::new(Open { checkout, models, warehouse, cancel, previous: BTreeMap::new() }))
    }
}

struct Open {
    checkout: Checkout,
    models: Models,
    warehouse: Arc<Warehouse>,
    cancel: CancellationToken,
    /// Per plan: what the environment stood at when it was built.
    previous: BTreeMap<String, Option<String>>,
}

fn declared(class: Fault, message: impl ToString) -> EngineError {
    EngineError::Declared { class, message: message.to_string(), traceback: None }
}

impl Open {
    fn with(&self, mark: &str) -> Vec<String> {
        let marked = self.models.iter().filter(|(_, sql)| sql.contains(mark));
        marked.map(|(name, _)| name.clone()).collect()
    }

    fn differences(&self, stands: &Models) -> Vec<(String, Change)> {
        let mut changes = Vec::new();
        for (name, sql) in &self.models {
            match stands.get(name) {
                None => changes.push((name.clone(), Change::Added)),
                Some(old) if old != sql => changes.push((name.clone(), Change::DirectlyModified)),
                Some(_) => {}
            }
        }
        let gone = stands.keys().filter(|name| !self.models.contains_key(*name));
        changes.extend(gone.map(|name| (name.clone(), Change::Removed)));
        changes
    }
}

#[async_trait]
impl Session for Open {
    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    async fn load(&mut self) -> Result<Loaded, EngineError> {
        self.warehouse.count("load");
        match self.with("-- does not parse").first() {
            Some(model) => Err(declared(Fault::Load, format!("{model} does not parse"))),
            None => Ok(Loaded { models: self.models.len() as u64, linter: true }),
        }
    }

    async fn lint(&mut self) -> Result<LintReport, EngineError> {
        self.warehouse.count("lint");
        let errors = self.with("-- fails lint").iter().map(|m| format!("{m}: no owner")).collect();
        Ok(LintReport { errors, warnings: Vec::new() })
    }

    async fn test(&mut self) -> Result<TestReport, EngineError> {
        self.warehouse.count("test");
        let text = "expected 1, got 2".to_owned();
        let failed = self.with("-- fails test").into_iter();
        let failures: Vec<_> = failed
            .map(|model| TestFailure { name: format!("test_{model}"), text: text.clone() })
            .collect();
        Ok(TestReport { ran: self.models.len() as u64, skipped: 0, failures })
    }

    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, EngineError> {
        self.warehouse.count("plan");
        if let Some(model) = self.with("-- fails plan").first() {
            return Err(declared(Fault::Plan, format!("{model} cannot be planned")));
        }
        let mut data = self.warehouse.data.lock().unwrap();
        data.plans += 1;
        let plan_id = format!("plan-{}", data.plans);
        let name = request.environment.as_str();
        let existing = data.environments.get(name).cloned();
        let prod = data.environments.get("prod").cloned().unwrap_or_default();
        let stands = existing.as_ref().unwrap_or(&prod);
        let changes = self.differences(&stands.models);
        self.previous.insert(plan_id.clone(), existing.as_ref().map(|e| e.plan_id.clone()));
        let direct = |(name, change): &(String, Change)| DirectChange {
            name: name.clone(),
            change: *change,
            category: Some("breaking".to_owned()),
            forward_only: false,
            destructive: false,
        };
        let model = |(name, change): &(String, Change)| ModelChange {
            name: name.clone(),
            change: *change,
            kind: "FULL".to_owned(),
            category: Some("breaking".to_owned()),
            loaded: None,
            missing: None,
        };
        Ok(Plan {
            plan_id,
            purpose: request.purpose,
            environment: request.environment.clone(),
            is_new_environment: existing.is_none(),
            has_effect: !changes.is_empty(),
            has_changes: !changes.is_empty(),
            models: changes.iter().map(model).collect(),
            uncategorized: self.with("-- uncategorized"),
            builds: changes
                .iter()
                .map(|(name, _)| format!("{name}@{}", self.checkout.tree))
                .collect(),
            digest_input: changes.iter().map(direct).collect(),
            markdown: changes
                .iter()
                .map(|(name, change)| format!("- {name}: {change:?}\n"))
                .collect(),
        })
    }

    async fn apply(&mut self, plan: &Plan, watch: &dyn Watch) -> Result<Applied, EngineError> {
        self.warehouse.count("apply");
        let name = plan.environment.as_str().to_owned();
        let running = Running::begin(&self.warehouse, &name);
        let mut held = self.warehouse.held.subscribe();
        tokio::select! {
            result = held.wait_for(|held| held.as_deref() != Some(name.as_str())) => {
                result.unwrap();
            }
            () = self.cancel.cancelled() => return Err(EngineError::Cancelled),
        }
        if let Some(model) = self.with("-- fails apply").first() {
            return Err(declared(Fault::Apply, format!("{model}: division by zero")));
        }
        for (done, stage) in
            ["physical layer", "backfill", "promote", "finalize"].iter().enumerate()
        {
            if watch.may_start(stage).await == Fence::Halt {
                return Err(EngineError::Halted((*stage).to_owned()));
            }
            let phase = (*stage).to_owned();
            watch.progress(Progress { phase, model: None, done: done as u64, total: 4 });
        }
        let mut data = self.warehouse.data.lock().unwrap();
        let stands = data.environments.get(&name).map(|e| e.plan_id.clone());
        if self.previous.get(&plan.plan_id) != Some(&stands) {
            return Err(EngineError::Conflict(format!("{name} stands at another plan")));
        }
        let deployed = Deployed { plan_id: plan.plan_id.clone(), models: self.models.clone() };
        data.environments.insert(name.clone(), deployed);
        data.applied.push(name);
        drop(data);
        drop(running);
        let plan_id = Some(plan.plan_id.clone());
        Ok(Applied { changed: true, plan_id, stages: BTreeMap::new() })
    }

    async fn invalidate(&mut self, environment: &Environment) -> Result<(), EngineError> {
        self.warehouse.count("invalidate");
        self.warehouse.data.lock().unwrap().environments.remove(environment.as_str());
        Ok(())
    }

    async fn environment(
        &mut self,
        environment: &Environment,
    ) -> Result<Option<EnvironmentState>, EngineError> {
        let data = self.warehouse.data.lock().unwrap();
        let state = |deployed: &Deployed| EnvironmentState {
            plan_id: deployed.plan_id.clone(),
            finalized: true,
        };
        Ok(data.environments.get(environment.as_str()).map(state))
    }

    async fn close(self: Box<Self>) -> Result<Used, EngineError> {
        Ok(Used::default())
    }
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
