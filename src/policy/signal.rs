//! What asks for a deploy.
//!
//! Owns which comment is a command and whose command counts (BEHAVIOUR "Deploy signal"). Refuses to
//! know whether the pull request may be deployed: that is clearance.

use super::Policy;
use super::approval::{self, Approval};
use super::words::{code, quoted};
use crate::github::{CommandFacts, Facts, Role};
use crate::names::{Login, Sha};
use crate::outcome::{Reason, Refusal};
use crate::project::Project;

/// What asked for a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The required approval itself.
    Automatic,
    /// A person, by a comment.
    Command {
        /// Who.
        by: Login,
    },
}

/// What a comment can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandVerb {
    /// Take this head to prod.
    Deploy,
    /// Run the gate, of a fork too.
    Gate,
}

impl CommandVerb {
    /// The verb as it is written, without a namespace.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "/deploy",
            Self::Gate => "/gate",
        }
    }

    /// What a person has to write, namespace included.
    pub fn written(self, policy: &Policy) -> String {
        format!("{}{}", namespace(policy), self.word())
    }
}

fn namespace(policy: &Policy) -> &str {
    policy.bot.command_namespace.as_deref().map_or("", str::trim)
}

/// The command that a comment is, when its whole text is one and nothing else. `/gate` may name a
/// commit.
pub fn parse_command(body: &str, policy: &Policy) -> Option<CommandVerb> {
    let verb = body.trim().strip_prefix(namespace(policy))?;
    let is_gate_of = verb.strip_prefix("/gate ").is_some_and(|name| Sha::new(name).is_ok());
    let is_it = |known: &CommandVerb| known.word() == verb;
    let plain = [CommandVerb::Deploy, CommandVerb::Gate].into_iter().find(is_it);
    plain.or_else(|| is_gate_of.then_some(CommandVerb::Gate))
}

/// The commit that a `/gate` names, all of it: a shorter name can be made to fit another one.
fn named_commit(command: &str) -> Option<Sha> {
    let (_, name) = command.trim().rsplit_once("/gate ")?;
    Sha::new(name).ok()
}

/// What has to be commented to have the code of a fork's head run.
pub fn gate_of(head: &Sha, policy: &Policy) -> String {
    format!("{} {head}", CommandVerb::Gate.written(policy))
}

/// Whether something asks for a deploy of the current head.
///
/// When the facts hold a command, that command is judged, alone: its author is owed an answer.
/// `role` is what the commenter may do in the repository; it matters only where the policy names no
/// approvers, and an unknown role (`None`) may nothing.
pub fn decide(
    facts: &Facts,
    policy: &Policy,
    project: &Project,
    role: Option<Role>,
) -> Result<Signal, Vec<Refusal>> {
    if facts.command.is_some() {
        return commander(facts, policy, role).map(|by| Signal::Command { by });
    }
    match approval::decide(facts, policy, project) {
        Approval::Given { .. } if policy.is_production(&facts.base_branch) => Ok(Signal::Automatic),
        Approval::Given { .. } => Err(vec![not_production(facts, policy)]),
        _ => Err(vec![Refusal::new(Reason::NoSignal, awaited(policy))]),
    }
}

/// That the base branch is none of production's.
pub(super) fn not_production(facts: &Facts, policy: &Policy) -> Refusal {
    let names: Vec<String> = policy.bot.prod_branch_names.iter().map(|name| code(name)).collect();
    Refusal::new(
        Reason::NotProduction,
        format!(
            "This pull request goes into {}, which is no production branch ({}): retarget it to \
             deploy it.",
            code(&facts.base_branch),
            super::words::listed(&names),
        ),
    )
}

fn awaited(policy: &Policy) -> String {
    let command = code(&CommandVerb::Deploy.written(policy));
    match (policy.approvers.is_empty(), policy.bot.enable_deploy_command) {
        (true, true) => format!(
            "Nothing asks for a deploy yet: somebody with the role maintain or admin has to \
             comment {command}.",
        ),
        (false, true) => format!(
            "Nothing asks for a deploy yet: a required approver has to approve, or comment \
             {command}.",
        ),
        (false, false) => {
            "Nothing asks for a deploy yet: a required approver has to approve.".into()
        }
        (true, false) => "This project never deploys from a pull request: its configuration has \
                          neither required approvers nor the deploy command."
            .into(),
    }
}

