//! `sluice status`: what waits, what is held and by whom, what is paused, what failed for good.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use sluice::clock::unix_ms;
use sluice::config::Config;
use sluice::lease::{LeaseInfo, LeaseKey, Release, Standing};
use sluice::pause::Pause;
use sluice::queue::Route;
use sluice_service::Ended;
use sluice_service::redis::{Action, RunningJob, WaitingJob, Worker};

use super::show::{count, long, millis, short, since};
use super::{Cluster, Common, Wanted};

/// How many of the operators' actions people are shown.
const SHOWN_ACTIONS: usize = 5;

/// The most deploys in line that are shown of each project.
const MOST_SHOWN: u16 = 100;

/// What is going on.
#[derive(Default)]
struct Status {
    now_ms: u64,
    queues: Vec<QueueStatus>,
    delayed: Option<u64>,
    leases: Vec<Leased>,
    /// For how long no lease is granted yet.
    frozen: Option<Duration>,
    /// The deploys that wait, in the order in which they were published.
    deploys: Vec<WaitingJob>,
    running: Vec<RunningJob>,
    workers: Vec<Worker>,
    pauses: Vec<Pause>,
    dead: Option<u64>,
    /// What operators did, the newest first.
    actions: Vec<Action>,
    /// What could not be asked.
    troubles: Vec<String>,
}

/// A lease, and where people see the pull request that has it.
struct Leased {
    lease: LeaseInfo,
    url: Option<String>,
}

struct QueueStatus {
    queue: String,
    jobs: u64,
    oldest_ms: Option<u64>,
}

/// Shows it. Fails when a store could not say everything, after showing the rest.
pub(crate) async fn run(common: &Common) -> anyhow::Result<Ended> {
    let cluster = Cluster::reach(common, Wanted::Both)?;
    let status = Status::gather(&cluster).await;
    cluster.answer(&status.words(), &status.json());
    anyhow::ensure!(status.troubles.is_empty(), "{}", status.troubles.join("; "));
    Ok(Ended::InOrder)
}

impl Status {
    async fn gather(cluster: &Cluster) -> Self {
        let mut status = Self { now_ms: unix_ms(cluster.clock.now()), ..Self::default() };
        if let Err(why) = status.ask_queue(cluster).await {
            status.troubles.push(cluster.said(&why));
        }
        for project in &cluster.config.projects {
            match cluster.stores.leases.inspect(&project.name).await {
                Ok(leases) => status.leases.extend(
                    leases
                        .into_iter()
                        .map(|lease| Leased { url: url(&lease, &cluster.config), lease }),
                ),
                Err(why) => {
                    status.troubles.push(cluster.said(&why));
                    return status;
                }
            }
        }
        if let Err(why) = status.read_journal(cluster).await {
            status.troubles.push(cluster.said(&why));
        }
        match cluster.stores.pauses.list().await {
            Ok(pauses) => status.pauses = pauses,
            Err(why) => status.troubles.push(cluster.said(&why)),
        }
        status
    }

    async fn ask_queue(&mut self, cluster: &Cluster) -> Result<(), sluice::queue::QueueError> {
        let queue = &cluster.stores.queue;
        let projects = cluster.config.projects.iter().map(|project| project.name.clone());
        let routes = [Route::Approval, Route::Gate].into_iter();
        for route in routes.chain(projects.map(Route::Deploy)) {
            let waiting = queue.waiting(&route).await?;
            let mut oldest_ms = waiting.oldest.map(millis);
            if oldest_ms.is_none() && waiting.jobs > 0 {
                let since = cluster.stores.ledger.oldest(&route).await;
                oldest_ms = since.map(|since| self.now_ms.saturating_sub(since));
            }
            self.queues.push(QueueStatus { queue: route.queue(), jobs: waiting.jobs, oldest_ms });
        }
        self.delayed = Some(queue.delayed().await?);
        self.dead = Some(queue.dead_letters().await?);
        Ok(())
    }

    async fn read_journal(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let Some(redis) = &cluster.stores.redis else { return Ok(()) };
        self.frozen = redis.frozen().await?;
        let journal = redis.journal();
        for project in &cluster.config.projects {
            let route = Route::Deploy(project.name.clone());
            self.deploys.extend(journal.waiting(&route, MOST_SHOWN).await?);
        }
        self.running = journal.running().await?;
        self.workers = journal.workers().await?;
        self.actions = redis.actions().last().await?;
        Ok(())
    }

