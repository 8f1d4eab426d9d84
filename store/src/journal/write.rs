//! How entries of the journal become commands.

use std::collections::HashMap;
use std::ptr;
use std::time::Duration;

use deadpool_redis::redis::{self, Pipeline};
use serde::Serialize;
use sluice::job::JobKind;
use sluice::observe::JobRef;
use sluice::queue::Route;

use super::book::Entry;
use super::trail::ENVIRONMENT;
use super::{MOST_WAITING, RECENT, RunningJob, Worker};
use crate::keys::Keys;

const PUBLISH: &str = include_str!("../scripts/publish.lua");

/// How much later than a message was made word of its publishing may be dated.
const PUBLISHING_TAKES: Duration = Duration::from_secs(10);

/// How long it is remembered that a job was begun: far longer than an event is under way.
const BEGUN_REMEMBERED: Duration = Duration::from_secs(3600);

/// How long a job is shown as waiting at most. One that really waits longer is missing then.
const WAITING_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long ended deploys are shown.
const RECENT_REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long it is told what became of an event's jobs and what a head's checks say: nobody waits
/// for longer.
const TRAIL_REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Adds entries, in order. A short job begins and ends among them, and is said once not to wait;
/// what was published to one route is told by one script.
pub(super) fn entries(pipeline: &mut Pipeline, keys: &Keys, entries: &[Entry]) {
    let mut last = HashMap::new();
    for entry in entries {
        if let Entry::Begun { job, .. } = entry {
            last.insert(&job.id, entry);
        }
    }
    let is_told_later = |entry: &Entry| match entry {
        Entry::Begun { job, .. } => last.get(&job.id).is_some_and(|last| !ptr::eq(*last, entry)),
        _ => false,
    };
    let told: Vec<&Entry> = entries.iter().filter(|entry| !is_told_later(entry)).collect();
    let is_as_well = |a: &&Entry, b: &&Entry| match (a, b) {
        (Entry::Published { job: a, .. }, Entry::Published { job: b, .. }) => route(a) == route(b),
        _ => false,
    };
    for entries in told.chunk_by(is_as_well) {
        add(pipeline, keys, entries);
    }
}

/// Adds one entry, or several publishings on one route.
fn add(pipeline: &mut Pipeline, keys: &Keys, entries: &[&Entry]) {
    let Some(first) = entries.first() else { return };
    match first {
        Entry::Published { job, .. } => {
            let mut begun = vec![keys.waiting(&route(job))];
            let mut published = Vec::new();
            for entry in entries {
                if let Entry::Published { job, at_ms } = entry {
                    begun.push(keys.begun(&job.id));
                    published.push((member(job), *at_ms));
                }
            }
            let mut publish = redis::cmd("EVAL");
            publish.arg(PUBLISH).arg(begun.len()).arg(begun).arg(millis(PUBLISHING_TAKES));
            publish.arg(MOST_WAITING).arg(millis(WAITING_REMEMBERED)).arg(published);
            pipeline.add_command(publish).ignore();
        }
        Entry::Begun { job, enqueued_ms } => {
            pipeline.cmd("ZREM").arg(keys.waiting(&route(job))).arg(member(job)).ignore();
            let begun = pipeline.cmd("SET").arg(keys.begun(&job.id)).arg(*enqueued_ms);
            begun.arg("PX").arg(millis(BEGUN_REMEMBERED)).ignore();
        }
        Entry::Back { job, enqueued_ms } => {
            let waiting = keys.waiting(&route(job));
            pipeline.cmd("ZADD").arg(&waiting).arg(*enqueued_ms).arg(member(job)).ignore();
            pipeline.cmd("PEXPIRE").arg(&waiting).arg(millis(WAITING_REMEMBERED)).ignore();
        }
        Entry::Ended(job, ended) => {
            let recent = keys.recent(&job.project);
            pipeline.cmd("LPUSH").arg(&recent).arg(text(ended)).ignore();
            pipeline.cmd("LTRIM").arg(&recent).arg(0).arg(RECENT - 1).ignore();
            pipeline.cmd("PEXPIRE").arg(&recent).arg(millis(RECENT_REMEMBERED)).ignore();
        }
        Entry::Followed { cause, job, now } => {
            let trail = keys.trail(cause);
            pipeline.cmd("HSET").arg(&trail).arg(job.as_str()).arg(text(now)).ignore();
            pipeline.cmd("PEXPIRE").arg(&trail).arg(millis(TRAIL_REMEMBERED)).ignore();
        }
        Entry::Checks { .. } | Entry::Judged { .. } | Entry::Built(_) => {
            shown(pipeline, keys, first)
        }
    }
}

