//! What the approval's check run says of code owners.
//!
//! Owns the telling. Refuses to know whose approval counts. Reached through [`super::checks`].

use super::checks::{MOST_SUMMARY, Said};
use super::markdown::{code, cut, sentence};
use crate::github::{CheckStatus, Ownership};
use crate::outcome::Conclusion;
use crate::policy::owners::{Owners, Unapproved};

/// The most groups of files that are listed.
const MOST_GROUPS: usize = 20;

/// The most skipped lines that are named.
const MOST_LINES: usize = 10;

/// The same, with what the owners of the changed files said: without them nothing is approved.
/// Owners are named as code, so that nobody is called.
#[must_use]
pub fn with_owners(said: Said, owners: &Owners, ownership: &Ownership, base_branch: &str) -> Said {
    let mut parts = match owners {
        Owners::NotAsked => return said,
        Owners::Unknown(why) => vec![sentence(&format!(
            "An approval of the code owners is required, and it cannot be told who they are: {why}."
        ))],
        Owners::Given { by } if by.is_empty() => vec!["No changed file has a code owner.".into()],
        Owners::Given { by } => {
            let names: Vec<String> =
                by.iter().map(|who| format!("- {}", code(who.as_str()))).collect();
            vec![format!("Code owners who approved:\n\n{}", names.join("\n"))]
        }
        Owners::Missing(missing) => vec![listed(missing)],
    };
    parts.extend(of_the_file(ownership, base_branch));
    let summary = cut(&format!("{}\n\n{}", said.summary, parts.join("\n\n")), MOST_SUMMARY);
    let is_neutral = said.status == CheckStatus::Completed(Conclusion::Neutral);
    let is_approved = said.status != CheckStatus::Completed(Conclusion::Failure);
    match owners {
        Owners::Given { by } if is_neutral && !by.is_empty() => {
            Said::concluded(Conclusion::Success, "Approved by the code owners", &summary)
        }
        _ if owners.are_missing() && is_approved => {
            Said::concluded(Conclusion::Failure, "Need an Approval of a Code Owner", &summary)
        }
        _ => Said { summary, ..said },
    }
}

fn listed(missing: &[Unapproved]) -> String {
    let mut lines: Vec<String> = missing.iter().take(MOST_GROUPS).map(line).collect();
    if missing.len() > MOST_GROUPS {
        lines.push(format!("- … and {} more groups of files", missing.len() - MOST_GROUPS));
    }
    format!("Files that no code owner approved, and who could:\n\n{}", lines.join("\n"))
}

fn line(group: &Unapproved) -> String {
    let mut line = match group.hopeless {
        false => format!("{}: {}", group.what(), group.whom()),
        true => format!(
            "{}: {}, so that nobody is left who could approve: CODEOWNERS of the base branch has \
             to name somebody else",
            group.what(),
            group.whom(),
        ),
    };
    if !group.notes.is_empty() {
        line.push_str(&format!(" ({})", group.notes.join("; ")));
    }
    format!("- {}", sentence(&line))
}

/// Which file says so, and what of it counts for nothing.
fn of_the_file(ownership: &Ownership, base_branch: &str) -> Option<String> {
    let Ownership::Known(owned) = ownership else { return None };
    let branch = code(base_branch);
    let Some(place) = &owned.place else {
        return Some(format!("{branch} has no CODEOWNERS file."));
    };
    let mut said = format!("By {} of {branch}.", code(place));
    let lines: Vec<String> =
        owned.skipped.iter().take(MOST_LINES).map(ToString::to_string).collect();
    if !lines.is_empty() {
        let more = owned.skipped.len() - lines.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        said.push_str(&format!(
            " GitHub skips lines of it that are no rules, and so does sluice: {}{more}.",
            lines.join(", "),
        ));
    }
    Some(said)
}
