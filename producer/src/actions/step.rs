//! The step of a workflow: its event, where its outputs go, and its log.
//!
//! Owns the names and formats that GitHub Actions gives. Refuses to know what the jobs do.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use sluice::config::Variables;
use sluice::job::WAITED_FOR;
use tokio::io::AsyncReadExt as _;

/// The most an event's file may measure, in bytes: GitHub delivers nothing larger.
const LARGEST: u64 = 25 << 20;

/// What is said where the stores' addresses are missing and that is no wonder.
pub(super) const NO_SECRETS: &str = "\
    this is the event of a fork's pull request, and GitHub gives such a workflow no secrets, hence \
    no address of the queue. Have the workflow run on `pull_request_target` instead (it must not \
    check out the pull request; sluice never runs a fork's code), or let webhooks go to \
    `sluice-producer serve`";

/// What is around a step.
pub(super) struct Step {
    event_name: Option<String>,
    event_path: Option<PathBuf>,
    output: Option<PathBuf>,
    summary: Option<PathBuf>,
    /// The workflow's run and its attempt.
    run: Option<(String, String)>,
    is_in_actions: bool,
}

/// What happened.
pub(super) struct Event {
    /// Its name, as a webhook's.
    pub(super) name: String,
    /// What GitHub says of it.
    pub(super) payload: Vec<u8>,
}

impl Step {
    pub(super) fn of(variables: &Variables) -> Self {
        let said = |name| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let is_number = |text: &String| text.bytes().all(|b| b.is_ascii_digit());
        let number = |name| said(name).filter(is_number);
        Self {
            event_name: said("GITHUB_EVENT_NAME"),
            event_path: said("GITHUB_EVENT_PATH").map(PathBuf::from),
            output: said("GITHUB_OUTPUT").map(PathBuf::from),
            summary: said("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            run: number("GITHUB_RUN_ID").zip(number("GITHUB_RUN_ATTEMPT")),
            is_in_actions: said("GITHUB_ACTIONS").as_deref() == Some("true"),
        }
    }

    /// What the workflow runs for.
    pub(super) async fn event(&self) -> anyhow::Result<Event> {
        let outside = "is not set: this runs inside a step of a GitHub Actions workflow, or with \
                       the same variables";
        let name = self.event_name.as_deref();
        let name = name.with_context(|| format!("GITHUB_EVENT_NAME {outside}"))?;
        let path = self.event_path.as_deref();
        let path = path.with_context(|| format!("GITHUB_EVENT_PATH {outside}"))?;
        let payload = read(path).await;
        let payload = payload.with_context(|| format!("the event's file {}", path.display()))?;
        // The same event, of which the workflow is the base branch's, with its secrets.
        let name = if name == "pull_request_target" { "pull_request" } else { name };
        Ok(Event { name: name.to_owned(), payload })
    }

    /// What the jobs come from: the same for every try within an attempt of a workflow's run, and
    /// another one when somebody runs it again.
    pub(super) fn cause(&self, now_ms: u64) -> String {
        match &self.run {
            Some((run, attempt)) => format!("{WAITED_FOR}{run}:{attempt}"),
            None => format!("{WAITED_FOR}{now_ms}:by-hand:{}", std::process::id()),
        }
    }

    /// Begins a group of lines in the log.
    pub(super) fn group(&self, title: &str) {
        if self.is_in_actions {
            anstream::println!("::group::sluice: {}", super::progress::harmless(title));
        }
    }

    /// Ends it.
    pub(super) fn end_group(&self) {
        if self.is_in_actions {
            anstream::println!("::endgroup::");
        }
    }

    /// Adds to the outputs of the step.
    pub(super) fn output(&self, text: &str) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => {
                append(path, text).with_context(|| format!("the outputs' file {}", path.display()))
            }
            None => {
                anstream::println!("GITHUB_OUTPUT is not set; the outputs are:\n{}", text.trim());
                Ok(())
            }
        }
    }

    /// Adds to the summary of the step. One that cannot be written changes nothing else.
    pub(super) fn summarize(&self, text: &str) {
        match &self.summary {
            Some(path) => {
                if let Err(error) = append(path, text) {
                    tracing::warn!(path = %path.display(), %error, "no summary is written");
                }
            }
            None => anstream::println!("GITHUB_STEP_SUMMARY is not set: no summary is written"),
        }
    }
}

impl Event {
    /// Whether it is of a pull request from another repository, in a workflow that is that one's.
    pub(super) fn is_of_a_fork(&self) -> bool {
        #[derive(Deserialize)]
        struct Payload {
            pull_request: Pull,
        }
        #[derive(Deserialize)]
        struct Pull {
            head: End,
            base: End,
        }
        #[derive(Deserialize)]
        struct End {
            repo: Option<Repo>,
        }
        #[derive(Deserialize)]
        struct Repo {
            id: u64,
        }
        let is_pull = matches!(self.name.as_str(), "pull_request" | "pull_request_review");
        let payload = serde_json::from_slice::<Payload>(&self.payload).ok();
        let ends = payload.filter(|_| is_pull).map(|payload| {
            let Pull { head, base } = payload.pull_request;
            (head.repo.map(|repo| repo.id), base.repo.map(|repo| repo.id))
        });
        ends.is_some_and(|(head, base)| head != base)
    }
}

async fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    anyhow::ensure!(file.metadata().await?.is_file(), "is not a file");
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).await?;
    anyhow::ensure!(bytes.len() as u64 <= LARGEST, "has more than {LARGEST} bytes");
    Ok(bytes)
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.flush()
}
