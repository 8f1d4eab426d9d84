//! Which worker has which message in hand, as the history tells it.

use std::collections::BTreeMap;

use crate::history::{Happened, Line};

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

/// How many workers ended with a message in hand.
pub(crate) fn ended_with(lines: &[Line], message: &str) -> usize {
    let (mut hands, mut ended) = (Hands::default(), 0);
    for line in lines {
        if let Happened::WorkerEnded { worker } = &line.what
            && hands.has(*worker, message)
        {
            ended += 1;
        }
        hands.follow(line);
    }
    ended
}
