//! What the invariants mean in terms of a record: pure, and each shown by a planted violation.

use crate::history::{ApplyLine, Happened, JobLine, Line};
use crate::town::{PullFacts, Record};

mod ends;
mod order;
mod section;
#[cfg(test)]
mod tests;

pub(crate) use ends::is_end;

/// How long a bridge may outlive its worker or its lease (I9), in milliseconds.
const OUTLIVES_MS: u64 = 10_000;

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

/// Every violation in a record. Messages are expected to have failed for good whose reasons begin
/// with the words in `dead`, one for each.
#[must_use]
pub fn check(record: &Record, dead: &[&str]) -> Vec<Violation> {
    let mut found = Found { record, violations: Vec::new() };
    found.one_apply_at_a_time();
    found.approved_before_it_is_applied();
    found.merged_is_what_was_applied();
    found.nobody_between_apply_and_merge();
    found.nothing_is_lost();
    found.dead_as_expected(dead);
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

    /// Notes a violation that concerns a message.
    fn of_message(&mut self, invariant: &'static str, message: &str, what: String) {
        let is_about = |line: &&Line| message_of(&line.what) == Some(message);
        let excerpt = self.record.lines.iter().filter(is_about).cloned().collect();
        self.violations.push(Violation { invariant, what, excerpt });
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

    /// I9: a bridge is gone soon after its worker, or the lease under which it worked.
    fn nothing_outlives_its_worker(&mut self) {
        for (index, line) in self.record.lines.iter().enumerate() {
            if let Happened::BridgeGone { bridge, after_ms } = &line.what
                && *after_ms > OUTLIVES_MS
            {
                let what =
                    format!("bridge {bridge} outlived its worker or its lease by {after_ms} ms");
                self.at("I9", index, what);
            }
        }
    }
}

fn is_approved(pull: &PullFacts, apply: &ApplyLine, at_ms: u64) -> bool {
    pull.approvals
        .iter()
        .chain(&pull.commands)
        .any(|(head, approved_ms)| *head == apply.head && *approved_ms <= at_ms)
}

fn is_deploy(job: &JobLine) -> bool {
    job.kind == "deploy"
}

fn is_prod(keys: &[String]) -> bool {
    keys.iter().any(|key| key.ends_with("/prod"))
}

/// The message that a line is about, if it is about one.
fn message_of(what: &Happened) -> Option<&str> {
    match what {
        Happened::Delivered(job)
        | Happened::Settling { job, .. }
        | Happened::Settled { job, .. }
        | Happened::Lost { job } => job.message.as_deref(),
        _ => None,
    }
}

/// Whether a line says something of a pull request, of prod, or of what was done to everybody.
pub(crate) fn concerns(what: &Happened, pr: u64) -> bool {
    match what {
        Happened::Granted { keys, .. } | Happened::Released { keys, .. } if is_prod(keys) => true,
        Happened::Promoted { apply, .. } => apply.environment == "prod" || apply.pr == pr,
        Happened::Fault { .. }
        | Happened::Over { .. }
        | Happened::Reached { .. }
        | Happened::WorkerEnded { .. }
        | Happened::LeaseLost { .. }
        | Happened::Merged { .. } => true,
        what => pr_of(what) == Some(pr),
    }
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
        Happened::Granted { pr, .. }
        | Happened::LeaseLost { pr, .. }
        | Happened::Merged { pr }
        | Happened::BridgeStarted { pr, .. } => Some(*pr),
        Happened::ApplyBegan(apply)
        | Happened::ApplyEnded { apply, .. }
        | Happened::Promoted { apply, .. } => Some(apply.pr),
        _ => None,
    }
}
