//! The run loop: takes jobs from the queue, as many as there are slots, and settles each.
//!
//! Owns slots, panics and shutdown. Refuses to know what a job does.

use std::sync::Arc;
use std::time::Duration;

use sluice::job::Envelope;
use sluice::outcome::Disposition;
use sluice::pipeline::{Deps, Settings, perform};
use sluice::queue::{Delivery, Route};
use sluice::redact::Redactor;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::sweep;

/// How many jobs of each sort run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Approval gate checks and commands: GitHub requests only.
    pub approval: u16,
    /// Full gate checks and cleanups: a Python process each.
    pub gate: u16,
    /// Deploys: a Python process each, for as long as the deploy takes.
    pub deploy: u16,
}

/// How long a subscription that ended is left alone before it is made anew.
const RESUBSCRIBE: Duration = Duration::from_secs(1);

/// How long jobs that were cancelled get to kill their processes and give their message back.
const REAP: Duration = Duration::from_secs(15);

/// Runs jobs until `shutdown`, then lets running ones finish for `grace`, cancels what is left, and
/// returns when each has given its message back.
pub async fn run(deps: Deps, slots: Slots, grace: Duration, shutdown: CancellationToken) {
    let stop_jobs = CancellationToken::new();
    let jobs = TaskTracker::new();
    let consumers = TaskTracker::new();
    for (route, slots, prefetch) in routes(&deps, slots) {
        let consumer = Consumer {
            deps: deps.clone(),
            route,
            slots,
            prefetch,
            jobs: jobs.clone(),
            stop_jobs: stop_jobs.clone(),
        };
        consumers.spawn(consumer.run(shutdown.clone()));
    }
    consumers.spawn(sweep::run(deps.clone(), shutdown.clone()));
    consumers.close();
    consumers.wait().await;
    jobs.close();
    tokio::select! {
        () = jobs.wait() => return,
        () = deps.clock.sleep(grace) => stop_jobs.cancel(),
    }
    tokio::select! {
        () = jobs.wait() => {}
        () = deps.clock.sleep(REAP) => {
            tracing::error!(jobs = jobs.len(), "jobs did not end; their messages come back");
        }
    }
}

/// Every route with the slots that its jobs share, and how many it may have in hand.
fn routes(deps: &Deps, slots: Slots) -> Vec<(Route, Arc<Semaphore>, u16)> {
    let semaphore = |slots: u16| Arc::new(Semaphore::new(usize::from(slots.max(1))));
    let deploys = semaphore(slots.deploy);
    let mut routes = vec![
        (Route::Approval, semaphore(slots.approval), slots.approval.max(1)),
        (Route::Gate, semaphore(slots.gate), slots.gate.max(1)),
    ];
    for project in deps.projects.iter() {
        routes.push((Route::Deploy(project.name.clone()), Arc::clone(&deploys), 1));
    }
    routes
}

/// One route's consumer.
struct Consumer {
    deps: Deps,
    route: Route,
    slots: Arc<Semaphore>,
    prefetch: u16,
    jobs: TaskTracker,
    stop_jobs: CancellationToken,
}

impl Consumer {
    async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.consume() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.deps.clock.sleep(RESUBSCRIBE) => {}
            }
        }
    }

    /// Takes jobs until the subscription ends.
    async fn consume(&self) {
        let mut deliveries = match self.deps.queue.consume(&self.route, self.prefetch).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                tracing::warn!(queue = self.route.queue(), %error, "cannot consume");
                return;
            }
        };
        while let Some(delivery) = deliveries.next().await {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            let deps = self.deps.clone();
            let cancel = self.stop_jobs.child_token();
            self.jobs.spawn(async move {
                run_one(deps, delivery, cancel).await;
                drop(slot);
            });
        }
    }
}

/// Runs one job and settles its message, whatever happens to the job.
async fn run_one(deps: Deps, delivery: Box<dyn Delivery>, cancel: CancellationToken) {
    let attempt = delivery.attempt();
    let disposition = match Envelope::from_bytes(delivery.bytes()) {
        Err(error) => dead(&deps.settings.redactor, &error.to_string()),
        Ok(envelope) => {
            let working = deps.clone();
            // A task of its own, so that a panic ends the job and not its message.
            let job =
                tokio::spawn(async move { perform(&working, &envelope, attempt, cancel).await });
            let Settings { redactor, retry, .. } = &*deps.settings;
            let left = retry.left(attempt);
            job.await.unwrap_or_else(|panic| panicked(redactor, left, &panic.to_string()))
        }
    };
    if let Err(error) = delivery.settle(disposition).await {
        tracing::warn!(%error, "a message could not be settled and comes back");
    }
}

/// A panic is a fault of ours: it is retried like any other.
fn panicked(redactor: &Redactor, attempts_left: u32, panic: &str) -> Disposition {
    if attempts_left == 0 {
        return dead(redactor, &format!("the job panicked: {panic}"));
    }
    let panic = redactor.redact(panic);
    tracing::error!(%panic, "a job panicked and is retried");
    Disposition::Retry
}

/// The end of a message that no job settled, and that nobody has logged yet.
fn dead(redactor: &Redactor, why: &str) -> Disposition {
    let why = redactor.redact(why).into_owned();
    tracing::error!(%why, "a message goes to the dead letters");
    Disposition::Dead(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_job_settled_takes_no_secret_to_the_dead_letters() {
        let redactor = Redactor::new(["hush-hush"]);
        let dead = dead(&redactor, "not a job: hush-hush");
        assert_eq!(dead, Disposition::Dead("not a job: [redacted]".to_owned()));
        let why = "the job panicked: no [redacted]".to_owned();
        assert_eq!(panicked(&redactor, 0, "no hush-hush"), Disposition::Dead(why));
        assert_eq!(panicked(&redactor, 1, "no hush-hush"), Disposition::Retry);
    }
}
