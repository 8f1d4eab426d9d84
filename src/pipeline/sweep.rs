//! The sweep: finds the open pull requests that no event will lead anybody to, the merged ones
//! whose deploy never said how it ended, and the closed ones that prod is still kept for.
//!
//! A webhook that never came, a job that was lost with its process: what is missing then can be
//! seen on GitHub. Owns which heads need a look, and asks for it; the look itself decides what
//! follows ([decision 2](../../../docs/decisions/0002-every-event-leads-to-one-look.md)). Refuses
//! to know who calls it and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::unix_ms;
use crate::github::{CheckStatus, GitHubError, MergedPull, OpenCheck, OpenPull};
use crate::job::{Cleanup, Envelope, GateCheck, Job, Refresh, Scope};
use crate::lease::{LeaseError, LeaseKey, LeaseRequest, Owner};
use crate::names::{BadName, JobId, PrNumber, ProjectName, Repository, Sha};
use crate::observe::{Event, What};
use crate::outcome::Conclusion;
use crate::pipeline::Deps;
use crate::pipeline::left_open::{Busy, Unseen};
use crate::project::Project;
use crate::queue::QueueError;
use crate::render::checks::{self, CheckKind};
use crate::render::deploy;

/// Pages of 50 that are read in one sweep: 2,000 open pull requests.
const MOST_PAGES: usize = 40;

/// A look that changed nothing is asked for again after twice as long each time, up to this.
const RAREST: Duration = Duration::from_secs(6 * 3600);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Open pull requests that were seen.
    pub pulls: usize,
    /// Looks that were asked for.
    pub looks: usize,
    /// Cleanups that were asked for.
    pub cleanups: usize,
}

/// Why a sweep did not get to its end. The next one begins anew.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// GitHub did not list the open pull requests.
    #[error("the open pull requests were not listed: {0}")]
    GitHub(#[from] GitHubError),
    /// The leases did not say who works on what.
    #[error("nobody can say who works on what: {0}")]
    Leases(#[from] LeaseError),
    /// The queue did not say what waits, or did not take a look.
    #[error("the queue did not answer: {0}")]
    Queue(#[from] QueueError),
    /// A job cannot be named so.
    #[error(transparent)]
    Name(#[from] BadName),
}

impl From<Unseen> for SweepError {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Leases(error) => Self::Leases(error),
            Unseen::Queue(error) => Self::Queue(error),
        }
    }
}

/// Sweeps one repository again and again, and remembers what it asked for: a look that finds
/// nothing to do is not asked for every time.
pub struct Sweeper {
    repository: Repository,
    projects: Vec<Arc<Project>>,
    asked: BTreeMap<(ProjectName, PrNumber), Asked>,
}

/// A look that was asked for.
struct Asked {
    need: Need,
    head: Option<Sha>,
    at: Instant,
    times: u32,
}

/// Why a head needs a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It has no check of ours.
    Checks,
    /// Its gate check was left open, or given up for a newer head that is gone.
    Gate,
    /// Its deploy check was left open.
    Deploy,
    /// It was reviewed after everything that we show, at that moment.
    Review(u64),
    /// Prod is kept for it, and it is open no more.
    Cleanup,
}

impl Sweeper {
    /// One sweeper for each repository of the projects.
    pub fn of_all(deps: &Deps) -> Vec<Self> {
        let mut all = BTreeMap::<String, Self>::new();
        for project in deps.projects.iter() {
            // GitHub's names have no case.
            let name = project.repository.as_str().to_ascii_lowercase();
            let sweeper = all.entry(name).or_insert_with(|| Self {
                repository: project.repository.clone(),
                projects: Vec::new(),
                asked: BTreeMap::new(),
            });
            sweeper.projects.push(Arc::clone(project));
        }
        all.into_values().collect()
    }

