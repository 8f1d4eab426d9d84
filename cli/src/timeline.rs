//! The timeline: what happened, for a person who reads along.
//!
//! Owns the look of it. A listener like any other: it learns nothing that metrics do not learn.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use sluice::job::JobKind;
use sluice::names::{JobId, PrNumber};
use sluice::observe::{Event, JobRef, LeaseEnd, Observer, What};
use sluice::outcome::{DeployOutcome, Refusal, Stage, StageOutcome};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WAIT: Style = AnsiColor::Yellow.on_default();

/// Prints events as they come, one line each, and each job's stages in one line when it has ended.
pub(crate) struct Timeline {
    begun: SystemTime,
    jobs: Mutex<HashMap<JobId, Stages>>,
}

#[derive(Default)]
struct Stages {
    /// Each stage once, in the order of their first ends.
    ended: Vec<(Stage, StageOutcome, Duration)>,
}

/// A stage that did what it is for in less than this is not worth a reader's time.
const WORTH_TELLING: Duration = Duration::from_millis(10);

/// A wait that a reader should know of.
const WORTH_WAITING: Duration = Duration::from_millis(100);

impl Stages {
    fn add(&mut self, stage: Stage, outcome: StageOutcome, took: Duration) {
        match self.ended.iter_mut().find(|(known, ..)| *known == stage) {
            Some((_, last, sum)) => {
                *last = outcome;
                *sum += took;
            }
            None => self.ended.push((stage, outcome, took)),
        }
    }
}

impl Timeline {
    /// A timeline whose seconds count from `begun`.
    pub(crate) fn new(begun: SystemTime) -> Self {
        Self { begun, jobs: Mutex::default() }
    }

    /// A line of the story that is not an event: who did what.
    pub(crate) fn tell(&self, at: SystemTime, pr: Option<PrNumber>, text: &str) {
        self.line(at, pr, &format!("{BOLD}{text}{BOLD:#}"));
    }

    fn line(&self, at: SystemTime, pr: Option<PrNumber>, text: &str) {
        let since = at.duration_since(self.begun).unwrap_or_default().as_secs_f64();
        let pr = pr.map(|pr| format!("#{pr}")).unwrap_or_default();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let mut out = format!("{DIM}{since:>6.1} s{DIM:#}  {pr:<4}{first}\n");
        for line in lines {
            let _ = writeln!(out, "              {line}");
        }
        // A closed terminal is no reason to stop deploying.
        let _ = anstream::stdout().write_all(out.as_bytes());
    }

    fn job_line(&self, event: &Event, job: &JobRef) {
        let pr = Some(job.pr);
        match &event.what {
            What::Note(text) => self.line(event.at, pr, &format!("{DIM}·{DIM:#} {text}")),
            What::Refused(refusals) => self.line(event.at, pr, &refused(refusals)),
            What::Started { queued } if job.kind == JobKind::Deploy && *queued > WORTH_WAITING => {
                let text = format!("{WAIT}waited{WAIT:#} {} in line for prod", seconds(*queued));
                self.line(event.at, pr, &text);
            }
            What::LeaseGranted { key, waited } if *waited > WORTH_WAITING => {
                let text = format!("{WAIT}waited{WAIT:#} {} for {key}", seconds(*waited));
                self.line(event.at, pr, &text);
            }
            What::LeaseEnded { key, held, end: LeaseEnd::Lost } => {
                let text = format!("{BAD}lost{BAD:#} {key} after {}", seconds(*held));
                self.line(event.at, pr, &text);
            }
            What::Deployed { lead } => {
                let text = format!("{GOOD}deployed{GOOD:#} {} after the signal", seconds(*lead));
                self.line(event.at, pr, &text);
            }
            What::DeployEnded(outcome) if *outcome != DeployOutcome::Deployed => {
                self.line(event.at, pr, &format!("{BAD}not deployed{BAD:#} ({outcome})"));
            }
            What::AppliedNotMerged(true) => {
                self.line(event.at, pr, &format!("{BAD}deployed, not merged yet{BAD:#}"));
            }
            What::Settled { disposition, why } => self.settled(event.at, job, disposition, why),
            _ => {}
        }
    }

    fn settled(&self, at: SystemTime, job: &JobRef, disposition: &str, why: &Option<String>) {
        let stages = self.jobs().remove(&job.id).unwrap_or_default();
        if stages.ended.is_empty() && disposition == "done" {
            return; // There was nothing to do.
        }
        let kind = match job.kind {
            JobKind::Gate => "gate check",
            JobKind::Approval => "look",
            JobKind::Command => "command",
            JobKind::Deploy => "deploy",
            JobKind::Cleanup => "cleanup",
        };
        let total: Duration = stages.ended.iter().map(|(.., took)| *took).sum();
        let mut text = format!("{DIM}{kind} {}{DIM:#} ", seconds(total));
        for (stage, outcome, took) in &stages.ended {
            if *took < WORTH_TELLING && *outcome == StageOutcome::Ok {
                continue;
            }
            let style = match outcome {
                StageOutcome::Ok => GOOD,
                StageOutcome::Skipped => DIM,
                StageOutcome::Failed | StageOutcome::Broken => BAD,
                _ => WAIT,
            };
            let _ = write!(text, " {style}{stage}{style:#} {DIM}{}{DIM:#}", seconds(*took));
        }
        if let (false, Some(why)) = (disposition == "done", why) {
            let _ = write!(text, "\n{WAIT}{disposition}{WAIT:#}: {why}");
        }
        self.line(at, Some(job.pr), &text);
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Stages>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Timeline {
    fn observe(&self, event: &Event) {
        let Some(job) = &event.job else { return };
        if let What::StageEnded { stage, outcome, took } = &event.what {
            let mut jobs = self.jobs();
            jobs.entry(job.id.clone()).or_default().add(*stage, *outcome, *took);
            return;
        }
        self.job_line(event, job);
    }
}

fn refused(refusals: &[Refusal]) -> String {
    let mut text = format!("{WAIT}held{WAIT:#}");
    for refusal in refusals {
        let _ = write!(text, "  {}", refusal.sentence);
        if refusals.len() > 1 {
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn seconds(took: Duration) -> String {
    match took.as_secs_f64() {
        short if short < 0.095 => format!("{:.0} ms", short * 1000.0),
        long if long < 60.0 => format!("{long:.1} s"),
        long => format!("{:.0} min {:.0} s", (long / 60.0).floor(), long % 60.0),
    }
}
