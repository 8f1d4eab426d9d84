//! The ledger in Redis: for speed and for people. What cannot be read was never written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{self, FromRedisValue};
use sluice::clock::{Clock as _, SystemClock};
use sluice::ledger::{Lately, Ledger};
use sluice::names::{PrNumber, ProjectName, Sha};
use sluice::queue::Route;

use crate::Shared;
use crate::pulls::Pulls;

/// How long an undertaken cleanup is remembered: a deploy that was not taken up again in a week
/// will not be.
const CLEANUP_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long runs that never ended are remembered after the last one began: far longer than a
/// message comes back.
const RUNS_REMEMBERED: Duration = Duration::from_secs(3 * 24 * 3600);

/// How many runs of one message are remembered: far more than are forgiven.
const MOST_RUNS: u32 = 16;

/// How many ends of runs are kept to be told later, while Redis is away.
const MOST_UNTOLD: usize = 1000;

/// How long after Redis failed it is told again.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// The ledger in Redis.
#[derive(Clone)]
pub struct RedisLedger {
    shared: Arc<Shared>,
    pulls: Pulls,
    untold: Arc<Untold>,
}

/// The end of a run: its message, and the run.
type End = (String, String);

/// Runs that have ended and Redis has not heard of it: nobody is to take them for dead because
/// Redis was away for a moment.
#[derive(Default)]
struct Untold {
    ends: Mutex<VecDeque<End>>,
    /// Whether somebody tries to tell them until they are heard.
    is_told: AtomicBool,
}

/// Ends that are being told. What is not heard, also because whoever asked was cancelled, is to be
/// told again.
struct Telling<'a> {
    untold: &'a Untold,
    ends: VecDeque<End>,
}

impl Untold {
    fn ends(&self) -> MutexGuard<'_, VecDeque<End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, ended: Option<End>) -> Telling<'_> {
        let mut ends = std::mem::take(&mut *self.ends());
        ends.extend(ended);
        Telling { untold: self, ends }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        let mut untold = self.untold.ends();
        for end in self.ends.drain(..) {
            if !untold.contains(&end) {
                untold.push_back(end);
            }
        }
        let too_many = untold.len().saturating_sub(MOST_UNTOLD);
        untold.drain(..too_many);
    }
}

impl RedisLedger {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { pulls: Pulls::new(shared.clone()), shared, untold: Arc::default() }
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

    /// Tells of all runs that have ended; what cannot be told is told as soon as it can be.
    async fn tell_ends(&self, ended: Option<End>) {
        let told = self.could_tell_ends(ended).await;
        if !told && !self.untold.is_told.swap(true, Ordering::SeqCst) {
            tokio::spawn(self.clone().tell_until_heard());
        }
    }

    async fn tell_until_heard(self) {
        loop {
            SystemClock.sleep(TELL_AGAIN).await;
            if !self.could_tell_ends(None).await {
                continue;
            }
            self.untold.is_told.store(false, Ordering::SeqCst);
            if self.untold.ends().is_empty() || self.untold.is_told.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Whether Redis knows of them now, save for those that somebody else is telling.
    async fn could_tell_ends(&self, ended: Option<End>) -> bool {
        let mut telling = self.untold.take(ended);
        if telling.ends.is_empty() {
            return true;
        }
        let mut pipeline = redis::pipe();
        for (message, run) in &telling.ends {
            pipeline.hdel(self.shared.keys.runs(message), run).ignore();
        }
        let told = async |connection: &mut _| pipeline.query_async::<()>(connection).await;
        let told = self.shared.link.call(told).await;
        match &told {
            Ok(()) => telling.ends.clear(),
            Err(error) => {
                tracing::warn!(%error, "the end of a run could not be told: it is told later");
            }
        }
        told.is_ok()
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

    async fn begin(&self, message: &str, run: &str) -> Option<u32> {
        self.tell_ends(None).await;
        let runs = self.shared.keys.runs(message);
        let remembered = i64::try_from(RUNS_REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        let mut pipeline = redis::pipe();
        pipeline.hset(&runs, run, 1).ignore().pexpire(&runs, remembered).ignore().hlen(&runs);
        let noted = async |connection: &mut _| pipeline.query_async::<(u32,)>(connection).await;
        let noted = self.shared.link.call(noted).await.inspect_err(|error| {
            tracing::warn!(%error, "nobody knows whether runs of this message have died");
        });
        let others = noted.ok().map(|(all,)| all.saturating_sub(1))?;
        if others >= MOST_RUNS {
            self.tell_ends(Some((message.to_owned(), run.to_owned()))).await;
        }
        Some(others)
    }

    async fn end(&self, message: &str, run: &str) {
        self.tell_ends(Some((message.to_owned(), run.to_owned()))).await;
    }

    async fn oldest(&self, route: &Route) -> Option<u64> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.shared.keys.waiting(route)).arg(0).arg(0).arg("WITHSCORES");
        let first: Vec<String> = self.tell(command).await?;
        first.get(1)?.parse().ok()
    }

    async fn hear(
        &self,
        pull: (&ProjectName, PrNumber),
        message: &str,
        named: Option<&Sha>,
    ) -> Option<(u64, Lately)> {
        self.pulls.hear(pull, message, named).await
    }

    async fn lately(&self, project: &ProjectName, pr: PrNumber) -> Option<Lately> {
        self.pulls.lately(project, pr).await
    }

    async fn see(&self, project: &ProjectName, pr: PrNumber, head: &Sha) {
        self.pulls.see(project, pr, head).await;
    }

    async fn looked(&self, project: &ProjectName, pr: PrNumber, heard: u64) {
        self.pulls.looked(project, pr, heard).await;
    }
}