    fn words(&self) -> String {
        let mut out = String::new();
        self.say_queues(&mut out);
        self.say_deploys(&mut out);
        self.say_leases(&mut out);
        self.say_running(&mut out);
        let _ = writeln!(out, "\npauses");
        for pause in &self.pauses {
            let what = pause.project.as_ref().map_or("all projects", |project| project.as_str());
            let (since, reason) = (since(self.now_ms, pause.since_ms), short(&pause.reason, 80));
            let _ = writeln!(out, "  {what}: for {since}, by {}: {reason}", pause.by);
        }
        if self.pauses.is_empty() {
            let _ = writeln!(out, "  none");
        }
        self.say_actions(&mut out);
        out
    }

    fn say_actions(&self, out: &mut String) {
        let _ = writeln!(out, "\nwhat operators did");
        for Action { at_ms, by, what, reason } in self.actions.iter().take(SHOWN_ACTIONS) {
            let reason = reason.as_ref().map(|reason| format!(": {}", short(reason, 80)));
            let (ago, what) = (since(self.now_ms, *at_ms), short(what, 80));
            let _ = writeln!(out, "  {ago} ago, {by} {what}{}", reason.unwrap_or_default());
        }
        if self.actions.is_empty() {
            let _ = writeln!(out, "  nothing is known");
        }
    }

    fn say_queues(&self, out: &mut String) {
        let _ = writeln!(out, "queues");
        let width = self.queues.iter().map(|queue| queue.queue.len()).max().unwrap_or_default();
        for QueueStatus { queue, jobs, oldest_ms } in &self.queues {
            let oldest = match oldest_ms {
                Some(age) => format!(", the oldest for {}", since(*age, 0)),
                None => String::new(),
            };
            let waits = count(*jobs, "job waits", "jobs wait");
            let _ = writeln!(out, "  {queue:width$}  {waits}{oldest}");
        }
        if let Some(delayed) = self.delayed {
            let _ = writeln!(out, "  {}", count(delayed, "job is delayed", "jobs are delayed"));
        }
        if let Some(dead) = self.dead {
            let hint = if dead > 0 { ": see `sluice dead list`" } else { "" };
            let _ = writeln!(out, "  {dead} failed for good{hint}");
        }
    }

    fn say_deploys(&self, out: &mut String) {
        let _ = writeln!(out, "\ndeploys in line");
        let mut last = None;
        let mut place = 0;
        for WaitingJob { project, pr, head, since_ms, .. } in &self.deploys {
            place = if last == Some(project) { place + 1 } else { 1 };
            last = Some(project);
            let head = head.as_ref().map(|head| format!(" at {}", head.short()));
            let (head, since) = (head.unwrap_or_default(), since(self.now_ms, *since_ms));
            let _ = writeln!(out, "  {project}  {place}. PR #{pr}{head}, for {since}");
        }
        if self.deploys.is_empty() {
            let _ = writeln!(out, "  none");
        }
    }

    fn say_running(&self, out: &mut String) {
        let _ = writeln!(out, "\nworkers");
        for Worker { host, since_ms, gate_slots, deploy_slots } in &self.workers {
            let since = since(self.now_ms, *since_ms);
            let _ = writeln!(
                out,
                "  {host}: for {since}, {gate_slots} gate slots, {deploy_slots} deploy slots"
            );
            for job in self.running.iter().filter(|job| job.host == *host) {
                let stage = job.stage.as_deref().unwrap_or("between two stages");
                let since = since_of(self.now_ms, job);
                let RunningJob { kind, project, pr, .. } = job;
                let _ = writeln!(out, "    {kind} of {project} PR #{pr}: {since}, in {stage}");
            }
        }
        if self.workers.is_empty() {
            let _ = writeln!(out, "  none is seen");
        }
    }

    fn say_leases(&self, out: &mut String) {
        let _ = writeln!(out, "\nleases");
        if let Some(left) = self.frozen {
            let _ = writeln!(
                out,
                "  none is granted for another {}: Redis is new or restarted",
                long(left)
            );
        }
        for leased in &self.leases {
            self.say_lease(leased, out);
        }
        if self.leases.is_empty() {
            let _ = writeln!(out, "  none");
        }
    }

