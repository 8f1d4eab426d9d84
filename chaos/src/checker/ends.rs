//! I4: every job comes to one end, and only what has to fails for good.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::hands::ended_with;
use crate::history::{Happened, Line};

/// How the reason begins of a message that ended workers.
const POISON: &str = "poison";

/// How many workers have to have ended with a message for that.
const MOST_DEATHS: usize = 2;

impl Found<'_> {
    /// I4: every job that was stored came to an end, and to one only.
    pub(super) fn nothing_is_lost(&mut self) {
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
        for (message, index) in never_ended(&record.lines) {
            if record.dead.iter().any(|dead| dead.message == message) {
                continue;
            }
            self.at("I4", index, format!("the message {message} was handed out and never done"));
        }
        for (message, index) in ended_twice(&record.lines) {
            self.at("I4", index, format!("the message {message} is done and dead"));
        }
        if record.waiting > 0 {
            let what = format!("{} messages wait for ever", record.waiting);
            self.at("I4", record.lines.len(), what);
        }
    }

    /// I4: what failed for good is what was expected to, and what is called poison ended workers.
    pub(super) fn dead_as_expected(&mut self, expected: &[&str]) {
        let record = self.record;
        let mut expected = expected.to_vec();
        for dead in &record.dead {
            let deaths = ended_with(&record.lines, &dead.message);
            if dead.reason.starts_with(POISON) && deaths < MOST_DEATHS {
                let what = format!("{} ended {deaths} workers: {}", dead.message, dead.reason);
                self.of_message("I4", &dead.message, what);
            }
            match expected.iter().position(|reason| dead.reason.starts_with(reason)) {
                Some(position) => drop(expected.swap_remove(position)),
                None => {
                    let what = format!("{} is dead: {}", dead.message, dead.reason);
                    self.of_message("I4", &dead.message, what);
                }
            }
        }
        if !expected.is_empty() {
            let what = format!("not dead: {expected:?} of {:?}", record.dead);
            self.at("I4", record.lines.len(), what);
        }
    }
}

/// Whether a job that is settled so has come to its end.
pub(crate) fn is_end(disposition: &str) -> bool {
    matches!(disposition, "done" | "dead")
}

/// Messages that were handed out and came to no end. A job that was lost and asked for again ended
/// all the same.
fn never_ended(lines: &[Line]) -> Vec<(String, usize)> {
    let mut under_way = BTreeMap::<&str, usize>::new();
    let mut ended = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        match &line.what {
            Happened::Delivered(job) => {
                if let Some(message) = job.message.as_deref() {
                    under_way.insert(message, index);
                }
            }
            Happened::Settling { job, disposition } if is_end(disposition) => {
                ended.extend(job.message.as_deref());
            }
            _ => {}
        }
    }
    let never = under_way.into_iter().filter(|(message, _)| !ended.contains(message));
    never.map(|(message, index)| (message.to_owned(), index)).collect()
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
