//! What a town's jobs told: for questions, and for the post-mortem of a story that hangs.

use std::sync::Mutex;

use sluice::observe::{Event, Observer, What};
use sluice::outcome::{DeployOutcome, Reason, Stage};
use tokio::sync::watch;

/// Everything that was told.
#[derive(Default)]
pub struct Heard {
    events: Mutex<Vec<Event>>,
    count: watch::Sender<usize>,
}

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
        self.count.send_modify(|count| *count += 1);
    }
}

impl Heard {
    /// What was told of a pull request, as `look` sees it.
    fn of<T>(&self, pr: u64, look: impl Fn(&What) -> Option<T>) -> Vec<T> {
        let events = self.events.lock().unwrap();
        let of_pr = |e: &&Event| e.job.as_ref().is_some_and(|job| job.pr.0 == pr);
        events.iter().filter(of_pr).filter_map(|event| look(&event.what)).collect()
    }

    pub fn refusals(&self, pr: u64) -> Vec<Reason> {
        let reasons = |what: &What| match what {
            What::Refused(refusals) => Some(refusals.iter().map(|r| r.reason).collect::<Vec<_>>()),
            _ => None,
        };
        self.of(pr, reasons).into_iter().flatten().collect()
    }

    pub fn stages(&self, pr: u64, stage: Stage) -> usize {
        let begun =
            |what: &What| matches!(what, What::StageStarted(s) if *s == stage).then_some(());
        self.of(pr, begun).len()
    }

    pub fn deploys(&self, pr: u64) -> Vec<DeployOutcome> {
        let ended = |what: &What| match what {
            What::DeployEnded(outcome) => Some(*outcome),
            _ => None,
        };
        self.of(pr, ended)
    }

    pub fn notes(&self, pr: u64) -> String {
        let note = |what: &What| match what {
            What::Note(text) => Some(format!("{text}\n")),
            _ => None,
        };
        self.of(pr, note).concat()
    }

    /// Waits until something of the pull request was told.
    pub async fn until(&self, pr: u64, told: impl Fn(&What) -> bool) {
        let mut count = self.count.subscribe();
        while self.of(pr, |what| told(what).then_some(())).is_empty() {
            count.changed().await.unwrap();
        }
    }

    pub fn all(&self) -> String {
        let events = self.events.lock().unwrap();
        let line = |event: &Event| {
            let job = event.job.as_ref().map(|job| job.id.to_string()).unwrap_or_default();
            format!("{job} {:?}\n", event.what)
        };
        events.iter().map(line).collect()
    }
}
