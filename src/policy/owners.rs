//! Whether the owners of what is changed approved it.
//!
//! Owns what CODEOWNERS of the base branch asks for, where the project minds (BEHAVIOUR
//! "Approval", `code_owners`). Whose review counts is as for required approvers. Refuses to read
//! the file, and to know what is deployed for it.

use super::Policy;
use super::voice::{By, Voice, Voices};
use super::words::{code, listed, quoted};
use crate::github::{Facts, Members, Owned, OwnedFiles, Owner, Ownership, Team};
use crate::names::Login;
use crate::outcome::{Reason, Refusal};
use crate::project::{OwnersApproval, Project};

/// The most groups of files, files of a group, and owners of it that one sentence names.
const MOST_GROUPS: usize = 3;
const MOST_FILES: usize = 3;
const MOST_OWNERS: usize = 10;

/// What the owners of the changed files said of the current head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owners {
    /// The project does not ask for them.
    NotAsked,
    /// Nobody can tell whom to ask: why, in half a sentence.
    Unknown(String),
    /// An owner of each file that has owners approved.
    Given {
        /// Who, in the order in which they did; empty where no changed file has an owner.
        by: Vec<Login>,
    },
    /// Files lack it. Never empty.
    Missing(Vec<Unapproved>),
}

/// Files that no owner of theirs approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapproved {
    /// By their paths, in the order in which GitHub lists them.
    pub files: Vec<String>,
    /// One of these has to approve.
    pub owners: Vec<Owner>,
    /// For people: what was found, and why it does not count.
    pub notes: Vec<String>,
    /// Whether nobody is left who could approve.
    pub hopeless: bool,
}

impl Owners {
    /// Whether they hold the pull request back.
    pub fn are_missing(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Missing(_))
    }
}

/// Judges the reviews of `facts` by CODEOWNERS of the base branch.
///
/// One owner of each changed file that has owners must have approved: a person who is named, or a
/// member of a team. An approval counts as one of a required approver does, and only of somebody
/// who may push: nobody else is an owner for GitHub.
pub fn decide(facts: &Facts, policy: &Policy, project: &Project) -> Owners {
    if project.code_owners == OwnersApproval::NotAsked {
        return Owners::NotAsked;
    }
    let owned = match &facts.ownership {
        Ownership::Known(owned) => owned,
        Ownership::Unknown(why) => return Owners::Unknown(why.clone()),
        Ownership::NotAsked => return Owners::Unknown("CODEOWNERS was not read".to_owned()),
    };
    let voices = Voices::of(facts, policy, project);
    let approving: Vec<&Login> =
        voices.speakers().into_iter().filter(|who| counts(voices.voice(who))).collect();
    let is_approved = |group: &&OwnedFiles| approving.iter().any(|who| owns(who, group, owned));
    let missing: Vec<Unapproved> = owned
        .groups
        .iter()
        .filter(|group| !is_approved(group))
        .map(|group| unapproved(group, owned, &voices, facts.author.as_ref()))
        .collect();
    if !missing.is_empty() {
        return Owners::Missing(missing);
    }
    let has_part = |who: &&&Login| owned.groups.iter().any(|group| owns(who, group, owned));
    Owners::Given { by: approving.iter().filter(has_part).map(|who| (*who).clone()).collect() }
}

fn counts(voice: Voice<'_>) -> bool {
    match voice {
        Voice::Approves(By::Review(review)) => review.may_push,
        Voice::Approves(By::Command) => true,
        _ => false,
    }
}

/// Whether somebody is an owner of these files.
fn owns(who: &Login, group: &OwnedFiles, owned: &Owned) -> bool {
    group.owners.iter().any(|owner| match owner {
        Owner::User(login) => login == who,
        Owner::Team(team) => members(team, owned).is_some_and(|all| all.contains(who)),
        Owner::Email(_) => false,
    })
}

