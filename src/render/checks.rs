//! Check runs: their names, what every one can say, and (from next door) what the gate's say.
//!
//! Owns names and titles that teams have in their protection rules and tools. Refuses to know when
//! a check run is written, and how.

pub use super::gate::{
    PrEnvironment, approval, lint, pr_environment, prod_plan, tests, with_changed_policy,
};
use super::markdown::{code, cut, fenced, foreign, sentence};
use super::models;
pub use super::owners::with_owners;
use crate::engine::Plan;
use crate::github::CheckStatus;
use crate::names::Sha;
use crate::outcome::{Conclusion, Refusal};
use crate::project::{Project, SharesRepository};
use crate::redact::Redactor;

/// The most that a summary may take, in bytes: GitHub's 65,535 characters, less a seal.
pub const MOST_SUMMARY: usize = 45_000;

/// The most that a title may take, in characters, as GitHub keeps it.
const MOST_TITLE: usize = 255;

/// Our check runs, in the order of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckKind {
    /// Only where the project enables the linter.
    Linter,
    /// The unit tests.
    UnitTests,
    /// Only where required approvers are configured.
    Approval,
    /// The pull request's own environment.
    PrEnvironment,
    /// What a deploy would do.
    ProdPlan,
    /// Only where a deploy signal can come and the base is a production branch.
    Deploy,
}

impl CheckKind {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::Linter,
        Self::UnitTests,
        Self::Approval,
        Self::PrEnvironment,
        Self::ProdPlan,
        Self::Deploy,
    ];

    /// The name that the reference bot gives it.
    fn base_name(self) -> &'static str {
        match self {
            Self::Linter => "SQLMesh - Linter",
            Self::UnitTests => "SQLMesh - Run Unit Tests",
            Self::Approval => "SQLMesh - Has Required Approval",
            Self::PrEnvironment => "SQLMesh - PR Environment Synced",
            Self::ProdPlan => "SQLMesh - Prod Plan Preview",
            Self::Deploy => "SQLMesh - Prod Environment Synced",
        }
    }

    /// What the reference bot calls its conclusion in the outputs of a workflow's step: the name
    /// without what all have in common, in lower case, words joined with `_`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Linter => "linter",
            Self::UnitTests => "run_unit_tests",
            Self::Approval => "has_required_approval",
            Self::PrEnvironment => "pr_environment_synced",
            Self::ProdPlan => "prod_plan_preview",
            Self::Deploy => "prod_environment_synced",
        }
    }

    /// What it is about, for titles.
    fn subject(self) -> &'static str {
        match self {
            Self::Linter => "linter",
            Self::UnitTests => "unit tests",
            Self::Approval => "approval",
            Self::PrEnvironment => "PR environment",
            Self::ProdPlan => "prod plan preview",
            Self::Deploy => "deploy to prod",
        }
    }
}

/// A check run's name: the reference bot's, so that protection rules go on working; with the
/// project behind it where the repository holds several.
pub fn name(kind: CheckKind, project: &Project) -> String {
    match project.shares_repository {
        SharesRepository::No => kind.base_name().to_owned(),
        SharesRepository::Yes => format!("{} ({})", kind.base_name(), project.name),
    }
}

/// The names of all our check runs of a project.
pub fn names(project: &Project) -> Vec<String> {
    CheckKind::ALL.iter().map(|kind| name(*kind, project)).collect()
}

/// What a check run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Where it stands, with its conclusion.
    pub status: CheckStatus,
    /// One line, plain text, at most 255 characters.
    pub title: String,
    /// Markdown, at most [`MOST_SUMMARY`] bytes.
    pub summary: String,
}

impl Said {
    pub(super) fn new(status: CheckStatus, title: impl AsRef<str>, summary: &str) -> Self {
        let title = title.as_ref().chars().filter(|c| *c != '`').map(|c| match c {
            c if c.is_control() => ' ',
            c => c,
        });
        Self {
            status,
            title: title.take(MOST_TITLE).collect(),
            summary: cut(summary, MOST_SUMMARY),
        }
    }

    pub(super) fn concluded(conclusion: Conclusion, title: impl AsRef<str>, summary: &str) -> Self {
        Self::new(CheckStatus::Completed(conclusion), title, summary)
    }

    /// With a seal as the first line of the summary, where `seal::unseal` looks for it.
    #[must_use]
    pub fn sealed(mut self, seal: &str) -> Self {
        self.summary = format!("{seal}\n{}", self.summary);
        self
    }
}

/// Accepted, not begun.
pub fn queued(kind: CheckKind) -> Said {
    let subject = kind.subject();
    Said::new(CheckStatus::Queued, format!("Queued: {subject}"), "Waits for a worker.")
}

/// Being worked on.
pub fn running(kind: CheckKind) -> Said {
    let subject = kind.subject();
    Said::new(CheckStatus::InProgress, format!("In progress: {subject}"), "A worker is on it.")
}

/// Not run, because of something before it; a sentence says of what.
pub fn skipped(kind: CheckKind, why: &str) -> Said {
    let title = format!("Skipped: {}", kind.subject());
    Said::concluded(Conclusion::Skipped, title, &sentence(why))
}

/// Made pointless by a newer head.
pub fn superseded(newer: &Sha) -> Said {
    let title = format!("Superseded by {}", newer.short());
    Said::concluded(Conclusion::Cancelled, title, "A newer commit is checked instead.")
}

/// The pull request changes nothing of the project: a required check must not hang.
pub fn not_concerned(project: &Project) -> Said {
    let summary =
        format!("No changed file belongs to the project {}.", code(project.name.as_str()));
    Said::concluded(Conclusion::Neutral, "Nothing to check", &summary)
}

/// It could not be run to an end. `tail`: the last lines of what it printed.
pub fn broken(kind: CheckKind, what: &str, tail: Option<&str>, redactor: &Redactor) -> Said {
    let title = match kind {
        CheckKind::UnitTests => "Tests Failed".to_owned(),
        _ => format!("Failed: {}", kind.subject()),
    };
    Said::concluded(Conclusion::Failure, title, &trouble(what, tail, redactor))
}

/// SQLMesh refuses the plan, in its own words.
pub fn plan_refused(kind: CheckKind, conclusion: Conclusion, refusal: &Refusal) -> Said {
    let title = format!("Failed: {}", kind.subject());
    Said::concluded(conclusion, title, &said_by_us(&refusal.sentence))
}

/// An error and its last lines, redacted.
pub(super) fn trouble(what: &str, tail: Option<&str>, redactor: &Redactor) -> String {
    let mut parts = vec![fenced(&redactor.redact(what))];
    if let Some(tail) = tail {
        let tail = redactor.redact(tail);
        let lines: Vec<&str> = tail.lines().collect();
        let last = &lines[lines.len().saturating_sub(30)..];
        parts.push(format!("Last lines:\n\n{}", fenced(&last.join("\n"))));
    }
    parts.join("\n\n")
}

/// A plan's own rendering, or that it does nothing.
pub(super) fn plan_text(plan: &Plan) -> String {
    match (plan.has_effect || plan.has_changes, plan.markdown.trim()) {
        (false, _) => "Nothing would change.".to_owned(),
        (true, "") => models::listed(plan),
        (true, markdown) => foreign(markdown),
    }
}

/// A text that is one sentence, or a block when it has several lines.
pub(super) fn said_by_us(text: &str) -> String {
    if text.trim().contains('\n') { fenced(text) } else { sentence(text.trim()) }
}
