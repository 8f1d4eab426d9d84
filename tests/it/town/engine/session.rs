//! A session of the scripted engine: what SQLMesh would say of the models in a checkout.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sluice::engine::{
    Applied, Change, Checkout, DirectChange, EngineError, EnvironmentState, Fault, Fence,
    LintReport, Loaded, ModelChange, Plan, PlanRequest, Progress, Purpose, Session, TestFailure,
    TestReport, Used, Watch,
};
use sluice::names::Environment;
use tokio_util::sync::CancellationToken;

use super::{Deployed, Models, Running, Warehouse, declared};

/// One job's SQLMesh.
pub(super) struct Open {
    pub(super) checkout: Checkout,
    pub(super) models: Models,
    pub(super) warehouse: Arc<Warehouse>,
    pub(super) cancel: CancellationToken,
    /// Per plan: what the environment stood at when it was built.
    pub(super) previous: BTreeMap<String, Option<String>>,
    /// Its bridge was killed.
    pub(super) is_dead: bool,
}

impl Open {
    /// The models with a mark in their text.
    fn with(&self, mark: &str) -> Vec<String> {
        let marked = self.models.iter().filter(|(_, sql)| sql.contains(mark));
        marked.map(|(name, _)| name.clone()).collect()
    }

    /// The models whose test fails: by their own mark, or because of another model.
    fn failing(&self) -> Vec<String> {
        let mut failing = self.with("-- fails test");
        for (name, sql) in &self.models {
            let other = sql.split_once("-- breaks with ").and_then(|(_, rest)| rest.lines().next());
            if other.is_some_and(|other| self.models.contains_key(other)) {
                failing.push(name.clone());
            }
        }
        failing
    }

    /// Returns when the session is killed; never for one that does not hear it.
    async fn killed(&self) {
        if !self.with("-- deaf").is_empty() {
            std::future::pending::<()>().await;
        }
        self.cancel.cancelled().await;
    }

    /// What every call but the last begins with.
    fn living(&self) -> Result<(), EngineError> {
        if self.is_dead {
            return Err(EngineError::Broken { what: "the bridge died".to_owned(), source: None });
        }
        let deaf = !self.with("-- deaf").is_empty();
        if self.cancel.is_cancelled() && !deaf { Err(EngineError::Cancelled) } else { Ok(()) }
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

    fn direct(&self, (name, change): &(String, Change)) -> DirectChange {
        let sql = self.models.get(name).map(String::as_str).unwrap_or_default();
        DirectChange {
            name: name.clone(),
            change: *change,
            category: Some("breaking".to_owned()),
            forward_only: false,
            destructive: false,
            fingerprint: hex::encode(&Sha256::digest(sql)[..8]),
        }
    }
}

fn model((name, change): &(String, Change)) -> ModelChange {
    ModelChange {
        name: name.clone(),
        change: *change,
        kind: "FULL".to_owned(),
        category: Some("breaking".to_owned()),
        loaded: None,
        missing: None,
    }
}

#[async_trait]
impl Session for Open {
    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    async fn load(&mut self) -> Result<Loaded, EngineError> {
        self.living()?;
        self.warehouse.count("load");
        if let Some(model) = self.with("-- breaks in load").first() {
            let message = format!("no connection: {}", self.models[model]);
            return Err(declared(Fault::Other, message));
        }
        match self.with("-- does not parse").first() {
            Some(model) => Err(declared(Fault::Load, format!("{model} does not parse"))),
            None => Ok(Loaded { models: self.models.len() as u64, linter: true }),
        }
    }

    async fn lint(&mut self) -> Result<LintReport, EngineError> {
        self.living()?;
        self.warehouse.count("lint");
        let errors = self.with("-- fails lint").iter().map(|m| format!("{m}: no owner")).collect();
        Ok(LintReport { errors, warnings: Vec::new() })
    }

