//! What the invariants mean in terms of a record: pure, and each shown by a planted violation.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{ApplyLine, Happened, JobLine, Line};
use crate::town::{PullFacts, Record};

#[cfg(test)]
mod tests;

/// How long after a lease could be had again the next deploy may start at the latest, in
/// milliseconds: a slow poll of 10 s, and some for a busy machine.
const HAND_OVER_MS: u64 = 20_000;

/// How long a bridge may outlive its worker (I9), in milliseconds.
const OUTLIVES_MS: u64 = 10_000;

/// GitHub counts whole seconds.
const SECOND_MS: u64 = 1000;

/// How many lines of the history go with a violation, before it and after it.
const EXCERPT: usize = 12;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What is wrong, for people.
    pub what: String,
    /// The part of the history in which it happened.
    pub excerpt: Vec<Line>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.invariant, self.what)?;
        for line in &self.excerpt {
            writeln!(f, "    {} {} {} {:?}", line.at_ms, line.who, line.pid, line.what)?;
        }
        Ok(())
    }
}

/// Every violation in a record. `dead` messages are expected to have failed for good.
#[must_use]
pub fn check(record: &Record, dead: usize) -> Vec<Violation> {
    let mut found = Found { record, violations: Vec::new() };
    found.one_apply_at_a_time();
    found.approved_before_it_is_applied();
    found.merged_is_what_was_applied();
    found.nothing_is_lost(dead);
    found.shown_once();
    found.started_in_order();
    found.handed_over();
    found.nothing_outlives_its_worker();
    found.violations
}

struct Found<'a> {
    record: &'a Record,
    violations: Vec<Violation>,
}

impl Found<'_> {
    /// Notes a violation at a line of the history.
    fn at(&mut self, invariant: &'static str, index: usize, what: String) {
        let lines = &self.record.lines;
        let (from, to) = (index.saturating_sub(EXCERPT), (index + EXCERPT).min(lines.len()));
        let excerpt = lines.get(from..to).unwrap_or_default().to_vec();
        self.violations.push(Violation { invariant, what, excerpt });
    }

    /// Notes a violation that concerns a pull request as a whole.
    fn of(&mut self, invariant: &'static str, pr: u64, what: String) {
        let about = self.record.lines.iter().filter(|line| pr_of(&line.what) == Some(pr));
        let mut excerpt: Vec<Line> = about.cloned().collect();
        excerpt.drain(..excerpt.len().saturating_sub(2 * EXCERPT));
        self.violations.push(Violation { invariant, what: format!("#{pr}: {what}"), excerpt });
    }

    /// I1: the exclusive locks were never found taken.
    fn one_apply_at_a_time(&mut self) {
        for (index, line) in self.record.lines.iter().enumerate() {
            if let Happened::Overlap { lock } = &line.what {
                self.at("I1", index, format!("two work at once on {lock}"));
            }
        }
    }

    /// I2: whatever is applied to prod was approved, as this very head, before.
    fn approved_before_it_is_applied(&mut self) {
        let record = self.record;
        for (index, line) in record.lines.iter().enumerate() {
            let Happened::ApplyBegan(apply) = &line.what else { continue };
            if apply.environment != "prod" {
                continue;
            }
            let pull = record.pulls.iter().find(|pull| pull.number == apply.pr);
            let approved = pull.is_some_and(|pull| is_approved(pull, apply, line.at_ms));
            if !approved {
                self.at("I2", index, format!("#{} was applied and not approved", apply.pr));
            }
        }
    }

    /// I3: what is merged is the head and the tree that prod was brought to, and in the end main
    /// and prod are the same.
    fn merged_is_what_was_applied(&mut self) {
        let record = self.record;
        let [mut last, mut begun] = [(); 2].map(|()| BTreeMap::<u64, &ApplyLine>::new());
        for line in &record.lines {
            let (applies, apply) = match &line.what {
                Happened::Promoted { apply, .. } => (&mut last, apply),
                Happened::ApplyBegan(apply) => (&mut begun, apply),
                _ => continue,
            };
            if apply.environment == "prod" {
                applies.insert(apply.pr, apply);
            }
        }
        for pull in &record.pulls {
            let Some(tree) = &pull.merged_tree else {
                if last.contains_key(&pull.number) {
                    self.of("I3", pull.number, "prod was brought to it, main lacks it".to_owned());
                }
                continue;
            };
            // A bridge that is killed between its promotion and the record of it leaves only the
            // beginning; whether prod has it shows below.
            let applied = last.get(&pull.number).or(begun.get(&pull.number));
            if !applied.is_some_and(|apply| apply.head == pull.head && apply.tree == *tree) {
                let what =
                    format!("{} with tree {tree} was merged, {applied:?} applied", pull.head);
                self.of("I3", pull.number, what);
            }
        }
        if record.main != record.prod {
            let what = format!("main has {:?}, prod runs {:?}", record.main, record.prod);
            self.at("I3", record.lines.len(), what);
        }
    }

    /// I4: every job that was stored came to an end, and to one only.
    fn nothing_is_lost(&mut self, dead: usize) {
        let record = self.record;
        let mut ends = BTreeMap::<&str, BTreeSet<&str>>::new();
        for line in &record.lines {
            if let Happened::Settling { job, disposition } = &line.what
                && is_end(disposition)
            {
                ends.entry(&job.job).or_default().insert(disposition);
            }
        }
        for (index, line) in record.lines.iter().enumerate() {
            let Happened::Published(job) = &line.what else { continue };
            if !ends.contains_key(job.job.as_str()) {
                self.at("I4", index, format!("{} {} was never done", job.kind, job.job));
            }
        }
        for (message, index) in ended_twice(&record.lines) {
            self.at("I4", index, format!("the message {message} is done and dead"));
        }
        if record.waiting > 0 {
            let what = format!("{} messages wait for ever", record.waiting);
            self.at("I4", record.lines.len(), what);
        }
        if record.dead.len() != dead {
            let what = format!("{dead} dead letters expected: {:?}", record.dead);
            self.at("I4", record.lines.len(), what);
        }
    }

    /// I5: nothing that people see is there twice, or unfinished.
    fn shown_once(&mut self) {
        for pull in &self.record.pulls {
            for twice in &pull.shown_twice {
                self.of("I5", pull.number, twice.clone());
            }
            if pull.merged_tree.is_some() && !pull.unconcluded.is_empty() {
                let what = format!("merged, and not concluded: {:?}", pull.unconcluded);
                self.of("I5", pull.number, what);
            }
        }
    }

    /// I6: deploys begin in the order in which they were stored. Two that were being stored at the
    /// same time have no order.
    fn started_in_order(&mut self) {
        let lines = &self.record.lines;
        let mut stored = BTreeMap::<&str, (usize, usize)>::new();
        let mut begun = Vec::<(&str, usize)>::new();
        for (index, line) in lines.iter().enumerate() {
            match &line.what {
                Happened::Publishing(job) if is_deploy(job) => {
                    stored.entry(&job.job).or_insert((index, usize::MAX));
                }
                Happened::Published(job) if is_deploy(job) => {
                    let times = stored.entry(&job.job).or_insert((index, index));
                    times.1 = times.1.min(index);
                }
                Happened::Delivered(job)
                    if is_deploy(job) && !begun.iter().any(|(known, _)| *known == job.job) =>
                {
                    begun.push((&job.job, index));
                }
                _ => {}
            }
        }
        let mut wrong = Vec::new();
        for (position, (later, at)) in begun.iter().enumerate() {
            for (earlier, _) in &begun[..position] {
                let (Some(a), Some(b)) = (stored.get(earlier), stored.get(later)) else { continue };
                if b.1 < a.0 {
                    wrong.push((*at, format!("{later} was stored before {earlier}")));
                }
            }
        }
        for (index, what) in wrong {
            self.at("I6", index, what);
        }
    }

    /// I7: once prod's lease can be had, whoever waits for it has it soon. And at the end nobody
    /// has it, and nothing rests.
    fn handed_over(&mut self) {
        let record = self.record;
        let rests = u64::try_from(record.rests.as_millis()).unwrap_or(u64::MAX);
        let (mut free_at, mut asked) = (0, BTreeMap::<u64, u64>::new());
        for (index, line) in record.lines.iter().enumerate() {
            match &line.what {
                Happened::Released { keys, .. } if is_prod(keys) => {
                    free_at = free_at.max(line.at_ms);
                }
                Happened::WorkerEnded { .. } | Happened::Fault { .. } => {
                    free_at = free_at.max(line.at_ms + rests);
                }
                Happened::Delivered(job) if is_deploy(job) => {
                    asked.insert(job.pr, line.at_ms);
                }
                Happened::Granted { keys, pr, .. } if is_prod(keys) => {
                    let since = asked.get(pr).copied().unwrap_or(line.at_ms).max(free_at);
                    let took = line.at_ms.saturating_sub(since);
                    if took > HAND_OVER_MS {
                        self.at("I7", index, format!("#{pr} got prod {took} ms after it could"));
                    }
                }
                _ => {}
            }
        }
        if !record.leases.is_empty() {
            let what = format!("leases at the end: {:?}", record.leases);
            self.at("I7", record.lines.len(), what);
        }
    }

    /// I9: a bridge is gone soon after its worker.
    fn nothing_outlives_its_worker(&mut self) {
        for (index, line) in self.record.lines.iter().enumerate() {
            if let Happened::BridgeGone { bridge, after_ms } = &line.what
                && *after_ms > OUTLIVES_MS
            {
                let what = format!("bridge {bridge} outlived its worker by {after_ms} ms");
                self.at("I9", index, what);
            }
        }
    }
}

