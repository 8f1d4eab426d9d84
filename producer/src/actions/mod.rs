//! Inside a step of a GitHub Actions workflow: the jobs of the workflow's event, and their end.
//!
//! Owns the order of things and the exit codes. The event's file is believed for names only, as a
//! webhook is: whoever can write it could have pushed, commented or clicked. Refuses to ask GitHub
//! anything: what is waited for is read in the journal.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use sluice::clock::unix_ms;
use sluice::config::{Config, process_variables};
use sluice::event::{Ignored, Translated, translate};
use sluice::job::{Envelope, Job};
use sluice::names::ProjectName;
use sluice::project::{Project, SharesRepository};
use sluice_service::{Ended, Start, last_words, told_to_stop};

use crate::command::{Connected, connected};
use crate::enqueue::store;

mod outcome;
mod output;
mod progress;
mod step;
mod summary;
mod wait;

use outcome::Outcome;
use output::Keys;
use step::{Event, Step};
use wait::{Over, Waiting};

/// What the exit codes mean, for `--help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0  all is well: the jobs are stored; with --wait, what followed from the event has ended, and no
     check asks for anything; or the event leads to nothing
  1  a check failed or asks for action, a deploy or command was refused, or a job failed for good.
     A missing approval alone is none of these
  2  wrong arguments, configuration, event or output file; nothing is stored, or it could not be
     written down what became of it
  3  the time limit is over, or the step was told to stop: the jobs go on
  4  not all jobs could be stored: run the step again
  5  the jobs are stored and go on, but Redis cannot say what becomes of them";

/// The longest that may be waited: for so long the journal is kept.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the step asks for.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Actions {
    /// Wait until what follows from the event has ended: the checks of its head, and a deploy where
    /// one follows. A line for each stage, then the outputs and the step's summary.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most, up to 24h. GitHub ends a job after 6 hours, unless told otherwise.
    #[arg(long, default_value = "5h45m", value_parser = limit)]
    timeout: Duration,
    /// Only this project of the configuration; its outputs then have no project in their names.
    #[arg(long)]
    project: Option<String>,
}

fn limit(text: &str) -> Result<Duration, String> {
    let limit = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if limit > LONGEST {
        return Err("nobody can say more after 24h".to_owned());
    }
    Ok(limit)
}

/// How the step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Fine = 0,
    Bad = 1,
    Misused = 2,
    Left = 3,
    NotStored = 4,
    Unseen = 5,
}

/// The step cannot go on.
struct Failure {
    code: Code,
    error: anyhow::Error,
}

fn misused(error: impl Into<anyhow::Error>) -> Failure {
    Failure { code: Code::Misused, error: error.into() }
}

/// Does what a step asks for, and says how it ended.
///
/// # Errors
/// None: what goes wrong has a code, and is said here.
pub(crate) async fn run(start: &Start, asked: &Actions) -> anyhow::Result<Ended> {
    let code = attempt(start, asked).await.unwrap_or_else(|Failure { code, error }| {
        anstream::eprintln!("{}", last_words(&error));
        code
    });
    Ok(Ended::As(code as u8))
}

async fn attempt(start: &Start, asked: &Actions) -> Result<Code, Failure> {
    let mut told = pin!(told_to_stop().map_err(misused)?);
    let step = Step::of(&process_variables());
    let event = step.event().await;
    let hinted = |error: anyhow::Error| match &event {
        Ok(event) if event.is_of_a_fork() => misused(error.context(step::NO_SECRETS)),
        _ => misused(error),
    };
    let Some(config) = start.begin_anywhere(&[]).map_err(hinted)? else { return Ok(Code::Fine) };
    let projects = chosen(&config, asked.project.as_deref()).map_err(misused)?;
    let together = connected(&config).map_err(hinted)?;
    let event = event.map_err(misused)?;
    let Some(jobs) = jobs(&event, &projects).map_err(misused)? else { return Ok(Code::Fine) };
    let cause = step.cause(unix_ms(together.deps.clock.now()));
    let stored = tokio::select! {
        biased;
        () = &mut told => {
            let error = anyhow::anyhow!("told to stop before all was stored");
            Err(Failure { code: Code::Left, error })
        }
        stored = store_all(&together, jobs, &cause) => stored,
    };
    let done = match stored {
        Ok(stored) => {
            let (step, config, together) = (&step, &config, &together);
            let desk = Desk { step, config, together, cause: &cause, keys: keys(&projects, asked) };
            desk.follow(asked, (&event.name, &stored), told).await
        }
        Err(failure) => Err(failure),
    };
    together.told.close().await;
    done
}