    fn say_lease(&self, Leased { lease, url }: &Leased, out: &mut String) {
        let LeaseInfo { key, owner, epoch, .. } = lease;
        let head = match lease.standing {
            // A newer head of the pull request may have held it since.
            Standing::Reserved => lease.kept_for.as_ref().or(owner.head.as_ref()),
            Standing::Held | Standing::Resting { .. } => owner.head.as_ref(),
        };
        let head = head.map(|head| format!(" at {}", head.short()));
        let whose = format!("PR #{}{}", owner.pr, head.unwrap_or_default());
        let since_then = since(self.now_ms, lease.since_ms);
        let _ = match lease.standing {
            Standing::Held => {
                writeln!(out, "  {key}  held for {whose}, for {since_then}, epoch {epoch}")
            }
            Standing::Reserved => {
                writeln!(out, "  {key}  reserved for {whose}, for {since_then}, epoch {epoch}")
            }
            Standing::Resting { left } => {
                let left = long(left);
                writeln!(out, "  {key}  rests after {whose} lost it, free in {left}, epoch {epoch}")
            }
        };
        if let Some(url) = url {
            let _ = writeln!(out, "    {url}");
        }
        if lease.standing == Standing::Held {
            let phase = if lease.phase.is_empty() { "working" } else { &lease.phase };
            let (phase, renewed) = (short(phase, 60), since(self.now_ms, lease.renewed_ms));
            let _ = writeln!(out, "    by {}; {phase}; renewed {renewed} ago", owner.host);
        }
    }

    fn json(&self) -> Value {
        json!({
            "queues": self.queues.iter().map(queue_json).collect::<Vec<_>>(),
            "delayed": self.delayed,
            "dead": self.dead,
            "leases": self.leases.iter().map(leased_json).collect::<Vec<_>>(),
            "frozen_ms": self.frozen.map(millis),
            "deploys": self.deploys.iter().map(waiting_json).collect::<Vec<_>>(),
            "running": self.running.iter().map(running_json).collect::<Vec<_>>(),
            "workers": self.workers.iter().map(worker_json).collect::<Vec<_>>(),
            "pauses": self.pauses,
            "actions": self.actions,
            "troubles": self.troubles,
        })
    }
}

fn queue_json(QueueStatus { queue, jobs, oldest_ms }: &QueueStatus) -> Value {
    json!({ "queue": queue, "jobs": jobs, "oldest_ms": oldest_ms })
}

fn since_of(now_ms: u64, job: &RunningJob) -> String {
    since(now_ms, job.since_ms)
}

fn waiting_json(job: &WaitingJob) -> Value {
    json!({
        "job": job.job.as_str(),
        "project": job.project.as_str(),
        "pr": job.pr.0,
        "head": job.head.as_ref().map(|head| head.as_str()),
        "since_ms": job.since_ms,
    })
}

fn running_json(job: &RunningJob) -> Value {
    json!({
        "job": job.job.as_str(),
        "kind": job.kind,
        "project": job.project.as_str(),
        "pr": job.pr.0,
        "head": job.head.as_ref().map(|head| head.as_str()),
        "host": job.host,
        "since_ms": job.since_ms,
        "stage": job.stage,
        "stage_since_ms": job.stage_since_ms,
    })
}

fn worker_json(worker: &Worker) -> Value {
    json!({
        "host": worker.host,
        "since_ms": worker.since_ms,
        "gate_slots": worker.gate_slots,
        "deploy_slots": worker.deploy_slots,
    })
}

/// Where people see the pull request of a lease; `None` when it is of none.
fn url(lease: &LeaseInfo, config: &Config) -> Option<String> {
    let project = config.projects.iter().find(|project| project.name == *lease.key.project())?;
    let is_of_one = !matches!(lease.key, LeaseKey::Sweep(_));
    is_of_one.then(|| config.github.pull_request_url(&project.repository, lease.owner.pr))
}

/// A lease, for programs.
pub(super) fn lease_json(lease: &LeaseInfo, config: &Config) -> Value {
    leased_json(&Leased { lease: lease.clone(), url: url(lease, config) })
}

fn leased_json(Leased { lease, url }: &Leased) -> Value {
    let LeaseInfo { key, owner, .. } = lease;
    let (standing, left) = match lease.standing {
        Standing::Held => ("held", None),
        Standing::Reserved => ("reserved", None),
        Standing::Resting { left } => ("resting", Some(millis(left))),
    };
    let kept_for = lease.kept_for.as_ref().filter(|_| lease.give_back == Release::Reserve);
    json!({
        "key": key.to_string(),
        "project": key.project().as_str(),
        "standing": standing,
        "rests_ms": left,
        "url": url,
        "when_lost": match lease.give_back {
            Release::Free => "free",
            Release::Reserve => "reserved",
        },
        "kept_for": kept_for.map(|head| head.as_str()),
        "host": owner.host,
        "job": owner.job.as_str(),
        "pr": owner.pr.0,
        "head": owner.head.as_ref().map(|head| head.as_str()),
        "epoch": lease.epoch,
        "since_ms": lease.since_ms,
        "renewed_ms": lease.renewed_ms,
        "phase": lease.phase,
    })
}

/// How long a lease that is taken away rests at most, for people.
pub(super) fn rest(cluster: &Cluster) -> String {
    let timings = cluster.config.lease.timings;
    long(timings.ttl() + timings.lock_delay())
}

#[cfg(test)]
mod tests;
