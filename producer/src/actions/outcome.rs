//! What has become of one of the event's jobs, and of all that followed from it.
//!
//! Owns when that has come to its end, and what of it is trouble. Pure.

use sluice::names::{JobId, PrNumber, ProjectName};
use sluice::render::checks::CheckKind;
use sluice_service::redis::{Followed, Shown};

/// How one of the event's jobs stands, as the journal says.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// The job of the event itself.
    pub(super) job: JobId,
    pub(super) project: ProjectName,
    pub(super) pr: PrNumber,
    /// It, and the jobs that followed from the event on the same pull request.
    pub(super) followed: Vec<(JobId, Followed)>,
    /// What is shown on the head that it is about; nothing while it has said nothing of one.
    pub(super) shown: Shown,
}

/// How a check of ours is concluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Concluded {
    pub(super) kind: CheckKind,
    pub(super) conclusion: String,
    pub(super) title: String,
}

impl Outcome {
    pub(super) fn new(job: JobId, project: ProjectName, pr: PrNumber) -> Self {
        Self { job, project, pr, followed: Vec::new(), shown: Shown::default() }
    }

    /// The event's own job, once a worker has begun it.
    pub(super) fn own(&self) -> Option<&Followed> {
        self.followed.iter().find(|(job, _)| *job == self.job).map(|(_, followed)| followed)
    }

    /// Whether nothing more comes of it: every job that followed has ended, and nobody is to
    /// conclude a check of the head any more, whichever event that job comes from.
    pub(super) fn has_ended(&self) -> bool {
        let Some(own) = self.own().filter(|own| own.has_ended()) else { return false };
        own.settled.as_deref() == Some("dead") || self.is_replaced() || {
            self.followed.iter().all(|(_, followed)| followed.has_ended())
                && !self.shown.checks.values().any(|check| check.is_open())
        }
    }

    /// Whether the pull request has got a newer head, whose own event tells the rest.
    pub(super) fn is_replaced(&self) -> bool {
        let head = self.own().and_then(|own| own.head.as_ref());
        let newest = self.shown.newest.as_ref();
        head.zip(newest).is_some_and(|(head, newest)| head != newest)
    }

    /// The checks of the head that are concluded, in the order of the stages. What stands open on a
    /// head that was replaced is nobody's any more.
    pub(super) fn concluded(&self) -> Vec<Concluded> {
        let of = |kind: CheckKind| {
            let check = self.shown.checks.get(kind.key())?;
            let conclusion = match (check.is_open(), self.is_replaced()) {
                (false, _) => check.status.clone(),
                (true, true) => "cancelled".to_owned(),
                (true, false) => return None,
            };
            Some(Concluded { kind, conclusion, title: check.title.clone() })
        };
        CheckKind::ALL.into_iter().filter_map(of).collect()
    }

    /// Whether the pull request's environment was built for the first time, from this event on.
    pub(super) fn has_created_the_environment(&self, cause: &str) -> bool {
        self.shown.built_by.as_deref() == Some(cause)
    }

    /// What is not as it should be, in words; nothing when all is well. As for the reference bot, a
    /// missing approval is no fault of the step: it is what every new pull request begins with.
    pub(super) fn troubles(&self) -> Vec<String> {
        let about = format!("{} #{}", self.project, self.pr);
        let mut troubles = Vec::new();
        for (job, followed) in &self.followed {
            let why = followed.why.as_deref().unwrap_or("it does not say why");
            match (followed.settled.as_deref(), followed.outcome.as_deref()) {
                (Some("dead"), _) => {
                    troubles.push(format!("{about}: {job} failed for good: {why}"))
                }
                (Some(_), Some(outcome)) if outcome != "deployed" => {
                    troubles.push(format!("{about}: the deploy ended as {outcome}"));
                }
                (Some("done"), _) if followed.kind == "command" && !followed.refused.is_empty() => {
                    let reasons = followed.refused.join(", ");
                    troubles.push(format!("{about}: the command was refused ({reasons})"));
                }
                _ => {}
            }
        }
        for Concluded { kind, conclusion, title } in self.concluded() {
            let is_bad = matches!(conclusion.as_str(), "failure" | "action_required" | "timed_out");
            if is_bad && kind != CheckKind::Approval {
                troubles.push(format!("{about}: {} is {conclusion}: {title}", kind.key()));
            }
        }
        troubles
    }
}