/// The projects that the step is about.
fn chosen(config: &Config, only: Option<&str>) -> anyhow::Result<Vec<Project>> {
    let Some(only) = only else { return Ok(config.projects.clone()) };
    let only = ProjectName::new(only)?;
    let found: Vec<Project> =
        config.projects.iter().filter(|project| project.name == only).cloned().collect();
    let known: Vec<&str> = config.projects.iter().map(|project| project.name.as_str()).collect();
    anyhow::ensure!(
        !found.is_empty(),
        "project {:?} is not configured; there are: {}",
        only.as_str(),
        known.join(", ")
    );
    Ok(found)
}

/// What the event comes to; `None` when that is nothing, which is said.
fn jobs(event: &Event, projects: &[Project]) -> anyhow::Result<Option<Vec<Job>>> {
    match translate(&event.name, &event.payload, projects)? {
        Translated::Jobs(jobs) => Ok(Some(jobs)),
        // A step waits for what it asked for: one that is not concerned says so at once.
        Translated::Spread(jobs) => {
            let of_all = |job: Job| projects.iter().map(move |one| job.clone().of(&one.name));
            Ok(Some(jobs.into_iter().flat_map(of_all).collect()))
        }
        Translated::Ignored(Ignored::OtherRepository) => anyhow::bail!(
            "the event is of a repository that no project of the configuration is in; where a \
             workflow is copied into forks, let its job run `if: github.repository == '…'` only"
        ),
        Translated::Ignored(why) => {
            anstream::println!("the event leads to nothing ({})", why.label());
            Ok(None)
        }
    }
}

async fn store_all(
    together: &Connected,
    jobs: Vec<Job>,
    cause: &str,
) -> Result<Vec<Envelope>, Failure> {
    let mut stored = Vec::new();
    for job in jobs {
        let envelope = store(&together.deps, job, cause).await;
        let envelope =
            envelope.map_err(|error| Failure { code: Code::NotStored, error: error.into() })?;
        anstream::println!("stored {}", envelope.id);
        stored.push(envelope);
    }
    Ok(stored)
}

/// Several projects of one repository cannot share the names of their outputs.
fn keys(projects: &[Project], asked: &Actions) -> Keys {
    let are_several = projects.iter().any(|p| p.shares_repository == SharesRepository::Yes);
    if are_several && asked.project.is_none() { Keys::OfEachProject } else { Keys::Plain }
}

/// What the step works with once its jobs are stored.
struct Desk<'a> {
    step: &'a Step,
    config: &'a Config,
    together: &'a Connected,
    cause: &'a str,
    keys: Keys,
}

impl Desk<'_> {
    /// Waits, if that is asked for, and writes down what became of the jobs.
    async fn follow(
        &self,
        asked: &Actions,
        (event, stored): (&str, &[Envelope]),
        told: impl Future<Output = ()>,
    ) -> Result<Code, Failure> {
        if !asked.wait {
            self.write(&output::jobs(stored))?;
            return Ok(Code::Fine);
        }
        let Some(redis) = &self.together.stores.redis else {
            return Err(misused(anyhow::anyhow!("there is no Redis")));
        };
        let redactor = self.config.redactor(&process_variables());
        let waiting = Waiting {
            journal: redis.journal(),
            clock: self.together.deps.clock.clone(),
            limit: asked.timeout,
            redactor: &redactor,
        };
        self.step.group(&format!("what follows from {event}"));
        let (outcomes, over) = waiting.until_over(stored, told).await;
        self.step.end_group();
        let mut text = output::jobs(stored);
        text.push_str(&output::of(&outcomes, self.keys, self.cause));
        self.write(&text)?;
        let summary = redactor.redact(&summary::of(&outcomes, &over, self.config)).into_owned();
        self.step.summarize(&summary);
        for line in outcomes.iter().flat_map(Outcome::troubles) {
            anstream::println!("{}", progress::harmless(&redactor.redact(&line)));
        }
        Ok(code(&outcomes, &over))
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        self.step.output(text).map_err(misused)
    }
}

fn code(outcomes: &[Outcome], over: &Over) -> Code {
    anstream::println!("{over}");
    match over {
        Over::Ended if outcomes.iter().all(|outcome| outcome.troubles().is_empty()) => Code::Fine,
        Over::Ended => Code::Bad,
        Over::Limit(_) | Over::Told => Code::Left,
        Over::Unseen(_) => Code::Unseen,
    }
}

#[cfg(test)]
mod tests;