fn is_approved(pull: &PullFacts, apply: &ApplyLine, at_ms: u64) -> bool {
    pull.approvals.iter().chain(&pull.commands).any(|(head, approved_ms)| {
        *head == apply.head && *approved_ms < at_ms.saturating_add(SECOND_MS)
    })
}

fn is_end(disposition: &str) -> bool {
    matches!(disposition, "done" | "dead")
}

fn is_deploy(job: &JobLine) -> bool {
    job.kind == "deploy"
}

fn is_prod(keys: &[String]) -> bool {
    keys.iter().any(|key| key.ends_with("/prod"))
}

/// Messages whose settlement as done and as dead were both confirmed.
fn ended_twice(lines: &[Line]) -> Vec<(String, usize)> {
    let mut ends = BTreeMap::<&str, &str>::new();
    let mut twice = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Happened::Settled { job, disposition } = &line.what else { continue };
        let Some(message) = job.message.as_deref().filter(|_| is_end(disposition)) else {
            continue;
        };
        if ends.insert(message, disposition).is_some_and(|before| before != disposition) {
            twice.push((message.to_owned(), index));
        }
    }
    twice
}

/// The pull request that a line is about, if it is about one.
fn pr_of(what: &Happened) -> Option<u64> {
    match what {
        Happened::Publishing(job)
        | Happened::Published(job)
        | Happened::Delivered(job)
        | Happened::Settling { job, .. }
        | Happened::Settled { job, .. }
        | Happened::Lost { job } => Some(job.pr),
        Happened::Granted { pr, .. } | Happened::BridgeStarted { pr, .. } => Some(*pr),
        Happened::ApplyBegan(apply)
        | Happened::ApplyEnded { apply, .. }
        | Happened::Promoted { apply, .. } => Some(apply.pr),
        _ => None,
    }
}
