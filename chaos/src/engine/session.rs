//! A session of the scripted engine: what SQLMesh would say of the models in a checkout.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest as _, Sha256};
use sluice::engine::{
    Applied, Change, Checkout, DirectChange, EngineError, EnvironmentState, Fault, Fence,
    LintReport, Loaded, ModelChange, Plan, PlanRequest, Progress, Session, Source, TestReport,
    Used, Watch,
};
use sluice::names::Environment;
use tokio_util::sync::CancellationToken;

use super::{Connection, Fences, Surroundings, broken, declared};
use crate::bridge::{Apply, Order, STAGES, Word};
use crate::history::ApplyLine;
use crate::points::When;
use crate::warehouse::{Models, Stands, version};

/// How long a stage takes, in milliseconds, unless a model says otherwise.
const STAGE_MS: u64 = 10;

/// One job's SQLMesh.
pub(super) struct Open {
    pub(super) checkout: Checkout,
    pub(super) source: Source,
    pub(super) models: Models,
    pub(super) place: Arc<Surroundings>,
    pub(super) connection: Connection,
    pub(super) cancel: CancellationToken,
    /// Per plan: what the environment stood at when it was built.
    pub(super) previous: BTreeMap<String, Option<String>>,
}

impl Open {
    /// The models that this pull request changed, with a mark in their text.
    fn said(&self, changes: &[String], mark: &str) -> Option<String> {
        let texts = changes.iter().filter_map(|name| self.models.get(name));
        texts.into_iter().find_map(|sql| Some(sql.split_once(mark)?.1.lines().next()?.to_owned()))
    }

    fn living(&self) -> Result<(), EngineError> {
        if self.cancel.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
    }

    fn order(&self, plan: &Plan) -> Apply {
        let changed: Vec<String> = plan.models.iter().map(|model| model.name.clone()).collect();
        let milliseconds = |text: String| text.split(' ').next()?.parse().ok();
        let takes = |mark| self.said(&changed, mark).and_then(milliseconds);
        let prod = plan.environment == Environment::prod();
        let in_prod = takes("-- takes ").filter(|_| prod);
        let fails = if prod { self.said(&changed, "-- fails in prod") } else { None };
        Apply {
            line: ApplyLine {
                environment: plan.environment.to_string(),
                plan: plan.plan_id.clone(),
                pr: self.source.pr.0,
                head: self.source.head.to_string(),
                tree: self.checkout.tree.to_string(),
            },
            previous: self.previous.get(&plan.plan_id).cloned().flatten(),
            stands: Stands { plan_id: plan.plan_id.clone(), models: self.models.clone() },
            builds: plan.builds.clone(),
            stage_ms: in_prod.or_else(|| takes("-- always takes ")).unwrap_or(STAGE_MS),
            fails,
        }
    }

    /// What the bridge says next. When the session is cancelled, it is gone first.
    async fn word(&mut self) -> Result<Word, EngineError> {
        let cancel = match self.place.fence {
            Fences::Kept => self.cancel.clone(),
            Fences::Broken => CancellationToken::new(),
        };
        let word = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            word = self.connection.word() => Some(word),
        };
        match word {
            Some(Ok(Some(word))) => Ok(word),
            Some(gone) => {
                let bridge = self.connection.bridge();
                self.connection.kill().await.map_err(broken)?;
                let why = gone.err().map(|error| error.to_string()).unwrap_or_default();
                let what = format!("the bridge {bridge} is gone: {why}");
                Err(EngineError::Broken { what, source: None })
            }
            None => {
                self.connection.kill().await.map_err(broken)?;
                Err(EngineError::Cancelled)
            }
        }
    }

    /// Answers the bridge until it has come to an end.
    async fn drive(&mut self, watch: &dyn Watch) -> Result<(), EngineError> {
        let mut done = 0;
        loop {
            match self.word().await? {
                Word::May(stage) => {
                    self.reach_stage(&stage, When::Before);
                    let fence = watch.may_start(&stage).await;
                    let go = fence == Fence::Go || self.place.fence == Fences::Broken;
                    let order = if go { Order::Go } else { Order::Halt };
                    self.connection.say(&order).await.map_err(broken)?;
                }
                Word::Did(stage) => {
                    self.reach_stage(&stage, When::After);
                    done += 1;
                    let total = STAGES.len() as u64;
                    watch.progress(Progress { phase: stage, model: None, done, total });
                }
                Word::Applied => return Ok(()),
                Word::Conflict => {
                    return Err(EngineError::Conflict("it stands at another plan".to_owned()));
                }
                Word::Halted(stage) => return Err(EngineError::Halted(stage)),
                Word::Failed(why) => return Err(declared(Fault::Apply, why)),
            }
        }
    }

    fn reach_stage(&self, stage: &str, when: When) {
        self.place.points.reach(&format!("engine.stage.{stage}"), when);
    }
}

