//! Who owns what a pull request changes, as far as GitHub tells.
//!
//! Owns the facts. Refuses to say whether the owners approved: that is policy.

use std::collections::BTreeMap;
use std::fmt;

use crate::names::Login;

/// Who owns what a pull request changes, by the CODEOWNERS file of its base branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// It was not asked for.
    NotAsked,
    /// Nobody can tell who has to approve: why, in half a sentence.
    Unknown(String),
    /// This is all of it.
    Known(Owned),
}

/// What is owned by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    /// Where the file is; `None` when the base branch has none.
    pub place: Option<String>,
    /// Its lines that are no rules, by their numbers, from 1: they were skipped.
    pub skipped: Vec<usize>,
    /// The changed files that have owners, those with the same owners together.
    pub groups: Vec<OwnedFiles>,
    /// Who is in the teams among these owners.
    pub teams: BTreeMap<Team, Members>,
}

/// Changed files that have the same owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFiles {
    /// By their paths in the repository.
    pub files: Vec<String>,
    /// One of these has to approve. Never empty.
    pub owners: Vec<Owner>,
}

/// One owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A person.
    User(Login),
    /// Each member of a team.
    Team(Team),
    /// Whoever has this address on GitHub, which GitHub does not tell.
    Email(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(login) => write!(f, "@{login}"),
            Self::Team(team) => write!(f, "@{team}"),
            Self::Email(address) => f.write_str(address),
        }
    }
}

/// A team of an organization, whose names GitHub does not tell apart by their case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Team {
    organization: String,
    slug: String,
}

impl Team {
    /// The team `@organization/slug`.
    pub fn new(organization: &str, slug: &str) -> Self {
        Self { organization: organization.to_lowercase(), slug: slug.to_lowercase() }
    }

    /// The organization, in lower case.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// Its name in addresses, in lower case.
    pub fn slug(&self) -> &str {
        &self.slug
    }
}

impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.slug)
    }
}

/// Who is in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// Not asked for, as nobody has approved whom it could concern.
    NotRead,
    /// They cannot be read: why, in half a sentence.
    Unreadable(String),
    /// These, with those of the teams below it.
    Are(Vec<Login>),
}
