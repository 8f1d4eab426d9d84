//! Which worker has which message in hand, as the history tells it.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Happened, Line};

/// How the history says that somebody stopped a worker; its name follows.
pub(crate) const STANDS_STILL: &str = "a worker stands still: ";

/// How the history says that it was continued; its name follows.
pub(crate) const GOES_ON: &str = "it goes on: ";

/// Who has what. The same worker may have the same message twice: the copy that came back while the
/// first one was still worked on.
#[derive(Debug, Default)]
pub(crate) struct Hands(BTreeMap<(u32, String), usize>);

impl Hands {
    /// Takes note of the next line of the history.
    pub(crate) fn follow(&mut self, line: &Line) {
        match &line.what {
            Happened::Delivered(job) => {
                let message = job.message.clone().unwrap_or_default();
                *self.0.entry((line.pid, message)).or_default() += 1;
            }
            Happened::Settled { job, .. } | Happened::Lost { job } => {
                let message = job.message.clone().unwrap_or_default();
                if let Some(times) = self.0.get_mut(&(line.pid, message)) {
                    *times = times.saturating_sub(1);
                }
            }
            Happened::WorkerEnded { worker } => self.0.retain(|(pid, _), _| pid != worker),
            _ => {}
        }
    }

    /// How many times living workers have a message in hand.
    pub(crate) fn count(&self) -> usize {
        self.0.values().sum()
    }

    /// Whether a worker has a message in hand.
    pub(crate) fn has(&self, worker: u32, message: &str) -> bool {
        self.0.get(&(worker, message.to_owned())).is_some_and(|times| *times > 0)
    }
}

/// How many workers ended with a message in hand, or stood still with it while it was handed to
/// another one: nobody can tell the two apart then.
pub(crate) fn ended_with(lines: &[Line], message: &str) -> usize {
    let mut hands = Hands::default();
    let (mut names, mut still) = (BTreeMap::new(), BTreeSet::new());
    let mut counted = BTreeSet::new();
    for line in lines {
        match &line.what {
            Happened::WorkerEnded { worker } if hands.has(*worker, message) => {
                counted.insert(*worker);
            }
            Happened::Fault { what } => still.extend(what.strip_prefix(STANDS_STILL)),
            Happened::Over { what } => {
                let goes_on = what.strip_prefix(GOES_ON);
                still.retain(|name| Some(*name) != goes_on);
            }
            Happened::Delivered(job) if job.message.as_deref() == Some(message) => {
                names.insert(line.pid, line.who.as_str());
                let stands_still = |pid: &&u32| {
                    hands.has(**pid, message) && names.get(pid).is_some_and(|n| still.contains(n))
                };
                counted.extend(names.keys().filter(stands_still).copied());
            }
            _ => {}
        }
        hands.follow(line);
    }
    counted.len()
}
