//! The step's summary, as Markdown.
//!
//! Owns its layout. What a pull request or a tool says in it has no power.

use sluice::config::Config;
use sluice::project::Project;
use sluice::render::checks;
use sluice::render::markdown::{code, plain};

use super::outcome::{Concluded, Outcome};
use super::wait::Over;

/// The most of a title that is shown, in characters.
const MOST_TITLE: usize = 255;

/// What became of everything.
pub(super) fn of(outcomes: &[Outcome], over: &Over, config: &Config) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let project = config.projects.iter().find(|project| project.name == outcome.project);
        text.push_str(&section(outcome, project));
    }
    if !matches!(over, Over::Ended) {
        text.push_str(&format!("\n{}\n", plain(&over.to_string())));
    }
    text
}

fn section(outcome: &Outcome, project: Option<&Project>) -> String {
    let head = outcome.own().and_then(|own| own.head.as_ref());
    let head = head.map(|head| format!(" at {}", code(head.short()))).unwrap_or_default();
    let (name, pr) = (code(outcome.project.as_str()), outcome.pr);
    let mut text = format!("\n### {name}, pull request {pr}{head}\n\n");
    let concluded = outcome.concluded();
    if concluded.is_empty() {
        text.push_str("No check is concluded.\n");
    } else {
        text.push_str("| check | conclusion | |\n|---|---|---|\n");
    }
    for Concluded { kind, conclusion, title } in concluded {
        let check = project.map(|project| checks::name(kind, project));
        let check = plain(&check.unwrap_or_else(|| kind.key().to_owned()));
        let title: String = title.chars().take(MOST_TITLE).collect();
        let (conclusion, title) = (plain(&conclusion), plain(&title.replace(['\n', '\r'], " ")));
        text.push_str(&format!("| {check} | {conclusion} | {title} |\n"));
    }
    if let Some(environment) = &outcome.shown.environment {
        text.push_str(&format!("\nThe pull request's environment: {}.\n", code(environment)));
    }
    let troubles = outcome.troubles();
    if !troubles.is_empty() {
        text.push('\n');
    }
    for trouble in troubles {
        text.push_str(&format!("- {}\n", plain(&trouble.replace(['\n', '\r'], " "))));
    }
    text
}
