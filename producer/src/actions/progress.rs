//! The lines that a waiting step writes into its log.
//!
//! Owns what is worth a line, and that no line is taken for a command of the runner's. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice::names::{JobId, PrNumber, ProjectName};
use sluice::render::checks::CheckKind;
use sluice_service::redis::{Followed, StageTime};

use super::outcome::Outcome;

/// What has been told.
#[derive(Default)]
pub(super) struct Progress {
    jobs: BTreeMap<JobId, Told>,
    checks: BTreeMap<(ProjectName, PrNumber, &'static str), String>,
}

/// What has been told of a job.
#[derive(Default)]
struct Told {
    stages: usize,
    /// The stage that it was seen in, and the number of those before it.
    stage: Option<(usize, String)>,
    settled: Option<String>,
}

impl Progress {
    /// A line for everything that is new.
    pub(super) fn news(&mut self, outcome: &Outcome) -> Vec<String> {
        let about = format!("{} #{}", outcome.project, outcome.pr);
        let mut news = Vec::new();
        for (job, followed) in &outcome.followed {
            news.extend(self.jobs.entry(job.clone()).or_default().news(followed));
        }
        for kind in CheckKind::ALL {
            let Some(check) = outcome.shown.checks.get(kind.key()) else { continue };
            let key = (outcome.project.clone(), outcome.pr, kind.key());
            if self.checks.get(&key) != Some(&check.status) {
                self.checks.insert(key, check.status.clone());
                news.push(format!("{}: {}: {}", kind.key(), check.status, check.title));
            }
        }
        news.into_iter().map(|line| format!("{about}  {line}")).collect()
    }
}

impl Told {
    fn news(&mut self, now: &Followed) -> Vec<String> {
        let kind = kind(now);
        let mut news = Vec::new();
        if now.stages.len() < self.stages {
            // Taken up again from the start.
            *self = Self::default();
        }
        for StageTime { stage, outcome, took_ms } in now.stages.iter().skip(self.stages) {
            news.push(format!("{kind}: {stage} {outcome}, {}", took(*took_ms)));
        }
        self.stages = now.stages.len();
        let stage = now.stage.clone().map(|stage| (self.stages, stage));
        if stage != self.stage {
            news.extend(stage.iter().map(|(_, stage)| format!("{kind}: {stage} …")));
            self.stage = stage;
        }
        if now.settled != self.settled {
            self.settled = now.settled.clone();
            news.extend(self.settled.as_deref().map(|settled| {
                let why = now.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                format!("{kind}: {}{why}", ended(settled))
            }));
        }
        news
    }
}

/// What is still waited for, when there was nothing new for a long while.
pub(super) fn still(outcome: &Outcome) -> String {
    let about = format!("{} #{}", outcome.project, outcome.pr);
    if outcome.own().is_none() {
        return format!("{about}  no worker has begun it yet");
    }
    let open = CheckKind::ALL.into_iter().filter_map(|kind| {
        let check = outcome.shown.checks.get(kind.key()).filter(|check| check.is_open())?;
        Some(format!("{}: {}", kind.key(), check.title))
    });
    let open: Vec<String> = open.collect();
    format!(
        "{about}  still waiting: {}",
        if open.is_empty() { "…".to_owned() } else { open.join("; ") }
    )
}

fn kind(followed: &Followed) -> &str {
    match followed.kind.as_str() {
        "approval" => "look",
        "gate" => "gate check",
        kind => kind,
    }
}

fn ended(settled: &str) -> &str {
    match settled {
        "dead" => "failed for good",
        "later" => "comes back later",
        "retry" => "is tried again",
        "requeue" => "goes back in line",
        settled => settled,
    }
}

/// How long something took.
fn took(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", Duration::from_millis(ms).as_secs_f64()),
        _ => humantime::format_duration(Duration::from_secs(ms / 1000)).to_string(),
    }
}

/// A line that is no command to the runner, which takes those of an old form for one wherever they
/// stand.
pub(super) fn harmless(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.replace("##[", "##\u{200b}[");
    match text.trim_start().starts_with("::") {
        true => format!("· {text}"),
        false => text,
    }
}
