//! What the deploy's check run says.
//!
//! Owns how each end and each moment of a deploy is told. Refuses to know how it came to it.

use super::checks::{CheckKind, Said, broken as broken_check, plan_text, said_by_us, trouble};
use super::markdown::{code, sentence};
use crate::engine::{Plan, Progress};
use crate::github::CheckStatus;
use crate::lease::Owner;
use crate::names::{Login, Sha};
use crate::outcome::{Conclusion, Reason, Refusal, conclusion_of};
use crate::redact::Redactor;

const MERGING: &str = "Deployed to Prod, being merged";
const NOT_MERGED: &str = "Deployed, not merged";

/// A deploy that reached its end.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// The head that prod runs.
    pub head: &'a Sha,
    /// The plan that was applied; `None` when an earlier try did, and this one finished it.
    pub plan: Option<&'a Plan>,
    /// Who approved; empty where nobody has to.
    pub approved_by: &'a [Login],
    /// The commit it was merged as; `None` when no merge method is configured.
    pub merged: Option<&'a Sha>,
}

/// Prod runs it, and the base branch has it.
pub fn deployed(done: Done<'_>) -> Said {
    let mut lines = vec![format!("Prod runs {}.", code(done.head.short()))];
    lines.push(match done.merged {
        Some(sha) => format!("Merged as {}.", code(sha.short())),
        None => "Not merged: no `merge_method` is configured.".to_owned(),
    });
    if !done.approved_by.is_empty() {
        let names: Vec<String> = done.approved_by.iter().map(|who| code(who.as_str())).collect();
        lines.push(format!("Approved by {}.", names.join(", ")));
    }
    let mut summary = lines.join(" ");
    if let Some(plan) = done.plan {
        summary.push_str(&format!("\n\n**Applied plan**\n\n{}", plan_text(plan)));
    }
    Said::concluded(Conclusion::Success, "Deployed to Prod", &summary)
}

/// Prod runs it, and it is about to be merged. For teams whose protection rules require this check:
/// without its conclusion nothing could be merged.
pub fn merging(head: &Sha) -> Said {
    let summary = format!("Prod runs {}. It is being merged.", code(head.short()));
    Said::concluded(Conclusion::Success, MERGING, &summary)
}

/// Prod runs it, and GitHub's merge queue has it.
pub fn in_queue(head: &Sha) -> Said {
    let summary = format!(
        "Prod runs {}. It is in GitHub's merge queue, and prod is kept for it until it is merged.",
        code(head.short()),
    );
    Said::new(CheckStatus::InProgress, "Deployed, in the merge queue", &summary)
}

/// Whether that does not tell how the deploy of a merged pull request ended: it promises more, or
/// speaks of a merge to come.
pub fn is_untold(status: CheckStatus, title: &str) -> bool {
    !matches!(status, CheckStatus::Completed(_)) || [MERGING, NOT_MERGED].contains(&title)
}

/// A user-visible no. The title is the first reason, the conclusion that of the gravest.
pub fn refused(refusals: &[Refusal]) -> Said {
    let gravest = refusals.iter().map(|refusal| conclusion_of(refusal.reason)).max_by_key(gravity);
    let title = match refusals {
        [] => "Not deployed".to_owned(),
        [first, ..] => {
            let first_line = first.sentence.lines().next().unwrap_or_default();
            match first.reason {
                // An earlier try may have deployed it.
                Reason::AlreadyMerged => first_line.to_owned(),
                _ => format!("Not deployed: {first_line}"),
            }
        }
    };
    Said::concluded(gravest.unwrap_or(Conclusion::Skipped), title, &reasons(refusals))
}

fn gravity(conclusion: &Conclusion) -> u8 {
    match conclusion {
        Conclusion::Failure => 2,
        Conclusion::ActionRequired => 1,
        _ => 0,
    }
}

/// All reasons, one item each.
pub(super) fn reasons(refusals: &[Refusal]) -> String {
    match refusals {
        [one] => said_by_us(&one.sentence),
        many => many
            .iter()
            .map(|refusal| format!("- {}", said_by_us(&refusal.sentence).replace('\n', "\n  ")))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// It waits for the environment. `position`: 1 is next; `None` when it is not known.
pub fn waiting(position: Option<u64>, holder: Option<&Owner>) -> Said {
    let title = match position {
        Some(1) => "Waiting for prod: next in line".to_owned(),
        Some(n) => format!("Waiting for prod: number {n} in line"),
        None => "Waiting for prod".to_owned(),
    };
    Said::new(CheckStatus::Queued, title, &held_by(holder))
}

/// Who has the environment, in a sentence.
pub(super) fn held_by(holder: Option<&Owner>) -> String {
    match holder {
        // Not written as a reference: that would add an entry to the other pull request's timeline.
        Some(owner) => {
            let head = owner.head.as_ref().map(|head| format!(" ({})", code(head.short())));
            format!(
                "Pull request {}{} is being deployed. This one starts by itself.",
                owner.pr,
                head.unwrap_or_default(),
            )
        }
        None => "Deploys run one after the other. This one starts by itself.".to_owned(),
    }
}

/// It is being applied.
pub fn applying(progress: &Progress) -> Said {
    let at = how_far(progress);
    Said::new(CheckStatus::InProgress, format!("Applying: {at}"), &sentence(&at))
}

/// "backfill, 3 of 10 (db.orders)".
pub(super) fn how_far(progress: &Progress) -> String {
    let mut text = progress.phase.clone();
    if progress.total > 0 {
        text.push_str(&format!(", {} of {}", progress.done, progress.total));
    }
    if let Some(model) = &progress.model {
        text.push_str(&format!(" ({model})"));
    }
    text
}

/// Prod runs it, the base branch does not have it. `next`: what happens about it.
pub fn applied_not_merged(why: &str, next: &str) -> Said {
    let summary = format!(
        "Prod runs this head, but GitHub did not merge it:\n\n{}\n\n{}",
        said_by_us(why),
        reserved_until(next),
    );
    Said::concluded(Conclusion::Failure, NOT_MERGED, &summary)
}

/// Prod runs it, and it was merged to where the base branch does not get it.
pub fn applied_merged_elsewhere(why: &str, next: &str) -> Said {
    let summary = format!("Prod runs this head. {}\n\n{}", said_by_us(why), reserved_until(next));
    Said::concluded(Conclusion::Failure, "Deployed, merged elsewhere", &summary)
}

fn reserved_until(next: &str) -> String {
    format!("{} The environment stays reserved until then.", sentence(next))
}

/// It was merged, and nobody said how its deploy ended, however often that was asked.
pub fn unseen() -> Said {
    let summary = "It was merged, but nobody said how its deploy ended, and it is not asked again \
                   by itself. The next deploy brings prod to what the base branch has. Look at the \
                   dead letters (`sluice dead list`) and the workers' logs.";
    Said::concluded(Conclusion::Failure, "Nobody saw how it ended", summary)
}

/// Something around us broke; it is tried again.
pub fn trying_again(what: &str, redactor: &Redactor) -> Said {
    let summary = trouble(what, None, redactor);
    Said::new(CheckStatus::InProgress, "Interrupted: it is tried again", &summary)
}

/// It failed for good. `tail`: the last lines of a traceback.
pub fn broken(what: &str, tail: Option<&str>, redactor: &Redactor) -> Said {
    broken_check(CheckKind::Deploy, what, tail, redactor)
}
