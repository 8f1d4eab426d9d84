//! What the gate's check runs say.
//!
//! Owns the telling of lint, unit tests, approval, PR environment and preview. Refuses to know what
//! they mean for a deploy. Reached through [`super::checks`].

use super::checks::{MOST_SUMMARY, Said, plan_text};
use super::markdown::{code, cut, fenced, sentence};
use super::models;
use crate::engine::{LintReport, Plan, TestReport};
use crate::names::{Environment, Login};
use crate::outcome::Conclusion;
use crate::policy::approval::Approval;

/// The most entries (failing tests, violations, models) that one list shows.
const MOST_ENTRIES: usize = 50;

/// What the linter said.
pub fn lint(report: &LintReport) -> Said {
    let mut summary = Vec::new();
    for (heading, violations) in [("Errors", &report.errors), ("Warnings", &report.warnings)] {
        if !violations.is_empty() {
            summary.push(format!("**{heading}**\n\n{}", fenced(&shortened(violations))));
        }
    }
    if summary.is_empty() {
        summary.push("No rule is violated.".to_owned());
    }
    let summary = summary.join("\n\n");
    match (report.errors.len(), report.warnings.len()) {
        (0, 0) => Said::concluded(Conclusion::Success, "Linter: no violations", &summary),
        (0, n) => Said::concluded(Conclusion::Success, format!("Linter: {n} warning(s)"), &summary),
        (n, _) => Said::concluded(Conclusion::Failure, format!("Linter: {n} error(s)"), &summary),
    }
}

fn shortened(lines: &[String]) -> String {
    let mut shown: Vec<String> = lines.iter().take(MOST_ENTRIES).cloned().collect();
    if lines.len() > MOST_ENTRIES {
        shown.push(format!("… and {} more", lines.len() - MOST_ENTRIES));
    }
    shown.join("\n")
}

/// What the unit tests said.
pub fn tests(report: &TestReport) -> Said {
    let skipped = match report.skipped {
        0 => String::new(),
        n => format!(", {n} skipped"),
    };
    let failed = report.failures.len();
    let mut summary = vec![format!("{} ran{skipped}, {failed} failed.", report.ran)];
    for failure in report.failures.iter().take(MOST_ENTRIES) {
        summary.push(format!("**{}**\n\n{}", code(&failure.name), fenced(&failure.text)));
    }
    if failed > MOST_ENTRIES {
        summary.push(format!("… and {} more.", failed - MOST_ENTRIES));
    }
    let summary = summary.join("\n\n");
    match failed {
        0 => Said::concluded(Conclusion::Success, "Tests Passed", &summary),
        _ => Said::concluded(Conclusion::Failure, "Tests Failed", &summary),
    }
}

/// Who approved, or who could.
pub fn approval(approval: &Approval) -> Said {
    match approval {
        Approval::NotRequired => Said::concluded(
            Conclusion::Neutral,
            "No approval required",
            "The configuration of the base branch names no required approvers.",
        ),
        Approval::Given { by } => {
            let names: Vec<&str> = by.iter().map(Login::as_str).collect();
            let title = format!("Approved by {}", names.join(", "));
            let summary = format!("Required approvers who approved:\n\n{}", bullets(by));
            Said::concluded(Conclusion::Success, title, &summary)
        }
        Approval::Missing { by, needed, could, notes } => {
            let mut parts = vec![match could.as_slice() {
                [] => "Nobody is left who could approve.".to_owned(),
                could => format!("Any of these can approve:\n\n{}", bullets(could)),
            }];
            if *needed > 1 {
                parts.insert(0, format!("{} of {needed} required approvals are there.", by.len()));
            }
            if !notes.is_empty() {
                let notes: Vec<String> =
                    notes.iter().map(|note| format!("- {}", sentence(note))).collect();
                parts.push(format!("What was found:\n\n{}", notes.join("\n")));
            }
            let title = "Need a Required Approval";
            Said::concluded(Conclusion::Failure, title, &parts.join("\n\n"))
        }
    }
}

/// The same, where the pull request changes the configuration that names the approvers: what it
/// says counts when it is merged, and not before.
#[must_use]
pub fn with_changed_policy(said: Said, files: &[&str], base_branch: &str) -> Said {
    if files.is_empty() {
        return said;
    }
    let files: Vec<String> = files.iter().map(|file| code(file)).collect();
    let summary = format!(
        "{}\n\nThis pull request changes {}. Approvers and bot options are those of {} until it is \
         merged.",
        said.summary,
        files.join(", "),
        code(base_branch),
    );
    Said { summary: cut(&summary, MOST_SUMMARY), ..said }
}

fn bullets(logins: &[Login]) -> String {
    let line = |login: &Login| format!("- {}", code(login.as_str()));
    logins.iter().take(MOST_ENTRIES).map(line).collect::<Vec<_>>().join("\n")
}

/// What became of the pull request's environment.
#[derive(Debug, Clone, Copy)]
pub enum PrEnvironment<'a> {
    /// It stands as this plan says.
    Synced(&'a Plan),
    /// Nothing differs from prod, so there is none.
    NoChanges,
    /// Lint failed.
    LintFailed,
    /// Unit tests failed.
    TestsFailed,
    /// These models need a category by hand.
    Uncategorized(&'a [String]),
}

/// The pull request's environment. The name is in each title.
pub fn pr_environment(environment: &Environment, what: PrEnvironment<'_>) -> Said {
    let title = format!("PR Virtual Data Environment: {environment}");
    let (conclusion, summary) = match what {
        PrEnvironment::Synced(plan) => (Conclusion::Success, synced(environment, plan)),
        PrEnvironment::NoChanges => {
            (Conclusion::Skipped, "Nothing differs from prod, so there is nothing to build.".into())
        }
        PrEnvironment::LintFailed => {
            (Conclusion::Skipped, "Not built, because the linter found errors.".into())
        }
        PrEnvironment::TestsFailed => {
            (Conclusion::Skipped, "Not built, because unit tests fail.".into())
        }
        PrEnvironment::Uncategorized(models) => {
            (Conclusion::ActionRequired, uncategorized(environment, models))
        }
    };
    Said::concluded(conclusion, title, &summary)
}

fn synced(environment: &Environment, plan: &Plan) -> String {
    let models = models::listed(plan);
    let models = if models.is_empty() { "No model is changed.".to_owned() } else { models };
    format!("Query this pull request's data in {}.\n\n{models}", code(environment.as_str()))
}

fn uncategorized(environment: &Environment, models: &[String]) -> String {
    let list: Vec<String> =
        models.iter().take(MOST_ENTRIES).map(|model| format!("- {}", code(model))).collect();
    format!(
        "SQLMesh cannot tell whether these changes are breaking:\n\n{}\n\nRun {} on your machine \
         and choose, or let `auto_categorize_changes` of `cicd_bot` choose.",
        list.join("\n"),
        code(&format!("sqlmesh plan {environment}")),
    )
}

/// What a deploy would do to prod.
pub fn prod_plan(plan: &Plan) -> Said {
    let summary = format!(
        "What a deploy of this head would do to prod, as of now. It is planned again, on the base \
         branch as it is then, before anything is applied.\n\n{}",
        plan_text(plan),
    );
    Said::concluded(Conclusion::Success, "Prod Plan Preview", &summary)
}
