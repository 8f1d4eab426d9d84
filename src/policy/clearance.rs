//! Whether one head of a pull request may go to prod.
//!
//! Owns the proof that it may: [`Cleared`]. Refuses to know whether GitHub can merge it just now
//! (mergeability, which may have to be asked again) and who holds the environment.

use super::Policy;
use super::approval::{self, Approval};
use super::owners;
use super::signal::{self, Signal};
use super::words::quoted;
use crate::github::{Facts, PrState, Role};
use crate::names::{Login, PolicySha, ProjectName, Sha};
use crate::outcome::{Reason, Refusal};
use crate::project::Project;
use crate::seal::{GateOutcome, GateResult};

/// Proof that one head may go to prod, by the policy of one base commit. Only [`decide`] makes it:
///
/// ```compile_fail,E0451
/// # use sluice::names::{Login, PolicySha, Sha};
/// # use sluice::policy::{clearance::Cleared, signal::Signal};
/// fn forge(head: Sha, base: Sha, policy: PolicySha) -> Cleared {
///     let approved_by = vec![Login::new("me")];
///     Cleared { head, base, policy, approved_by, signal: Signal::Automatic }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    head: Sha,
    base: Sha,
    policy: PolicySha,
    approved_by: Vec<Login>,
    signal: Signal,
}

impl Cleared {
    /// The head that may go.
    pub fn head(&self) -> &Sha {
        &self.head
    }

    /// The base branch's commit that the decision was made against.
    pub fn base(&self) -> &Sha {
        &self.base
    }

    /// The policy it was made by.
    pub fn policy(&self) -> &PolicySha {
        &self.policy
    }

    /// The required approvers who approved; empty where none are required.
    pub fn approved_by(&self) -> &[Login] {
        &self.approved_by
    }

    /// What asked for it.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }
}

/// What is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The pull request as it is now.
    pub facts: &'a Facts,
    /// The policy of its base branch.
    pub policy: &'a Policy,
    /// The project.
    pub project: &'a Project,
    /// The head that is to be deployed.
    pub head: &'a Sha,
    /// What a commenter may do in the repository, when there is one and no approvers are named.
    pub role: Option<Role>,
    /// The gate's result as it stands on GitHub.
    pub gate: Option<&'a GateResult>,
    /// Other projects that the pull request concerns as well.
    pub others: &'a [ProjectName],
}

/// Clears the head, or says everything that is in the way, the most final reason first.
pub fn decide(question: &Question<'_>) -> Result<Cleared, Vec<Refusal>> {
    let Question { facts, policy, project, .. } = *question;
    let mut refusals: Vec<Refusal> =
        [state(facts), head(question), fork(facts), base(facts, policy), alone(question)]
            .into_iter()
            .flatten()
            .collect();
    let approval = approval::decide(facts, policy, project);
    let asked = signal::decide(facts, policy, project, question.role);
    refusals.extend(not_approved(&approval));
    let owners = owners::decide(facts, policy, project);
    refusals.extend(owners::not_approved(&owners, &facts.base_branch));
    refusals.extend(unsaid(asked.as_ref().err(), &refusals));
    refusals.extend(gate(question));
    match asked {
        Ok(signal) if refusals.is_empty() => Ok(Cleared {
            head: facts.head.clone(),
            base: facts.base.clone(),
            policy: facts.policy.clone(),
            approved_by: approvers(approval),
            signal,
        }),
        _ => Err(refusals),
    }
}

/// What a missing signal adds: where the approval is missing, it is the missing signal.
fn unsaid(no_signal: Option<&Vec<Refusal>>, said: &[Refusal]) -> Vec<Refusal> {
    let is_said = |reason| said.iter().any(|refusal| refusal.reason == reason);
    let adds = |refusal: &&Refusal| match refusal.reason {
        Reason::NoSignal => !is_said(Reason::NotApproved),
        reason => !is_said(reason),
    };
    no_signal.into_iter().flatten().filter(adds).cloned().collect()
}

