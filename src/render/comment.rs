//! The sticky comment: one per pull request and project, rewritten, newest first.
//!
//! Owns its order, its length and what is kept of older plans. What is kept is read from the
//! comment itself: nothing else remembers it. Refuses to know how it is written.

use super::checks::{plan_text, said_by_us};
use super::deploy::{held_by, how_far, reasons};
use super::markdown::{CUT, code, cut, sentence};
use crate::engine::{Plan, Progress};
use crate::lease::Owner;
use crate::names::{Environment, Login, Sha};
use crate::outcome::{Reason, Refusal};
use crate::policy::Policy;
use crate::policy::approval::Approval;
use crate::policy::signal::CommandVerb;
use crate::project::Project;

/// The most that GitHub takes. Counted in bytes, which no other unit exceeds.
pub const MOST: usize = 65_536;

/// How many older plans are kept.
const MOST_EARLIER: usize = 5;

/// Everything the comment shows.
#[derive(Debug, Clone)]
pub struct CommentView<'a> {
    /// The head it speaks about.
    pub head: &'a Sha,
    /// What is going on.
    pub state: State<'a>,
    /// The pull request's environment, once it stands.
    pub environment: Option<&'a Environment>,
    /// The policy, for how to deploy; `None` while it is not read, or nothing is left to deploy.
    pub policy: Option<&'a Policy>,
    /// Who approved and who could.
    pub approval: Option<&'a Approval>,
    /// The plan of this head.
    pub plan: Option<PlanShown<'a>>,
    /// Older plans, newest first: [`earlier`] reads them from the comment as it is.
    pub earlier: Vec<EarlierPlan>,
}