/// What differs between the models of a checkout and those of an environment.
fn differences(models: &Models, stands: &Models) -> Vec<(String, Change)> {
    let changed = models.iter().filter_map(|(name, sql)| match stands.get(name) {
        None => Some((name.clone(), Change::Added)),
        Some(old) if old != sql => Some((name.clone(), Change::DirectlyModified)),
        Some(_) => None,
    });
    let gone = stands.keys().filter(|name| !models.contains_key(*name));
    changed.chain(gone.map(|name| (name.clone(), Change::Removed))).collect()
}

fn direct(models: &Models, (name, change): &(String, Change)) -> DirectChange {
    let sql = models.get(name).map(String::as_str).unwrap_or_default();
    DirectChange {
        name: name.clone(),
        change: *change,
        category: Some("breaking".to_owned()),
        forward_only: false,
        destructive: false,
        fingerprint: hex::encode(&Sha256::digest(sql)[..8]),
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
        let all: Vec<String> = self.models.keys().cloned().collect();
        if self.said(&all, "-- kills its worker").is_some() {
            kill(Pid::this(), Signal::SIGKILL).map_err(broken)?;
        }
        Ok(Loaded { models: self.models.len() as u64, linter: true })
    }

    async fn lint(&mut self) -> Result<LintReport, EngineError> {
        self.living()?;
        Ok(LintReport::default())
    }

    async fn test(&mut self) -> Result<TestReport, EngineError> {
        self.living()?;
        Ok(TestReport { ran: self.models.len() as u64, skipped: 0, failures: Vec::new() })
    }

    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, EngineError> {
        self.living()?;
        let name = request.environment.as_str();
        let existing = self.place.warehouse.environment(name).map_err(broken)?;
        let prod = self.place.warehouse.environment("prod").map_err(broken)?.unwrap_or_default();
        let stands = existing.as_ref().unwrap_or(&prod);
        let changes = differences(&self.models, &stands.models);
        let plan_id = hex::encode(rand::random::<[u8; 8]>());
        self.previous.insert(plan_id.clone(), existing.as_ref().map(|e| e.plan_id.clone()));
        let builds =
            changes.iter().filter_map(|(name, _)| Some(version(name, self.models.get(name)?)));
        let line = |(name, change): &(String, Change)| format!("- {name}: {change:?}\n");
        Ok(Plan {
            plan_id,
            purpose: request.purpose,
            environment: request.environment.clone(),
            is_new_environment: existing.is_none(),
            has_effect: !changes.is_empty(),
            has_changes: !changes.is_empty(),
            models: changes.iter().map(model).collect(),
            uncategorized: Vec::new(),
            builds: builds.collect(),
            digest_input: changes.iter().map(|change| direct(&self.models, change)).collect(),
            markdown: changes.iter().map(line).collect(),
        })
    }

    async fn apply(&mut self, plan: &Plan, watch: &dyn Watch) -> Result<Applied, EngineError> {
        self.living()?;
        let prod = plan.environment == Environment::prod();
        let effect = if prod { "engine.apply.prod" } else { "engine.apply.environment" };
        if !plan.has_effect {
            let stands = self.place.warehouse.environment(plan.environment.as_str());
            let plan_id = stands.map_err(broken)?.map(|stands| stands.plan_id);
            return Ok(Applied { changed: false, plan_id, stages: BTreeMap::new() });
        }
        self.place.points.reach(effect, When::Before);
        let order = Order::Apply(Box::new(self.order(plan)));
        self.connection.say(&order).await.map_err(broken)?;
        self.drive(watch).await?;
        self.place.points.reach(effect, When::After);
        let stands = self.place.warehouse.environment(plan.environment.as_str());
        let plan_id = stands.map_err(broken)?.map(|stands| stands.plan_id);
        Ok(Applied { changed: true, plan_id, stages: BTreeMap::new() })
    }

    async fn invalidate(&mut self, environment: &Environment) -> Result<(), EngineError> {
        self.living()?;
        self.place.points.reach("engine.invalidate", When::Before);
        self.place.warehouse.remove(environment.as_str()).map_err(broken)?;
        self.place.points.reach("engine.invalidate", When::After);
        Ok(())
    }

    async fn environment(
        &mut self,
        environment: &Environment,
    ) -> Result<Option<EnvironmentState>, EngineError> {
        self.living()?;
        let stands = self.place.warehouse.environment(environment.as_str()).map_err(broken)?;
        let state = |stands: Stands| EnvironmentState { plan_id: stands.plan_id, finalized: true };
        Ok(stands.map(state))
    }

    async fn close(self: Box<Self>) -> Result<Used, EngineError> {
        let Self { mut connection, .. } = *self;
        connection.kill().await.map_err(broken)?;
        Ok(Used::default())
    }
}
