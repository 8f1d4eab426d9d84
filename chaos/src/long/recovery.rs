//! How long a cluster takes to recover from what was done to it.
//!
//! A fault is over for a job that was stored and not done at that moment when, after it, a worker
//! is handed the job (again, if one had it), or the job ends. So what a job waits for its turn
//! counts, and what a job takes that went on undisturbed: it is the longest that anybody can have
//! waited because of a fault.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault;
use crate::checker::is_end;
use crate::history::{Happened, Line};

/// What came of the faults.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The longest time from a fault until a job was taken up or ended, and which fault that was.
    pub slowest: Option<(Duration, String)>,
    /// Jobs that were neither after a fault: none, unless jobs were lost.
    pub never: usize,
}

/// A job that was stored and not done, or is being stored.
#[derive(Default)]
struct Pending {
    is_stored: bool,
    /// The first fault since it was taken up.
    hit: Option<(u64, String)>,
}

/// Measures every fault in a history.
pub(super) fn recovery(lines: &[Line]) -> Recovery {
    let mut pending = BTreeMap::<&str, Pending>::new();
    let mut found = Recovery::default();
    for line in lines {
        if let Some(what) = fault(line) {
            for job in pending.values_mut().filter(|job| job.is_stored) {
                job.hit.get_or_insert_with(|| (line.at_ms, what.clone()));
            }
        }
        let (job, is_end) = match &line.what {
            Happened::Publishing(job) => {
                pending.entry(&job.job).or_default();
                continue;
            }
            Happened::Published(job) => {
                if let Some(job) = pending.get_mut(job.job.as_str()) {
                    job.is_stored = true;
                }
                continue;
            }
            Happened::Delivered(job) => (job, false),
            Happened::Settled { job, disposition } if is_end(disposition) => (job, true),
            _ => continue,
        };
        let Some(known) = pending.get_mut(job.job.as_str()) else { continue };
        known.is_stored = true;
        if let Some((since_ms, what)) = known.hit.take() {
            let took = Duration::from_millis(line.at_ms.saturating_sub(since_ms));
            if found.slowest.as_ref().is_none_or(|(slowest, _)| *slowest < took) {
                found.slowest = Some((took, what));
            }
        }
        if is_end {
            pending.remove(job.job.as_str());
        }
    }
    found.never = pending.values().filter(|job| job.hit.is_some()).count();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::JobLine;

    fn line(at_ms: u64, what: Happened) -> Line {
        Line { at_ms, who: "worker-1".to_owned(), pid: 7, what }
    }

    fn job(id: &str) -> JobLine {
        JobLine { job: id.to_owned(), kind: "gate".to_owned(), pr: 1, message: None }
    }

    fn stored(at_ms: u64, id: &str) -> [Line; 2] {
        let job = job(id);
        [Happened::Publishing(job.clone()), Happened::Published(job)].map(|what| line(at_ms, what))
    }

    fn done(at_ms: u64, id: &str) -> Line {
        line(at_ms, Happened::Settled { job: job(id), disposition: "done".to_owned() })
    }

    fn trouble(at_ms: u64, what: &str) -> Line {
        line(at_ms, Happened::Fault { what: what.to_owned() })
    }

    #[test]
    fn it_lasts_until_the_last_job_is_taken_up_or_ends_and_not_until_some_other_one_does() {
        let mut lines = Vec::from(stored(0, "slow"));
        lines.extend(stored(0, "quick"));
        lines.push(line(10, Happened::Delivered(job("quick"))));
        lines.push(trouble(100, "first"));
        lines.push(trouble(200, "second"));
        lines.push(done(300, "quick"));
        lines.extend(stored(400, "later"));
        lines.push(done(450, "later"));
        lines.push(line(1100, Happened::Delivered(job("slow"))));
        lines.push(done(9000, "slow"));
        let slowest = Some((Duration::from_secs(1), "first".to_owned()));
        assert_eq!(recovery(&lines), Recovery { slowest, never: 0 });
    }

    #[test]
    fn a_job_that_nobody_takes_up_is_counted_and_not_left_out() {
        let mut lines = Vec::from(stored(0, "lost"));
        lines.push(trouble(100, "it"));
        assert_eq!(recovery(&lines), Recovery { slowest: None, never: 1 });
    }

    #[test]
    fn a_fault_while_there_is_nothing_to_do_needs_no_recovery() {
        let mut lines = Vec::from(stored(0, "a"));
        // The confirmation may be told after the end.
        lines.swap_remove(1);
        lines.extend([done(10, "a"), stored(20, "a")[1].clone(), trouble(100, "it")]);
        assert_eq!(recovery(&lines), Recovery::default());
    }
}