/// Whose valid `/deploy` the facts hold, or everything that is wrong with it.
pub fn commander(
    facts: &Facts,
    policy: &Policy,
    role: Option<Role>,
) -> Result<Login, Vec<Refusal>> {
    let Some(command) = &facts.command else {
        let sentence = "The command is gone: comment it again to deploy.";
        return Err(vec![Refusal::new(Reason::CommandStale, sentence)]);
    };
    let mut refusals = Vec::new();
    if !policy.bot.enable_deploy_command {
        refusals.push(Refusal::new(
            Reason::CommandDisabled,
            "The deploy command is off: `enable_deploy_command` of the `cicd_bot` configuration on \
             the base branch turns it on.",
        ));
    }
    refusals.extend(stale(command, policy).map(|why| Refusal::new(Reason::CommandStale, why)));
    let may = may(command, policy, role, DEPLOY);
    refusals.extend(may.as_ref().err().cloned());
    match may {
        Ok(by) if refusals.is_empty() => Ok(by),
        _ => Err(refusals),
    }
}

/// Why a command does not speak about the current head.
fn stale(command: &CommandFacts, policy: &Policy) -> Option<String> {
    let written = code(&CommandVerb::Deploy.written(policy));
    if command.edited || parse_command(&command.body, policy) != Some(CommandVerb::Deploy) {
        return Some(format!(
            "The comment was edited after it was written: comment {written} again to deploy.",
        ));
    }
    match command.head_pushed_ms {
        // GitHub counts in seconds: within one, nobody knows which came first.
        Some(pushed) if pushed >= command.created_ms => Some(format!(
            "Commits were pushed after the command: look at them, then comment {written} again.",
        )),
        Some(_) => None,
        None => Some(format!(
            "GitHub has no record of when the newest commit was pushed, so the command may be \
             older than it: comment {written} again.",
        )),
    }
}

/// Who asks, by a valid `/gate`, to have the code of a fork's head run; or all that is wrong with
/// it. Who may deploy may do that. The command names the head: nobody records when a fork is pushed
/// to, and what is pushed may be an older commit again.
pub fn gatekeeper(
    facts: &Facts,
    policy: &Policy,
    role: Option<Role>,
) -> Result<Login, Vec<Refusal>> {
    let Some(command) = &facts.command else {
        let sentence = "The command is gone: comment it again to have the checks run.";
        return Err(vec![Refusal::new(Reason::CommandStale, sentence)]);
    };
    let written = code(&gate_of(&facts.head, policy));
    let is_edited =
        command.edited || parse_command(&command.body, policy) != Some(CommandVerb::Gate);
    let stale = if is_edited {
        Some(format!("The comment was edited after it was written: comment {written} again."))
    } else if named_commit(&command.body).as_ref() != Some(&facts.head) {
        Some(format!(
            "The command has to name the newest commit: look at it, then comment {written}.",
        ))
    } else {
        None
    };
    let stale = stale.map(|why| Refusal::new(Reason::CommandStale, why));
    match (stale, may(command, policy, role, GATE)) {
        (None, Ok(by)) => Ok(by),
        (stale, may) => Err(stale.into_iter().chain(may.err()).collect()),
    }
}

/// What somebody may or may not do, for people, and the reason of a no.
type Right = (&'static str, Reason);

const DEPLOY: Right = ("deploy this project", Reason::MayNotDeploy);
const GATE: Right = ("have the code of a fork run", Reason::MayNotGate);

fn may(
    command: &CommandFacts,
    policy: &Policy,
    role: Option<Role>,
    (what, reason): Right,
) -> Result<Login, Refusal> {
    let refused = |sentence| Err(Refusal::new(reason, sentence));
    let Some(author) = &command.author else {
        return refused("The account that wrote the command is deleted.".to_owned());
    };
    let who = quoted(author.as_str());
    if policy.approvers.contains(author) {
        return Ok(author.clone());
    }
    if !policy.approvers.is_empty() {
        let names: Vec<String> =
            policy.approvers.iter().map(|name| quoted(name.as_str())).collect();
        return refused(format!(
            "{who} may not {what}: ask a required approver ({}).",
            super::words::listed(&names),
        ));
    }
    match role {
        Some(role) if role >= Role::Maintain => Ok(author.clone()),
        _ => refused(format!(
            "{who} may not {what}: the project names no required approvers, so the role maintain \
             or admin on the repository is needed.",
        )),
    }
}
