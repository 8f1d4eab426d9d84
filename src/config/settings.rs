//! The sections that are there once: queue, lease, retry, producer, worker.
//!
//! Owns their defaults and the inequalities that make a lease safe.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Surroundings;
use super::document::Node;
use super::kinds;
use super::secret::{Secret, SecretSource};
use super::section::Section;
use crate::lease::Timings;
use crate::queue::RetryPolicy;

/// Where jobs wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    /// Which adapter.
    pub url: QueueStore,
    /// Where its address was found, when not in the file itself.
    pub url_source: Option<SecretSource>,
    /// What the names of all queues and exchanges begin with, before a dot.
    pub prefix: String,
}

/// What holds the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueStore {
    /// This process: `memory:`.
    Memory,
    /// RabbitMQ, at an `amqp` or `amqps` address, with its password if it has one.
    Amqp(Secret),
}

/// Where leases are held, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseConfig {
    /// Which adapter.
    pub url: LeaseStore,
    /// Where its address was found, when not in the file itself.
    pub url_source: Option<SecretSource>,
    /// The certificates (PEM) that Redis's own must descend from; none: those that the system
    /// trusts.
    pub ca_file: Option<PathBuf>,
    /// What the names of all keys in Redis begin with, before a colon.
    pub key_prefix: String,
    /// How long a lease stands, and when its holder gives it up.
    pub timings: Timings,
}

/// What holds the leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseStore {
    /// This process: `memory:`.
    Memory,
    /// Redis, at a `redis` or `rediss` address, with its account and password if it has them.
    Redis(Secret),
}

/// What receives webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The most a webhook's body may measure, in bytes.
    pub max_body: usize,
    /// How long it still accepts webhooks after it was told to stop, not ready any more: GitHub
    /// does not repeat a refused delivery, so a balancer must have noticed first.
    pub linger: Duration,
}

/// What runs jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Where metrics and health are served.
    pub metrics_listen: SocketAddr,
    /// How many full gate checks run at once.
    pub gate_slots: u16,
    /// How many deploys run at once.
    pub deploy_slots: u16,
    /// Mirrors, worktrees, virtual environments.
    pub data_dir: PathBuf,
    /// The longest a gate check may take.
    pub gate_timeout: Duration,
    /// The longest a deploy may take, waiting for its lease not counted.
    pub deploy_timeout: Duration,
    /// How often open pull requests are swept; zero: never.
    pub sweep_every: Duration,
    /// How long nothing may be seen of a job before its open check counts as left, the longest wait
    /// before a retry not counted.
    pub left_open_after: Duration,
    /// How long checks, commands and cleanups that run may go on after the worker was told to stop.
    pub gate_grace: Duration,
    /// How long deploys that run may go on then, before they are stopped where nothing is half
    /// done.
    pub deploy_grace: Duration,
}

pub(super) fn queue(mut section: Section<'_>, around: &Surroundings<'_>) -> QueueConfig {
    let (url, url_source) = store_url(&mut section, around, &["amqp", "amqps"]);
    let prefix = section.or("prefix", queue_prefix, "sluice".to_owned());
    section.finish();
    QueueConfig { url: url.map_or(QueueStore::Memory, QueueStore::Amqp), url_source, prefix }
}

/// The address of a store in `url`, or named by `url_env` or `url_file`, and where it was named;
/// no address for `memory:`, and when nothing is said.
fn store_url(
    section: &mut Section<'_>,
    around: &Surroundings<'_>,
    schemes: &'static [&'static str],
) -> (Option<Secret>, Option<SecretSource>) {
    let written = section.optional("url", |node| store(kinds::text(node).ok(), schemes));
    let variable = section.optional("url_env", kinds::variable).map(SecretSource::Variable);
    let file = section.optional("url_file", kinds::text);
    let file = file.map(|file| SecretSource::File(around.path(&file)));
    if [written.is_some(), variable.is_some(), file.is_some()].iter().filter(|said| **said).count()
        > 1
    {
        section.problem("url", "only one of url, url_env and url_file can count");
    }
    let Some(source) = variable.or(file) else { return (written.flatten(), None) };
    let found = source.resolve(around.variables);
    match found.and_then(|secret| store(Some(secret.expose().to_owned()), schemes)) {
        Ok(url) => (url, Some(source)),
        Err(problem) => {
            section.problem("url", problem);
            (None, None)
        }
    }
}

/// The address in `text`; `None` for `memory:`. A problem never repeats it: it may hold a password.
fn store(text: Option<String>, schemes: &[&str]) -> Result<Option<Secret>, String> {
    let text = text.as_deref().map(str::trim).unwrap_or_default();
    if text == "memory:" {
        return Ok(None);
    }
    let is_sound = text.split_once("://").is_some_and(|(scheme, rest)| {
        schemes.contains(&scheme) && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())
    });
    if is_sound {
        return Ok(Some(Secret::new(text)));
    }
    let schemes: Vec<String> = schemes.iter().map(|scheme| format!("\"{scheme}://…\"")).collect();
    Err(format!("expected \"memory:\" (all in one process) or {}", schemes.join(" or ")))
}