/// What is going on.
#[derive(Debug, Clone, Copy)]
pub enum State<'a> {
    /// The gate runs.
    Checking,
    /// The gate is not green; this is why.
    Held(&'a [Refusal]),
    /// The gate is green; a signal is awaited.
    Ready,
    /// In line for the environment. `position`: 1 is next; `None` when it is not known.
    Waiting {
        /// Its place.
        position: Option<u64>,
        /// Who has the environment.
        holder: Option<&'a Owner>,
    },
    /// Facts, tests and plan are looked at again, with the environment held.
    Preparing,
    /// Being applied.
    Applying(&'a Progress),
    /// Prod runs it.
    Deployed {
        /// The commit it was merged as; `None` where nothing is merged.
        merged: Option<&'a Sha>,
    },
    /// Prod runs it, the base branch does not have it.
    NotMerged {
        /// In GitHub's words.
        why: &'a str,
        /// What happens about it.
        next: &'a str,
    },
    /// Prod runs it, and it was merged to where the base branch does not get it.
    MergedElsewhere {
        /// Where.
        why: &'a str,
        /// What happens about it.
        next: &'a str,
    },
    /// A deploy was asked for and refused.
    Refused(&'a [Refusal]),
    /// It failed; a redacted sentence.
    Failed(&'a str),
    /// Closed without a merge; what was made is removed.
    Closed,
}

/// The plan of the current head.
#[derive(Debug, Clone, Copy)]
pub enum PlanShown<'a> {
    /// What a deploy would do.
    Previewed(&'a Plan),
    /// What is being done.
    Applying(&'a Plan),
    /// What was done.
    Applied(&'a Plan),
}

/// A plan of the comment as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierPlan {
    /// The head it was made for, shortened. One plan per head is kept.
    pub head: String,
    /// Its heading, with the head in it.
    pub title: String,
    /// Its text, rendered already.
    pub body: String,
}

/// The hidden text that tells a project's comment from any other.
pub fn marker(project: &Project) -> String {
    format!("<!-- sluice:comment project={} -->", project.name)
}

const PLAN_START: &str = "<!-- sluice:plan ";
const PLAN_END: &str = "<!-- sluice:plan-end -->";

/// The comment's text, with the marker, never longer than [`MOST`]: the oldest part is cut first,
/// at a line end, and the cut is told.
pub fn render(view: &CommentView<'_>, marker: &str) -> String {
    let head = view.head.short();
    let about = format!("{marker}\n{}\n{}", state_line(view), steps(view));
    let mut text = cut(&about, MOST / 4);
    let mut told: Vec<&str> = Vec::new();
    if let Some(plan) = view.plan {
        let (title, plan) = titled(plan, head);
        let body = cut(&plan_text(plan), MOST / 2);
        let shown = EarlierPlan { head: head.to_owned(), title, body };
        text.push_str(&section(&shown, Fold::Open, MOST / 2));
        told.push(head);
    }
    for plan in view.earlier.iter().take(MOST_EARLIER) {
        if told.contains(&plan.head.as_str()) {
            continue;
        }
        told.push(&plan.head);
        let fold = if plan.head == head { Fold::Open } else { Fold::Closed };
        let section = section(plan, fold, MOST - text.len() - CUT.len() - 2);
        if section.is_empty() {
            text.push_str(&format!("\n{CUT}\n"));
            break;
        }
        text.push_str(&section);
    }
    text
}

/// The plans that a comment shows, newest first, to be shown as older ones in the next.
pub fn earlier(body: &str) -> Vec<EarlierPlan> {
    let mut plans = Vec::new();
    let mut open: Option<EarlierPlan> = None;
    for line in body.lines() {
        let start = line.strip_prefix(PLAN_START).and_then(|rest| rest.strip_suffix(" -->"));
        match (start.and_then(|start| start.split_once(' ')), &mut open) {
            (Some((head, title)), _) => {
                let (head, title) = (head.to_owned(), title.to_owned());
                open = Some(EarlierPlan { head, title, body: String::new() });
            }
            (None, Some(_)) if line == PLAN_END => plans.extend(open.take()),
            (None, Some(plan)) => {
                plan.body.push_str(line);
                plan.body.push('\n');
            }
            (None, None) => {}
        }
    }
    plans.truncate(MOST_EARLIER);
    for plan in &mut plans {
        plan.body = plan.body.trim().to_owned();
    }
    plans
}

/// Whether a section shows its text at once.
#[derive(Clone, Copy)]
enum Fold {
    Open,
    Closed,
}

/// A collapsible part of at most `room` bytes; empty when not even its frame fits.
fn section(plan: &EarlierPlan, fold: Fold, room: usize) -> String {
    let EarlierPlan { head, title, body } = plan;
    let details = match fold {
        Fold::Open => "<details open>",
        Fold::Closed => "<details>",
    };
    let before =
        format!("\n{details}\n<summary>{title}</summary>\n\n{PLAN_START}{head} {title} -->\n\n");
    let after = format!("\n\n{PLAN_END}\n</details>\n");
    let frame = before.len() + after.len();
    if room < frame + 2 * CUT.len() {
        return String::new();
    }
    format!("{before}{}{after}", cut(body, room - frame))
}

fn titled<'a>(plan: PlanShown<'a>, head: &str) -> (String, &'a Plan) {
    match plan {
        PlanShown::Previewed(plan) => (format!("Prod plan preview of {head}"), plan),
        PlanShown::Applying(plan) => (format!("Prod plan of {head}, being applied"), plan),
        PlanShown::Applied(plan) => (format!("Prod plan of {head}, applied"), plan),
    }
}

fn state_line(view: &CommentView<'_>) -> String {
    let head = code(view.head.short());
    match view.state {
        State::Checking => format!("**Checking** {head}."),
        State::Held(why) => format!("**Held** at {head}:\n\n{}", reasons(why)),
        State::Ready => format!("**Ready**: the checks of {head} are green."),
        State::Waiting { position, holder } => {
            let place = match position {
                Some(1) => ", next in line".to_owned(),
                Some(n) => format!(", number {n} in line"),
                None => String::new(),
            };
            format!("**Waiting for prod**{place}, with {head}. {}", held_by(holder))
        }
        State::Preparing => format!("**Next**: {head} has prod; its plan is being made."),
        State::Applying(progress) => {
            format!("**Applying** {head} to prod: {}.", sentence(&how_far(progress)))
        }
        State::Deployed { merged: Some(sha) } => {
            format!("**Deployed**: prod runs {head}, merged as {}.", code(sha.short()))
        }
        State::Deployed { merged: None } => format!("**Deployed**: prod runs {head}. Not merged."),
        State::NotMerged { why, next } => format!(
            "**Deployed, not merged**: prod runs {head}, the base branch does not have it yet. {} \
             Prod stays reserved until then.\n\n{}",
            sentence(next),
            said_by_us(why),
        ),
        State::MergedElsewhere { why, next } => format!(
            "**Deployed, merged elsewhere**: prod runs {head}. {} {} Prod stays reserved until \
             then.",
            said_by_us(why),
            sentence(next),
        ),
        // An earlier try may have deployed it.
        State::Refused(why) if why.iter().any(|why| why.reason == Reason::AlreadyMerged) => {
            format!("**Merged** ({head}):\n\n{}", reasons(why))
        }
        State::Refused(why) => format!("**Not deployed** ({head}):\n\n{}", reasons(why)),
        State::Failed(what) => format!("**Failed** at {head}:\n\n{}", said_by_us(what)),
        State::Closed => "**Closed** without a merge. Its environment is removed.".to_owned(),
    }
}

/// What a reader can do: look at the data, deploy.
fn steps(view: &CommentView<'_>) -> String {
    let mut lines = Vec::new();
    if let Some(environment) = view.environment {
        let schema = format!("schema__{environment}.model");
        lines.push(format!(
            "- **Review**: query the environment {} (its views are {}).",
            code(environment.as_str()),
            code(&schema),
        ));
    }
    if let (Some(policy), State::Held(_) | State::Ready | State::Checking | State::Refused(_)) =
        (view.policy, view.state)
    {
        lines.extend(deploy_step(policy, view.approval));
    }
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

fn deploy_step(policy: &Policy, approval: Option<&Approval>) -> Option<String> {
    let command = policy
        .bot
        .enable_deploy_command
        .then(|| format!("comment {}", code(&CommandVerb::Deploy.written(policy))));
    let how = match approval {
        Some(Approval::Missing { could, .. }) if !could.is_empty() => {
            let or_comment = command.map_or(String::new(), |command| format!(", or {command}"));
            format!("{} can approve{or_comment}.", one_of(could))
        }
        Some(Approval::Missing { .. }) => "nobody is left who could approve.".to_owned(),
        Some(Approval::Given { by }) => {
            format!("approved by {}; it starts by itself once the checks are green.", all_of(by))
        }
        Some(Approval::NotRequired) | None => {
            format!("{} (maintain or admin on the repository is needed).", command?)
        }
    };
    Some(format!("- **Deploy**: {how}"))
}

fn one_of(logins: &[Login]) -> String {
    match logins {
        [one] => code(one.as_str()),
        many => format!("one of {}", all_of(many)),
    }
}

fn all_of(logins: &[Login]) -> String {
    logins.iter().take(20).map(|who| code(who.as_str())).collect::<Vec<_>>().join(", ")
}