/// Adds what a head's checks say, and what else is known of it.
fn shown(pipeline: &mut Pipeline, keys: &Keys, entry: &Entry) {
    let for_a_while = millis(TRAIL_REMEMBERED);
    match entry {
        Entry::Checks { job, head, checks } => {
            let key = keys.checks(&job.project, job.pr, head);
            let fields = pipeline.cmd("HSET").arg(&key);
            for (check, said) in checks {
                fields.arg(*check).arg(text(said));
            }
            fields.ignore();
            pipeline.cmd("PEXPIRE").arg(&key).arg(for_a_while).ignore();
        }
        Entry::Judged { job, head, environment } => {
            let key = keys.checks(&job.project, job.pr, head);
            let field = pipeline.cmd("HSET").arg(&key).arg(ENVIRONMENT);
            field.arg(environment.as_str()).ignore();
            pipeline.cmd("PEXPIRE").arg(&key).arg(for_a_while).ignore();
            let newest = pipeline.cmd("SET").arg(keys.head(&job.project, job.pr));
            newest.arg(head.as_str()).arg("PX").arg(for_a_while).ignore();
        }
        Entry::Built(job) => {
            let built = pipeline.cmd("SET").arg(keys.built(&job.project, job.pr));
            built.arg(&job.cause).arg("NX").arg("PX").arg(millis(RECENT_REMEMBERED)).ignore();
        }
        _ => {}
    }
}

/// Adds the picture of what runs, which vanishes with its worker.
pub(super) fn picture(
    pipeline: &mut Pipeline,
    keys: &Keys,
    (id, lives): (&str, Duration),
    running: &[RunningJob],
) {
    let key = keys.running(id);
    pipeline.cmd("DEL").arg(&key).ignore();
    if !running.is_empty() {
        let fields = pipeline.cmd("HSET").arg(&key);
        for job in running {
            fields.arg(job.job.as_str()).arg(text(job));
        }
        fields.ignore();
        pipeline.cmd("PEXPIRE").arg(&key).arg(millis(lives)).ignore();
    }
}

/// Adds that a worker lives, for so long.
pub(super) fn life(
    pipeline: &mut Pipeline,
    keys: &Keys,
    (id, lives): (&str, Duration),
    worker: &Worker,
) {
    pipeline.cmd("SADD").arg(keys.workers()).arg(id).ignore();
    let life = pipeline.cmd("SET").arg(keys.worker(id)).arg(text(worker));
    life.arg("PX").arg(millis(lives)).ignore();
}

/// Adds that a worker has ended.
pub(super) fn end(pipeline: &mut Pipeline, keys: &Keys, id: &str) {
    pipeline.cmd("DEL").arg(keys.worker(id)).arg(keys.running(id)).ignore();
    pipeline.cmd("SREM").arg(keys.workers()).arg(id).ignore();
}

fn route(job: &JobRef) -> Route {
    match job.kind {
        JobKind::Approval | JobKind::Command => Route::Approval,
        JobKind::Gate | JobKind::Cleanup => Route::Gate,
        JobKind::Deploy => Route::Deploy(job.project.clone()),
    }
}

/// A job as it stands in line: the same whoever writes it.
fn member(job: &JobRef) -> String {
    text(&(&job.id, job.kind.label(), &job.project, job.pr))
}

/// Names, numbers and texts always become JSON.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