    /// The repository that it sweeps.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Whether the next sweep is this process's. Whoever gets the lease has it for most of an
    /// interval and does not give it back: however many workers there are, there is one sweep in
    /// that time, and when its worker dies the next interval is another's.
    ///
    /// # Errors
    /// [`SweepError::Leases`] when nobody can say: then it is nobody's.
    pub async fn is_due(&self, deps: &Deps) -> Result<bool, SweepError> {
        let Some(first) = self.projects.first() else { return Ok(false) };
        let settings = &deps.settings;
        let owner = Owner {
            nonce: hex::encode(rand::random::<[u8; 16]>()),
            job: JobId::new(format!("sweep:{}", first.name))?,
            host: settings.host.clone(),
            pr: PrNumber(0),
            head: None,
        };
        let request = LeaseRequest {
            keys: self.projects.iter().map(|one| LeaseKey::Sweep(one.name.clone())).collect(),
            owner,
            ttl: settings.sweep_every.mul_f64(0.8),
            lock_delay: Duration::ZERO,
        };
        let granted = tokio::select! {
            granted = deps.leases.acquire(&request) => granted,
            () = deps.clock.sleep(settings.lease.answer_within()) => {
                Err(LeaseError::Unavailable("it gave no answer in time".to_owned()))
            }
        };
        match granted {
            Ok(_) => Ok(true),
            Err(LeaseError::Busy { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all open pull requests, one request for each 50, and the 50 merged ones that changed
    /// last, asks for a look at each head that needs one, and for the cleanup of what prod is kept
    /// for and is open no more. Says it to the observer, however it ends.
    pub async fn sweep(&mut self, deps: &Deps) -> Result<Swept, SweepError> {
        let swept = self.sweep_pages(deps).await;
        let outcome = if swept.is_ok() { "done" } else { "failed" };
        let what = What::Swept { outcome };
        deps.observer.observe(&Event { at: deps.clock.now(), job: None, what });
        swept
    }

    async fn sweep_pages(&mut self, deps: &Deps) -> Result<Swept, SweepError> {
        let mut swept = Swept::default();
        let mut projects = Vec::new();
        for project in &self.projects {
            projects.push((Arc::clone(project), Busy::look(deps, project).await?));
        }
        let (mut open, mut needy) = (BTreeSet::new(), BTreeSet::new());
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let page = deps.github.open_pulls(&self.repository, after.as_ref()).await?;
            swept.pulls += page.pulls.len();
            open.extend(page.pulls.iter().map(|pull| pull.number));
            let (projects, needy) = (&projects, &mut needy);
            swept.looks += self.judge(deps, projects, (&page.pulls, &page.merged), needy).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if after.is_some() {
            tracing::warn!(repository = %self.repository, "more open pull requests than are swept");
        }
        swept.cleanups = self.find_left(deps, (&projects, &open), &mut needy).await?;
        self.asked.retain(|pull, _| needy.contains(pull));
        Ok(swept)
    }

    /// Asks for the cleanup of what is not among the open ones and has prod kept for it: its own
    /// was lost, or is on its way and will find nothing left. One that is open after all changes
    /// nothing.
    async fn find_left(
        &mut self,
        deps: &Deps,
        (projects, open): (&[(Arc<Project>, Busy)], &BTreeSet<PrNumber>),
        needy: &mut BTreeSet<(ProjectName, PrNumber)>,
    ) -> Result<usize, SweepError> {
        let mut cleanups = 0;
        for (project, busy) in projects {
            let Some((pr, head)) = &busy.kept else { continue };
            if open.contains(pr) {
                continue;
            }
            let pull_of = (project.name.clone(), *pr);
            needy.insert(pull_of.clone());
            if let Some(asked) = self.to_be_asked(deps, (&pull_of, head.as_ref()), Need::Cleanup) {
                let job = Cleanup { project: project.name.clone(), pr: *pr };
                ask_for(deps, Job::Cleanup(job), Need::Cleanup, false).await?;
                self.asked.insert(pull_of, asked);
                cleanups += 1;
            }
        }
        Ok(cleanups)
    }

    /// Asks for the looks that a page's pull requests need, in each project.
    async fn judge(
        &mut self,
        deps: &Deps,
        projects: &[(Arc<Project>, Busy)],
        (pulls, merged): (&[OpenPull], &[MergedPull]),
        needy: &mut BTreeSet<(ProjectName, PrNumber)>,
    ) -> Result<usize, SweepError> {
        let (mut looks, is_shared) = (0, self.is_shared());
        let names: BTreeSet<String> =
            self.projects.iter().flat_map(|project| checks::names(project)).collect();
        for (place, (project, busy)) in projects.iter().enumerate() {
            let is_first = place == 0;
            let open = pulls.iter().map(|pull| {
                let seen = pull.checks.iter().any(|check| names.contains(&check.name));
                let need = needs_look(pull, project, busy).filter(|need| {
                    // Which projects a head concerns that nobody has seen is found out once for
                    // all; of one that was seen, who shows nothing is not concerned.
                    *need != Need::Checks || !is_shared || (is_first && !seen)
                });
                (pull.number, &pull.head, need)
            });
            let merged = merged.iter().map(|pull| {
                let need = was_left(pull, project, busy).then_some(Need::Deploy);
                (pull.number, &pull.head, need)
            });
            for (number, head, need) in open.chain(merged) {
                let Some(need) = need else { continue };
                let pull_of = (project.name.clone(), number);
                needy.insert(pull_of.clone());
                if let Some(asked) = self.to_be_asked(deps, (&pull_of, Some(head)), need) {
                    let spread = need == Need::Checks && is_shared;
                    ask_for(deps, look(project, number), need, spread).await?;
                    // Not before it is stored: who notes it first forgets it when that fails.
                    self.asked.insert(pull_of, asked);
                    looks += 1;
                }
            }
        }
        Ok(looks)
    }

    /// Whether the repository holds several projects.
    fn is_shared(&self) -> bool {
        self.projects.len() > 1
    }

    /// What is to be noted once it is asked; `None` when the same was asked not long ago.
    fn to_be_asked(
        &self,
        deps: &Deps,
        (pull_of, head): (&(ProjectName, PrNumber), Option<&Sha>),
        need: Need,
    ) -> Option<Asked> {
        let now = deps.clock.instant();
        let before = self.asked.get(pull_of);
        let before = before.filter(|asked| asked.need == need && asked.head.as_ref() == head);
        let times = match before {
            None => 0,
            // A review is looked at once: not every one changes what we show.
            Some(Asked { need: Need::Review(_), .. }) => return None,
            Some(asked) => {
                let pause =
                    deps.settings.sweep_every.saturating_mul(2_u32.pow(asked.times.min(16)));
                if now.saturating_duration_since(asked.at) < pause.min(RAREST) {
                    return None;
                }
                asked.times + 1
            }
        };
        Some(Asked { need, head: head.cloned(), at: now, times })
    }
}

/// Why nobody will come to this head by himself, if so.
fn needs_look(pull: &OpenPull, project: &Project, busy: &Busy) -> Option<Need> {
    let check = |kind| {
        let name = checks::name(kind, project);
        pull.checks.iter().find(|check| check.name == name)
    };
    // Of a fork's gate there is no more than this.
    let last = if pull.fork { CheckKind::UnitTests } else { CheckKind::ProdPlan };
    let Some(gate) = check(last) else { return Some(Need::Checks) };
    if gate.status == CheckStatus::Completed(Conclusion::Neutral) {
        // The head changes nothing of the project: no review makes a difference.
        return None;
    }
    if gate.status == CheckStatus::Completed(Conclusion::Cancelled) {
        // A newer head was there meanwhile, and is gone.
        return Some(Need::Gate);
    }
    if is_open(gate) {
        return busy.gate_is_left(pull.number, gate.started_ms).then_some(Need::Gate);
    }
    if let Some(deploy) = check(CheckKind::Deploy).filter(|check| is_open(check)) {
        let id = JobId::of_deploy(&project.name, pull.number, &pull.head);
        let is_left = match deploy.external_id == id.as_str() {
            true => busy.deploy_is_left(pull.number, deploy.started_ms),
            false => busy.look_is_left(pull.number, deploy.started_ms),
        };
        return is_left.then_some(Need::Deploy);
    }
    let reviewed_ms = pull.reviewed_ms?;
    let names = checks::names(project);
    let ours = pull.checks.iter().filter(|check| names.contains(&check.name));
    let shown_ms = ours.filter_map(|check| check.completed_ms.max(check.started_ms)).max()?;
    (reviewed_ms >= shown_ms && !is_deployed(check(CheckKind::Deploy)))
        .then_some(Need::Review(reviewed_ms))
}

/// Whether the deploy of a merged one is gone and never said how it ended.
fn was_left(pull: &MergedPull, project: &Project, busy: &Busy) -> bool {
    let name = checks::name(CheckKind::Deploy, project);
    let id = JobId::of_deploy(&project.name, pull.number, &pull.head);
    let check = pull.checks.iter().find(|check| check.name == name);
    check.is_some_and(|check| {
        deploy::is_untold(check.status, &check.title)
            && check.external_id == id.as_str()
            && busy.deploy_is_left(pull.number, check.started_ms.max(pull.merged_ms))
    })
}

fn is_open(check: &OpenCheck) -> bool {
    !matches!(check.status, CheckStatus::Completed(_))
}

fn is_deployed(deploy: Option<&OpenCheck>) -> bool {
    deploy.is_some_and(|check| check.status == CheckStatus::Completed(Conclusion::Success))
}

fn look(project: &Project, pr: PrNumber) -> Job {
    Job::GateCheck(GateCheck {
        project: project.name.clone(),
        pr,
        scope: Scope::Approval,
        head: None,
        refresh: Refresh::No,
        command: None,
    })
}

async fn ask_for(deps: &Deps, job: Job, need: Need, spread: bool) -> Result<(), SweepError> {
    let now = deps.clock.now();
    let envelope = Envelope::new(job, &format!("sweep-{}", unix_ms(now)), unix_ms(now));
    let envelope = if spread { envelope.spread() } else { envelope };
    deps.publish(&envelope).await?;
    tracing::info!(job = %envelope.id, pr = %envelope.job.pr(), ?need, "a sweep asks for a job");
    Ok(())
}

#[cfg(test)]
mod tests;
