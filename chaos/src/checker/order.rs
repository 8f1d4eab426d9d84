//! I6 and I7: who is next, and that he is soon.

use std::collections::BTreeMap;

use super::{Found, is_deploy, is_end, is_prod};
use crate::history::{Happened, JobLine};

/// How long after a lease could be had again the next deploy may start at the latest, in
/// milliseconds: a slow poll of 10 s, and some for a busy machine.
const HAND_OVER_MS: u64 = 20_000;

/// The same where nothing was done to anybody for [`CALM_MS`]: whoever waits is woken, and need not
/// ask again by himself.
const WAKE_UP_MS: u64 = 3000;

/// How long a fault may keep a wake-up from somebody: until he has asked again.
const CALM_MS: u64 = 10_000;

/// A deploy's place in the order, as far as it is known.
#[derive(Debug, Default)]
struct Place {
    /// The line before which it was not stored.
    from: usize,
    /// The line at which it was.
    to: Option<usize>,
    /// How many messages of it there may be: one that was about to be put back and whose worker
    /// never said that it was may stand there twice.
    copies: u32,
    /// Whether its place is known: not once a message of it came to an end, or while it waits to be
    /// tried again.
    is_known: bool,
    /// What it has begun: by a worker that has its message, and by one that has prod.
    begun: [bool; 2],
}

/// With what a deploy begins, see [`Place::begun`].
const DELIVERED: usize = 0;
const GRANTED: usize = 1;

impl Place {
    /// It is stored as the last one, after this line.
    fn renew(&mut self, from: usize, to: Option<usize>) {
        (self.from, self.to, self.is_known, self.begun) = (from, to, true, [false; 2]);
    }
}

/// All deploys that were stored.
#[derive(Default)]
struct LineUp<'a>(BTreeMap<&'a str, Place>);

impl<'a> LineUp<'a> {
    /// A job is being stored, once more or for the first time.
    fn publishing(&mut self, job: &'a str, index: usize) {
        let place = self.0.entry(job).or_default();
        if place.copies == 0 {
            place.renew(index, None);
        }
        place.copies += 1;
    }

    fn published(&mut self, job: &str, index: usize) {
        if let Some(place) = self.0.get_mut(job) {
            place.to.get_or_insert(index);
        }
    }

    /// A message of it is about to leave its place; one that is put back is stored before it does.
    fn settling(&mut self, job: &str, is_put_back: bool) {
        if let Some(place) = self.0.get_mut(job) {
            place.is_known = false;
            place.copies += u32::from(is_put_back);
        }
    }

    /// It has left: for good, or for the end of the line after a while.
    fn settled(&mut self, job: &str, is_put_back: bool, index: usize) {
        let Some(place) = self.0.get_mut(job) else { return };
        place.copies = place.copies.saturating_sub(1);
        if is_put_back && place.copies == 1 {
            // Stored before nobody: when its time is over it is the last one, whoever comes.
            place.renew(index, None);
        }
    }

    /// A deploy begins; hands out those that were stored before it and have not begun.
    fn begins(&mut self, job: &str, with: usize) -> Vec<&'a str> {
        let Some(place) = self.0.get_mut(job) else { return Vec::new() };
        let is_first = !std::mem::replace(&mut place.begun[with], true);
        if !place.is_known || !is_first {
            return Vec::new();
        }
        let from = place.from;
        let overtaken = self.0.iter().filter(|(_, other)| {
            other.is_known && !other.begun[with] && other.to.is_some_and(|to| to < from)
        });
        overtaken.map(|(job, _)| *job).collect()
    }
}

