//! Asking for a job by hand.
//!
//! Owns what may be asked for. Nothing here can approve: a gate check is made as after a push, and
//! a deploy is led to by the same look that a review leads to, which starts it when gate, approval
//! and signal are there, and says on the pull request what is missing otherwise.

use clap::{Args, Subcommand};
use sluice::clock::unix_ms;
use sluice::config::Config;
use sluice::job::{Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::{PrNumber, ProjectName};
use sluice::observe::{Event, What};
use sluice::queue::QueueError;

use crate::Deps;

/// What may be asked for by hand.
#[derive(Debug, Clone, Subcommand)]
pub enum Enqueue {
    /// Run the gate for the head that is current when a worker takes the job.
    GateCheck {
        /// Which pull request.
        #[command(flatten)]
        of: Of,
        /// Also when there is a result for this head already.
        #[arg(long)]
        again: bool,
    },
    /// Look whether the pull request may go to prod now, and deploy it if so. What is missing
    /// (approval, gate, signal) stays missing, and is said on the pull request.
    Deploy {
        /// Which pull request.
        #[command(flatten)]
        of: Of,
    },
}

/// A pull request of a project.
#[derive(Debug, Clone, Args)]
pub struct Of {
    /// A project of the configuration.
    #[arg(long)]
    project: String,
    /// The pull request's number.
    #[arg(long)]
    pr: u64,
}

impl Enqueue {
    fn job(&self, config: &Config) -> anyhow::Result<Job> {
        let (of, scope, refresh) = match self {
            Self::GateCheck { of, again: true } => (of, Scope::Full, Refresh::Yes),
            Self::GateCheck { of, again: false } => (of, Scope::Full, Refresh::No),
            Self::Deploy { of } => (of, Scope::Approval, Refresh::No),
        };
        let project = ProjectName::new(&of.project)?;
        let known: Vec<&str> = config.projects.iter().map(|known| known.name.as_str()).collect();
        anyhow::ensure!(
            known.contains(&project.as_str()),
            "project {project:?} is not configured; there are: {}",
            known.join(", ")
        );
        anyhow::ensure!(of.pr > 0, "pull requests are numbered from 1");
        let pr = PrNumber(of.pr);
        Ok(Job::GateCheck(GateCheck { project, pr, scope, head: None, refresh, command: None }))
    }
}

/// Stores what is asked for; says the job's id. Returns only when it is stored.
///
/// # Errors
/// The project is not configured, or the queue did not take the job.
pub async fn enqueue(config: &Config, deps: &Deps, asked: &Enqueue) -> anyhow::Result<String> {
    let job = asked.job(config)?;
    let now = deps.clock.now();
    // Each asking is a job of its own: the time tells it from others.
    let cause = format!("enqueue:{}:{}", unix_ms(now), std::process::id());
    Ok(store(deps, job, &cause).await?.id.to_string())
}

/// Stores a job that comes of `cause`, and says so. Returns only when it is stored.
pub(crate) async fn store(deps: &Deps, job: Job, cause: &str) -> Result<Envelope, QueueError> {
    let at = deps.clock.now();
    let envelope = Envelope::new(job, cause, unix_ms(at));
    deps.queue.publish(&envelope).await?;
    let job = Some(envelope.job_ref());
    deps.observer.observe(&Event { at, job, what: What::Published });
    Ok(envelope)
}