fn state(facts: &Facts) -> Option<Refusal> {
    match &facts.state {
        PrState::Open => None,
        PrState::Closed => {
            Some(Refusal::new(Reason::Closed, "It was closed: reopen it to deploy it."))
        }
        PrState::Merged(commit) => Some(Refusal::new(
            Reason::AlreadyMerged,
            format!("It is merged already, as {}: nothing to do.", commit.sha.short()),
        )),
    }
}

fn head(question: &Question<'_>) -> Option<Refusal> {
    let now = &question.facts.head;
    (now != question.head).then(|| {
        Refusal::new(
            Reason::HeadMoved,
            format!(
                "The deploy was asked for {}, but the newest commit is {}: have that one approved.",
                question.head.short(),
                now.short(),
            ),
        )
    })
}

fn fork(facts: &Facts) -> Option<Refusal> {
    facts.fork.then(|| {
        Refusal::new(
            Reason::Fork,
            "It comes from a fork, whose code never runs with production's credentials: push the \
             branch to this repository and open the pull request from there.",
        )
    })
}

fn base(facts: &Facts, policy: &Policy) -> Option<Refusal> {
    (!policy.is_production(&facts.base_branch)).then(|| signal::not_production(facts, policy))
}

/// Whoever deploys merges. What is merged for one project would be on the base branch of the others
/// before their prod runs it, and nothing would hold back what is deployed there meanwhile.
fn alone(question: &Question<'_>) -> Option<Refusal> {
    let names = || std::iter::once(&question.project.name).chain(question.others);
    (!question.others.is_empty()).then(|| {
        let names: Vec<String> = names().map(|name| quoted(name.as_str())).collect();
        Refusal::new(
            Reason::SeveralProjects,
            format!(
                "It changes {} projects ({}), which are deployed one by one: make it a pull \
                 request for each of them.",
                names.len(),
                names.join(", "),
            ),
        )
    })
}

/// The sentence of a missing approval, for a refusal.
pub(crate) fn not_approved(approval: &Approval) -> Option<Refusal> {
    let Approval::Missing { by, needed, could, notes } = approval else { return None };
    let who: Vec<String> = could.iter().map(|login| quoted(login.as_str())).collect();
    let mut sentence = match (by.len(), *needed, who.is_empty()) {
        (_, _, true) => {
            "A required approval is missing, and nobody is left who could give it".into()
        }
        (0, 1, _) if who.len() == 1 => {
            format!("A required approval is missing: {} can give it", who.join(", "))
        }
        (0, 1, _) => {
            format!("A required approval is missing: one of {} can give it", who.join(", "))
        }
        (have, needed, _) => format!(
            "{have} of {needed} required approvals are there: {} can give the rest",
            who.join(", "),
        ),
    };
    if !notes.is_empty() {
        sentence.push_str(&format!(" ({})", notes.join("; ")));
    }
    sentence.push('.');
    Some(Refusal::new(Reason::NotApproved, sentence))
}

fn approvers(approval: Approval) -> Vec<Login> {
    match approval {
        Approval::Given { by } => by,
        Approval::NotRequired | Approval::Missing { .. } => Vec::new(),
    }
}

/// A result counts for the head, the policy and the project it was made for, and no other.
fn gate(question: &Question<'_>) -> Option<Refusal> {
    let facts = question.facts;
    let result = question.gate.filter(|gate| {
        gate.project == question.project.name
            && gate.head == facts.head
            && gate.policy == facts.policy
    });
    match result.map(|gate| gate.outcome) {
        Some(GateOutcome::Passed | GateOutcome::NoChanges) => None,
        Some(GateOutcome::Failed) => Some(Refusal::new(
            Reason::GateFailed,
            format!("The checks of {} failed: see them, fix, push.", facts.head.short()),
        )),
        None => Some(Refusal::new(
            Reason::GateMissing,
            format!(
                "The checks of {} are not done (or were done under another configuration).",
                facts.head.short(),
            ),
        )),
    }
}