impl Found<'_> {
    /// I6: deploys are begun, and have prod, in the order in which they were stored; one that is to
    /// be tried again goes to the end. Two that were being stored at the same time have no order.
    pub(super) fn started_in_order(&mut self) {
        let record = self.record;
        let mut line_up = LineUp::default();
        for (index, line) in record.lines.iter().enumerate() {
            let mut begins = |job: &str, with| {
                for overtaken in line_up.begins(job, with) {
                    let how = ["was handed out", "had prod"][with];
                    let what = format!("{job} {how} before {overtaken}, which was stored before");
                    self.at("I6", index, what);
                }
            };
            match &line.what {
                Happened::Delivered(job) if is_deploy(job) => begins(&job.job, DELIVERED),
                Happened::Granted { keys, job, .. } if is_prod(keys) => begins(job, GRANTED),
                Happened::Publishing(job) if is_deploy(job) => line_up.publishing(&job.job, index),
                Happened::Published(job) if is_deploy(job) => line_up.published(&job.job, index),
                Happened::Settling { job, disposition } if leaves(job, disposition) => {
                    line_up.settling(&job.job, !is_end(disposition));
                }
                Happened::Settled { job, disposition } if leaves(job, disposition) => {
                    line_up.settled(&job.job, !is_end(disposition), index);
                }
                _ => {}
            }
        }
    }

    /// I7: once prod's lease can be had, whoever waits for it has it soon. And at the end nobody
    /// has it, and nothing rests.
    pub(super) fn handed_over(&mut self) {
        let record = self.record;
        let mut prod = Prod::default();
        let rests = u64::try_from(record.rests.as_millis()).unwrap_or(u64::MAX);
        for (index, line) in record.lines.iter().enumerate() {
            let at_ms = line.at_ms;
            match &line.what {
                Happened::Released { keys, epoch, .. } if is_prod(keys) => {
                    prod.free_ms = prod.free_ms.max(at_ms);
                    prod.holder = prod.holder.filter(|holder| holder != epoch);
                }
                Happened::WorkerEnded { .. } | Happened::Fault { .. } | Happened::Over { .. } => {
                    prod.free_ms = prod.free_ms.max(at_ms + rests);
                    prod.fault_ms = Some(at_ms);
                }
                Happened::Reached { .. } | Happened::LeaseLost { .. } => {
                    prod.fault_ms = Some(at_ms)
                }
                Happened::Delivered(job) if is_deploy(job) => {
                    prod.delivered.insert(&job.job, at_ms);
                }
                Happened::Asked { job } => {
                    prod.asked.entry((line.pid, job)).or_insert(at_ms);
                }
                Happened::Settling { job, .. } => drop(prod.asked.remove(&(line.pid, &job.job))),
                Happened::Granted { keys, epoch, job, .. } if is_prod(keys) => {
                    if let Some(what) = prod.granted((line.pid, job), at_ms) {
                        self.at("I7", index, what);
                    }
                    prod.holder = Some(*epoch);
                }
                _ => {}
            }
        }
        if !record.leases.is_empty() {
            let what = format!("leases at the end: {:?}", record.leases);
            self.at("I7", record.lines.len(), what);
        }
    }
}

/// Prod's lease, as the history goes on. Times are in milliseconds since 1970.
#[derive(Default)]
struct Prod<'a> {
    /// Since when it can be had.
    free_ms: u64,
    /// When something was done to somebody last.
    fault_ms: Option<u64>,
    /// The epoch of who has it and has not given it back.
    holder: Option<u64>,
    /// When a deploy was handed out last.
    delivered: BTreeMap<&'a str, u64>,
    /// Since when a worker asks for it for a deploy.
    asked: BTreeMap<(u32, &'a str), u64>,
}

impl<'a> Prod<'a> {
    /// A deploy got it: says what took too long.
    fn granted(&mut self, (worker, job): (u32, &'a str), at_ms: u64) -> Option<String> {
        let asked = self.asked.remove(&(worker, job));
        let delivered = self.delivered.get(job).copied().unwrap_or(at_ms);
        let took = |since: u64| at_ms.saturating_sub(since.max(self.free_ms));
        let late = |ms| Some(format!("{job} got prod {ms} ms after it could"));
        if took(delivered) > HAND_OVER_MS {
            return late(took(delivered));
        }
        // Who gave it back may have said so a moment after the next one had it.
        let since = asked.filter(|_| self.holder.is_none())?;
        let is_calm =
            self.fault_ms.is_none_or(|ms| since.max(self.free_ms) >= ms.saturating_add(CALM_MS));
        if is_calm && took(since) > WAKE_UP_MS { late(took(since)) } else { None }
    }
}

/// Whether a deploy's message leaves its place: one that is given back keeps it.
fn leaves(job: &JobLine, disposition: &str) -> bool {
    is_deploy(job) && disposition != "requeue"
}
