//! The ledger of one process. Everything in it ends with the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;

use super::{Lately, Ledger, MOST_PUSHES, SeenHead};
use crate::clock::{Clock, SystemClock};
use crate::names::{PrNumber, ProjectName, Sha};
use crate::queue::Route;

/// How many pull requests the memory of one process goes back.
const REMEMBERED: usize = 10_000;

/// How many events of one pull request keep their number: far more than wait at a time.
const MOST_EVENTS: usize = 1000;

/// A ledger of one process.
pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    undertaken: Mutex<VecDeque<(ProjectName, PrNumber)>>,
    pulls: Mutex<Pulls>,
}

#[derive(Default)]
struct Pulls {
    /// The last number that was given, to whichever pull request: a number that comes back after
    /// its pull request was forgotten would be taken for an earlier one.
    number: u64,
    all: BTreeMap<(ProjectName, PrNumber), Pull>,
}

/// What is remembered of one pull request.
#[derive(Default)]
struct Pull {
    /// The number of what was remembered last.
    touched: u64,
    heard: u64,
    looked: u64,
    events: VecDeque<(String, u64)>,
    seen: Option<(Sha, Instant)>,
    named: Option<Sha>,
    pushes: VecDeque<Instant>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryLedger {
    /// One that remembers nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, undertaken: Mutex::default(), pulls: Mutex::default() }
    }

    fn pulls(&self) -> MutexGuard<'_, Pulls> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulls {
    /// A pull request, and a new number.
    fn touch(&mut self, project: &ProjectName, pr: PrNumber) -> (&mut Pull, u64) {
        self.number += 1;
        let key = (project.clone(), pr);
        if self.all.len() >= REMEMBERED && !self.all.contains_key(&key) {
            let oldest = self.all.iter().min_by_key(|(_, pull)| pull.touched);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.all.remove(&oldest);
            }
        }
        let pull = self.all.entry(key).or_default();
        pull.touched = self.number;
        (pull, self.number)
    }
}

impl Pull {
    /// A head is heard of or seen, maybe for the first time.
    fn came(&mut self, head: &Sha, now: Instant) {
        let is_seen = self.seen.as_ref().is_some_and(|(seen, _)| seen == head);
        if !is_seen && self.named.as_ref() != Some(head) {
            self.pushes.push_front(now);
            self.pushes.truncate(MOST_PUSHES);
        }
    }

    fn number_of(&mut self, message: &str, new: u64) -> (u64, bool) {
        if let Some((_, number)) = self.events.iter().find(|(known, _)| known == message) {
            return (*number, false);
        }
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((message.to_owned(), new));
        self.heard = new;
        (new, true)
    }

    fn lately(&self, now: Instant) -> Lately {
        let since = |then: &Instant| now.saturating_duration_since(*then);
        let seen = self.seen.as_ref();
        Lately {
            heard: self.heard,
            looked: self.looked,
            head: seen.map(|(sha, at)| SeenHead { sha: sha.clone(), since: since(at) }),
            named: self.named.clone(),
            pushes: self.pushes.iter().map(since).collect(),
        }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn undertake_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let mut undertaken = self.undertaken.lock().unwrap_or_else(PoisonError::into_inner);
        undertaken.retain(|(p, n)| p != project || *n != pr);
        if undertaken.len() >= REMEMBERED {
            undertaken.pop_front();
        }
        undertaken.push_back((project.clone(), pr));
    }

    async fn withdraw_cleanup(&self, project: &ProjectName, pr: PrNumber) {
        let mut undertaken = self.undertaken.lock().unwrap_or_else(PoisonError::into_inner);
        undertaken.retain(|(p, n)| p != project || *n != pr);
    }

    async fn is_cleanup_undertaken(&self, project: &ProjectName, pr: PrNumber) -> bool {
        let undertaken = self.undertaken.lock().unwrap_or_else(PoisonError::into_inner);
        undertaken.iter().rev().any(|(p, n)| p == project && *n == pr)
    }

    async fn begin(&self, _message: &str, _run: &str) -> Option<u32> {
        // What a process of its own remembers of runs ends with them.
        Some(0)
    }

    async fn end(&self, _message: &str, _run: &str) {}

    async fn oldest(&self, _route: &Route) -> Option<u64> {
        None
    }

    async fn hear(
        &self,
        (project, pr): (&ProjectName, PrNumber),
        message: &str,
        named: Option<&Sha>,
    ) -> Option<(u64, Lately)> {
        let now = self.clock.instant();
        let mut pulls = self.pulls();
        let (pull, new) = pulls.touch(project, pr);
        let (number, is_new) = pull.number_of(message, new);
        if let (true, Some(named)) = (is_new, named) {
            pull.came(named, now);
            pull.named = Some(named.clone());
        }
        Some((number, pull.lately(now)))
    }

    async fn lately(&self, project: &ProjectName, pr: PrNumber) -> Option<Lately> {
        let now = self.clock.instant();
        let pulls = self.pulls();
        let pull = pulls.all.get(&(project.clone(), pr));
        Some(pull.map(|pull| pull.lately(now)).unwrap_or_default())
    }

    async fn see(&self, project: &ProjectName, pr: PrNumber, head: &Sha) {
        let now = self.clock.instant();
        let mut pulls = self.pulls();
        let (pull, _) = pulls.touch(project, pr);
        if pull.seen.as_ref().is_none_or(|(seen, _)| seen != head) {
            pull.came(head, now);
            pull.seen = Some((head.clone(), now));
        }
    }

    async fn looked(&self, project: &ProjectName, pr: PrNumber, heard: u64) {
        let mut pulls = self.pulls();
        let pull = pulls.all.get_mut(&(project.clone(), pr));
        // A number that was not given speaks of what was forgotten.
        if let Some(pull) = pull.filter(|pull| heard <= pull.heard) {
            pull.looked = pull.looked.max(heard);
        }
    }
}
