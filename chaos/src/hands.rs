//! Which worker has which message in hand, as the history tells it.

use std::collections::BTreeMap;

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

/// How long after it goes on a worker may take to say that it lives.
const SAYS_SO_WITHIN_MS: u64 = 2000;

/// How many workers had ended with a message in hand, or stood still with it, when somebody was
/// about to bury it: nobody can tell the two apart then. The fewest, when several were.
pub(crate) fn ended_with(lines: &[Line], message: &str) -> usize {
    let (mut hands, mut ended, mut buried) = (Hands::default(), 0, None::<usize>);
    // Workers by name: of the process that has the message, and until when nothing is heard of one.
    let (mut names, mut silent) = (BTreeMap::new(), BTreeMap::new());
    for line in lines {
        match &line.what {
            Happened::WorkerEnded { worker } if hands.has(*worker, message) => ended += 1,
            Happened::Fault { what } => {
                silent.extend(what.strip_prefix(STANDS_STILL).map(|name| (name, u64::MAX)));
            }
            Happened::Over { what } => {
                let until_ms = line.at_ms.saturating_add(SAYS_SO_WITHIN_MS);
                silent.extend(what.strip_prefix(GOES_ON).map(|name| (name, until_ms)));
            }
            Happened::Delivered(job) if job.message.as_deref() == Some(message) => {
                names.insert(line.pid, line.who.as_str());
            }
            Happened::Settling { job, disposition }
                if disposition == "dead" && job.message.as_deref() == Some(message) =>
            {
                let is_silent = |(pid, name): &(&u32, &&str)| {
                    let until_ms = silent.get(*name).copied().unwrap_or_default();
                    **pid != line.pid && hands.has(**pid, message) && line.at_ms < until_ms
                };
                let all = ended + names.iter().filter(is_silent).count();
                buried = Some(buried.map_or(all, |fewest| fewest.min(all)));
            }
            _ => {}
        }
        hands.follow(line);
    }
    buried.unwrap_or(ended)
}
