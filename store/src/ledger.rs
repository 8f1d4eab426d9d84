//! The ledger in Redis: for speed and for people. What cannot be read was never written.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{self, FromRedisValue};
use sluice::ledger::Ledger;
use sluice::names::{PrNumber, ProjectName};
use sluice::queue::Route;

use crate::Shared;
use crate::script::Script;

/// How long an undertaken cleanup is remembered: a deploy that was not taken up again in a week
/// will not be.
const CLEANUP_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long runs that never ended are remembered after the last one began: far longer than a
/// message comes back.
const RUNS_REMEMBERED: Duration = Duration::from_secs(3 * 24 * 3600);

/// How many runs of one message are remembered: far more than are forgiven.
const MOST_RUNS: usize = 16;

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/begin.lua")));

/// The ledger in Redis.
#[derive(Clone)]
pub struct RedisLedger {
    shared: Arc<Shared>,
}

impl RedisLedger {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The answer to one command; `None`, and a warning, when there is none.
    async fn tell<T: FromRedisValue>(&self, command: redis::Cmd) -> Option<T> {
        let answer = self
            .shared
            .link
            .call(async |connection: &mut _| command.query_async(connection).await)
            .await;
        answer.inspect_err(|error| tracing::warn!(%error, "the ledger in Redis failed")).ok()
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn undertake_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let key = self.shared.keys.cleanup(project, pr);
        let mut command = redis::cmd("SET");
        command.arg(key).arg(1).arg("EX").arg(CLEANUP_REMEMBERED.as_secs());
        self.tell::<()>(command).await;
    }

    async fn withdraw_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let mut command = redis::cmd("DEL");
        command.arg(self.shared.keys.cleanup(project, pr));
        self.tell::<()>(command).await;
    }

    async fn is_cleanup_undertaken(&self, project: &ProjectName, pr: PrNumber) -> bool {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.shared.keys.cleanup(project, pr));
        self.tell(command).await.unwrap_or(false)
    }

    async fn begin(&self, message: &str, run: &str) -> u32 {
        let keys = [self.shared.keys.runs(message)];
        let (most, remembered) = (MOST_RUNS.to_string(), RUNS_REMEMBERED.as_millis().to_string());
        let arguments = [run, &most, &remembered];
        let call = async |connection: &mut _| BEGIN.run(connection, &keys, &arguments).await;
        self.shared.link.call(call).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody knows whether runs of this message have died");
            0
        })
    }

    async fn end(&self, message: &str, run: &str) {
        let mut command = redis::cmd("HDEL");
        command.arg(self.shared.keys.runs(message)).arg(run);
        self.tell::<()>(command).await;
    }

    async fn oldest(&self, route: &Route) -> Option<u64> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.shared.keys.waiting(route)).arg(0).arg(0).arg("WITHSCORES");
        let first: Vec<String> = self.tell(command).await?;
        first.get(1)?.parse().ok()
    }
}
