//! Pauses in Redis: said once, heard by every worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{self, FromRedisValue};
use sluice::names::ProjectName;
use sluice::pause::{Pause, PauseError, Pauses};

use crate::Shared;

/// The field of the pause of all projects: no project is called so.
const ALL: &str = "*";

/// The pauses in Redis.
#[derive(Clone)]
pub struct RedisPauses {
    shared: Arc<Shared>,
}

impl RedisPauses {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Changes something, and wakes those who wait, in one transaction.
    async fn change<T: FromRedisValue>(&self, change: redis::Cmd) -> Result<T, PauseError> {
        let keys = &self.shared.keys;
        let woken = serde_json::to_string(&[keys.pauses()]);
        let woken = woken.map_err(|error| PauseError(error.to_string()))?;
        let mut both = redis::pipe();
        both.atomic().add_command(change);
        both.cmd("PUBLISH").arg(keys.channel()).arg(woken).ignore();
        let call = async |connection: &mut _| both.query_async::<(T,)>(connection).await;
        let (changed,) = self.shared.link.call(call).await.map_err(failed)?;
        Ok(changed)
    }
}

fn failed(error: impl ToString) -> PauseError {
    PauseError(error.to_string())
}

fn field(project: Option<&ProjectName>) -> &str {
    project.map_or(ALL, |project| project.as_str())
}

#[async_trait]
impl Pauses for RedisPauses {
    async fn pause(&self, pause: Pause) -> Result<(), PauseError> {
        let text = serde_json::to_string(&pause).map_err(failed)?;
        let mut command = redis::cmd("HSET");
        command.arg(self.shared.keys.pauses()).arg(field(pause.project.as_ref())).arg(text);
        self.change::<redis::Value>(command).await.map(drop)
    }

    async fn resume(&self, project: Option<&ProjectName>) -> Result<bool, PauseError> {
        let mut command = redis::cmd("HDEL");
        command.arg(self.shared.keys.pauses()).arg(field(project));
        self.change(command).await
    }

    async fn list(&self) -> Result<Vec<Pause>, PauseError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.shared.keys.pauses());
        let call = async |connection: &mut _| command.query_async(connection).await;
        let all: HashMap<String, String> = self.shared.link.call(call).await.map_err(failed)?;
        let pauses = all.values().map(|text| serde_json::from_str(text));
        let mut pauses: Vec<Pause> = pauses.collect::<Result<_, _>>().map_err(failed)?;
        pauses.sort_by(|a, b| a.project.cmp(&b.project));
        Ok(pauses)
    }

    async fn changed(&self, at_most: Duration) {
        let waiter = self.shared.waiters.enter(vec![self.shared.keys.pauses()]);
        // Nothing is lost when it is late: the caller asks again.
        drop(tokio::time::timeout(at_most, waiter.rung()).await);
    }
}