    async fn test(&mut self) -> Result<TestReport, EngineError> {
        self.living()?;
        self.warehouse.count("test");
        if !self.with("-- hangs in test").is_empty() {
            self.cancel.cancelled().await;
            return Err(EngineError::Cancelled);
        }
        assert!(self.with("-- panics in test").is_empty(), "the engine panics, as the story says");
        let text = "expected 1, got 2".to_owned();
        let failures: Vec<_> = self
            .failing()
            .into_iter()
            .map(|model| TestFailure { name: format!("test_{model}"), text: text.clone() })
            .collect();
        Ok(TestReport { ran: self.models.len() as u64, skipped: 0, failures })
    }

    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, EngineError> {
        self.living()?;
        self.warehouse.count("plan");
        if let Some(model) = self.with("-- fails plan").first() {
            return Err(declared(Fault::Plan, format!("{model} cannot be planned")));
        }
        if request.purpose == Purpose::Prod {
            self.warehouse.plan_of_deploy().await;
        }
        let mut data = self.warehouse.data.lock().unwrap();
        let plan_id = data.fresh_plan();
        let name = request.environment.as_str();
        let existing = data.environments.get(name).cloned();
        let prod = data.environments.get("prod").cloned().unwrap_or_default();
        let stands = existing.as_ref().unwrap_or(&prod);
        let changes = self.differences(&stands.models);
        self.previous.insert(plan_id.clone(), existing.as_ref().map(|e| e.plan_id.clone()));
        let builds = |(name, _): &(String, Change)| format!("{name}@{}", self.checkout.tree);
        let line = |(name, change): &(String, Change)| format!("- {name}: {change:?}\n");
        Ok(Plan {
            plan_id,
            purpose: request.purpose,
            environment: request.environment.clone(),
            is_new_environment: existing.is_none(),
            has_effect: !changes.is_empty(),
            has_changes: !changes.is_empty(),
            models: changes.iter().map(model).collect(),
            uncategorized: self.with("-- uncategorized"),
            builds: changes.iter().map(builds).collect(),
            digest_input: changes.iter().map(|change| self.direct(change)).collect(),
            markdown: changes.iter().map(line).collect(),
        })
    }

    async fn apply(&mut self, plan: &Plan, watch: &dyn Watch) -> Result<Applied, EngineError> {
        self.living()?;
        self.warehouse.count("apply");
        let name = plan.environment.as_str().to_owned();
        if !plan.has_effect {
            let data = self.warehouse.data.lock().unwrap();
            let plan_id = data.environments.get(&name).map(|deployed| deployed.plan_id.clone());
            return Ok(Applied { changed: false, plan_id, stages: BTreeMap::new() });
        }
        let running = Running::begin(&self.warehouse, &name);
        let mut held = self.warehouse.held.subscribe();
        tokio::select! {
            result = held.wait_for(|held| held.as_deref() != Some(name.as_str())) => {
                result.unwrap();
            }
            () = self.killed() => {
                self.warehouse.count("killed");
                return Err(EngineError::Cancelled);
            }
        }
        if let Some(model) = self.with("-- fails apply").first() {
            return Err(declared(Fault::Apply, format!("{model}: division by zero")));
        }
        if name == "prod" {
            let mut data = self.warehouse.data.lock().unwrap();
            self.is_dead = std::mem::take(&mut data.kills_a_bridge);
        }
        self.living()?;
        let fails = |mark| name == "prod" && !self.with(mark).is_empty();
        if let (true, Some(model)) = (name == "prod", self.with("-- fails in prod").first()) {
            // A warehouse quotes what it was doing, and as whom.
            let message = format!("the disk is full: {}", self.models[model]);
            return Err(declared(Fault::Apply, message));
        }
        let stages = ["physical layer", "backfill", "promote", "finalize"];
        for (done, stage) in stages.iter().enumerate() {
            let fence = tokio::select! {
                biased;
                () = self.killed() => return Err(EngineError::Cancelled),
                fence = watch.may_start(stage) => fence,
            };
            if fence == Fence::Halt {
                return Err(EngineError::Halted((*stage).to_owned()));
            }
            let phase = (*stage).to_owned();
            watch.progress(Progress { phase, model: None, done: done as u64, total: 4 });
        }
        let mut data = self.warehouse.data.lock().unwrap();
        let stands = data.environments.get(&name).map(|e| e.plan_id.clone());
        if fails("-- conflicts") || self.previous.get(&plan.plan_id) != Some(&stands) {
            return Err(EngineError::Conflict(format!("{name} stands at another plan")));
        }
        let deployed = Deployed { plan_id: plan.plan_id.clone(), models: self.models.clone() };
        data.environments.insert(name.clone(), deployed);
        data.applied.push(name.clone());
        if fails("-- fails after promote") {
            return Err(declared(Fault::Apply, "the state store went away"));
        }
        drop(data);
        drop(running);
        let plan_id = Some(plan.plan_id.clone());
        Ok(Applied { changed: true, plan_id, stages: BTreeMap::new() })
    }

    async fn invalidate(&mut self, environment: &Environment) -> Result<(), EngineError> {
        self.living()?;
        self.warehouse.count("invalidate");
        if !self.with("-- cannot be removed").is_empty() {
            return Err(declared(Fault::Other, "a view depends on it"));
        }
        self.warehouse.data.lock().unwrap().environments.remove(environment.as_str());
        Ok(())
    }

    async fn environment(
        &mut self,
        environment: &Environment,
    ) -> Result<Option<EnvironmentState>, EngineError> {
        self.living()?;
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