pub(super) fn lease(mut section: Section<'_>, around: &Surroundings<'_>) -> LeaseConfig {
    let usual = Timings::default();
    let (url, url_source) = store_url(&mut section, around, &["redis", "rediss"]);
    let ca_file = section.optional("ca_file", kinds::text).map(|file| around.path(&file));
    let key_prefix = section.or("key_prefix", key_prefix, "sluice".to_owned());
    let ttl = section.or("ttl", kinds::duration, usual.ttl());
    let renew_every = section.or("renew_every", kinds::duration, usual.renew_every());
    let fence_after = section.or("fence_after", kinds::duration, usual.fence_after());
    let lock_delay = section.or("lock_delay", kinds::duration, usual.lock_delay());
    // A value that is wrong by itself was replaced: comparing it would blame another.
    let is_sound = section.is_sound();
    if is_sound && renew_every * 3 > fence_after {
        let why = "must be at most a third of fence_after, so that a renewal may fail";
        section.problem("renew_every", why);
    }
    if is_sound && fence_after >= ttl {
        let why = "must be less than ttl: a holder stops before somebody else may start";
        section.problem("fence_after", why);
    }
    section.finish();
    let timings = Timings::new(ttl, renew_every, fence_after, lock_delay);
    let url = url.map_or(LeaseStore::Memory, LeaseStore::Redis);
    LeaseConfig { url, url_source, ca_file, key_prefix, timings: timings.unwrap_or(usual) }
}

/// What queues may begin with.
fn queue_prefix(node: &Node) -> Result<String, String> {
    let is_sound = |text: &String| {
        text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    kinds::text(node)
        .ok()
        .filter(is_sound)
        .ok_or_else(|| "expected 1 to 64 of the letters a-z, A-Z, 0-9, -, _ and .".to_owned())
}

/// What keys may begin with: nothing that means something in a pattern of an access list.
fn key_prefix(node: &Node) -> Result<String, String> {
    let is_sound = |text: &String| {
        text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    kinds::text(node)
        .ok()
        .filter(is_sound)
        .ok_or_else(|| "expected 1 to 64 of the letters a-z, A-Z, 0-9, -, _, . and :".to_owned())
}

pub(super) fn retry(mut section: Section<'_>) -> RetryPolicy {
    let RetryPolicy { delays } = RetryPolicy::default();
    let delays = section.or("delays", kinds::list(kinds::duration), delays);
    if !(1..=20).contains(&delays.len()) {
        section.problem("delays", "expected 1 to 20 durations, one for each retry");
    }
    section.finish();
    RetryPolicy { delays }
}

const ADDRESS: &str = "an address and a port, such as \"127.0.0.1:8080\"";

pub(super) fn producer(mut section: Section<'_>) -> ProducerConfig {
    let producer = ProducerConfig {
        listen: section.or("listen", kinds::parsed(ADDRESS), local(8080)),
        // GitHub delivers nothing above 25 MB, whichever way that is counted.
        max_body: section.or("max_body", kinds::size, 25 << 20),
        linger: section.or("linger", kinds::duration_or_zero, Duration::ZERO),
    };
    section.finish();
    producer
}

pub(super) fn worker(mut section: Section<'_>, around: &Surroundings<'_>) -> WorkerConfig {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let data_dir = section.optional("data_dir", kinds::text);
    let worker = WorkerConfig {
        metrics_listen: section.or("metrics_listen", kinds::parsed(ADDRESS), local(9464)),
        gate_slots: section.or("gate_slots", slots, 4),
        deploy_slots: section.or("deploy_slots", slots, 2),
        data_dir: around.path(data_dir.as_deref().unwrap_or(".sluice")),
        gate_timeout: section.or("gate_timeout", kinds::duration, hours(2)),
        deploy_timeout: section.or("deploy_timeout", kinds::duration, hours(12)),
        sweep_every: section.or("sweep_every", interval, minutes(5)),
        left_open_after: section.or("left_open_after", kinds::duration, minutes(10)),
        gate_grace: section.or("gate_grace", kinds::duration_or_zero, Duration::from_secs(30)),
        deploy_grace: section.or("deploy_grace", kinds::duration_or_zero, minutes(10)),
    };
    section.refuse("drain_grace", "it is two now: gate_grace and deploy_grace");
    section.finish();
    worker
}

/// None at all, or not so often that one sweep meets the next.
fn interval(node: &Node) -> Result<Duration, String> {
    kinds::duration_or_zero(node)
        .ok()
        .filter(|every| every.is_zero() || *every >= Duration::from_secs(60))
        .ok_or_else(|| "expected \"0s\", or a duration of a minute to a week".to_owned())
}

fn slots(node: &Node) -> Result<u16, String> {
    let slots = kinds::count(1, 256)(node)?;
    u16::try_from(slots).map_err(|error| error.to_string())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