/// Who is in a team, if that is known.
fn members<'a>(team: &Team, owned: &'a Owned) -> Option<&'a [Login]> {
    match owned.teams.get(team)? {
        Members::Are(members) => Some(members),
        Members::NotRead | Members::Unreadable(_) => None,
    }
}

fn unapproved(
    group: &OwnedFiles,
    owned: &Owned,
    voices: &Voices<'_>,
    author: Option<&Login>,
) -> Unapproved {
    let mut notes = Vec::new();
    let others = |login: &Login| Some(login) != author;
    let mut hopeless = true;
    for owner in &group.owners {
        match owner {
            Owner::User(login) => hopeless &= !others(login),
            Owner::Email(_) => {}
            Owner::Team(team) => match owned.teams.get(team) {
                Some(Members::Are(members)) => hopeless &= !members.iter().any(others),
                Some(Members::Unreadable(why)) => {
                    notes.push(format!("the members of {} cannot be read: {why}", named(owner)));
                }
                Some(Members::NotRead) | None => hopeless = false,
            },
        }
    }
    if group.owners.iter().any(|owner| matches!(owner, Owner::Email(_))) {
        notes.push("an e-mail address in CODEOWNERS cannot be matched with an account".to_owned());
    }
    for who in author.into_iter().chain(voices.speakers()) {
        if notes.len() < MOST_OWNERS && owns(who, group, owned) {
            notes.extend(note(voices, who).filter(|note| !notes.contains(note)));
        }
    }
    let OwnedFiles { files, owners } = group.clone();
    Unapproved { files, owners, notes, hopeless }
}

fn note(voices: &Voices<'_>, who: &Login) -> Option<String> {
    match voices.voice(who) {
        Voice::Approves(By::Review(review)) if !review.may_push => {
            Some(format!("{} approved, and may not push to the repository", quoted(who.as_str())))
        }
        _ => voices.note(who),
    }
}

impl Unapproved {
    /// The files, as they may stand in a sentence.
    pub fn what(&self) -> String {
        shortened(self.files.iter().map(|file| code(file)), MOST_FILES)
    }

    /// The owners, as they may stand in a sentence; as code, so that nobody is called.
    pub fn whom(&self) -> String {
        shortened(self.owners.iter().map(named), MOST_OWNERS)
    }
}

fn named(owner: &Owner) -> String {
    code(&owner.to_string())
}

fn shortened(names: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let mut shown: Vec<String> = names.take(most).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    listed(&shown)
}

/// The sentence of missing owners, for a refusal.
pub(crate) fn not_approved(owners: &Owners, base_branch: &str) -> Option<Refusal> {
    let sentence = match owners {
        Owners::NotAsked | Owners::Given { .. } => return None,
        Owners::Unknown(why) => format!(
            "An approval of the code owners is required, and it cannot be told who they are: {why}."
        ),
        Owners::Missing(missing) => {
            let mut parts: Vec<String> = missing.iter().take(MOST_GROUPS).map(clause).collect();
            if missing.len() > MOST_GROUPS {
                parts.push(format!("{} more groups of files", missing.len() - MOST_GROUPS));
            }
            let mut sentence =
                format!("An approval of code owners is missing: {}.", parts.join("; "));
            if missing.iter().any(|group| group.hopeless) {
                let branch = code(base_branch);
                sentence.push_str(&format!(" CODEOWNERS on {branch} has to name somebody else."));
            }
            sentence
        }
    };
    Some(Refusal::new(Reason::OwnersMissing, sentence))
}

fn clause(group: &Unapproved) -> String {
    let who = match (group.hopeless, group.owners.len()) {
        (true, _) => format!("nobody is left who could approve (owners: {})", group.whom()),
        (false, 1) => format!("{} has to approve", group.whom()),
        (false, _) => format!("one of {} has to approve", group.whom()),
    };
    let mut clause = format!("of {}, {who}", group.what());
    if !group.notes.is_empty() {
        clause.push_str(&format!(" ({})", group.notes.join("; ")));
    }
    clause
}
