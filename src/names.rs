//! The newtypes that keep a branch from being taken for a commit, and a login for a project.
//!
//! Owns what a valid name looks like. Refuses to know what any of them is used for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that is not of its kind, with what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: expected {expected}")]
pub struct BadName {
    kind: &'static str,
    expected: &'static str,
    value: String,
}

impl BadName {
    /// What a valid one looks like, without the value, which may not be fit to be shown.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name, or why the text is none.
            pub fn new(value: impl Into<String>) -> Result<Self, BadName> {
                let value = value.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&value) {
                    Ok(Self(value))
                } else {
                    let value = value.chars().take(80).collect();
                    Err(BadName { kind: $kind, expected: $expected, value })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(value: String) -> Result<Self, BadName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(value: &str) -> Result<Self, BadName> {
                Self::new(value)
            }
        }
    };
}

fn is_word(text: &str, most: usize, also: &str) -> bool {
    !text.is_empty()
        && text.len() <= most
        && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

name!(
    /// A git object id: 40 hexadecimal digits (SHA-1) or 64 (SHA-256), lower case.
    Sha, "commit id", "40 or 64 lower-case hexadecimal digits",
    |s| matches!(s.len(), 40 | 64) && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

impl Sha {
    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

name!(
    /// A GitHub repository, `owner/name`.
    Repository, "repository", "owner/name",
    |s| s.split_once('/').is_some_and(|(owner, name)| {
        [owner, name].iter().all(|part| is_word(part, 100, "-_.") && !matches!(*part, "." | ".."))
    })
);

impl Repository {
    /// The account the repository belongs to.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The repository without its owner.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

name!(
    /// The name of a SQLMesh project, as configured. It becomes part of queue names and labels.
    ProjectName, "project name", "1 to 64 of a-z, 0-9, - and _",
    |s| is_word(s, 64, "-_") && !s.bytes().any(|b| b.is_ascii_uppercase())
);

name!(
    /// A SQLMesh environment: `prod`, or a pull request's own.
    Environment, "environment", "1 to 200 of a-z, 0-9 and _",
    |s| is_word(s, 200, "_") && !s.bytes().any(|b| b.is_ascii_uppercase())
);

impl Environment {
    /// Production, by SQLMesh's name for it.
    pub fn prod() -> Self {
        Self("prod".to_owned())
    }

    /// A pull request's own environment: `{prefix}_{number}`, each non-word character `_`, lower
    /// case (the reference bot's rule, so that teams find their environments again).
    pub fn of_pr(prefix: &str, number: PrNumber) -> Self {
        let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let prefix: String = prefix.chars().map(word).take(180).collect();
        Self(format!("{prefix}_{number}"))
    }
}

name!(
    /// A job's id. Deploys derive theirs from project, pull request and head, so that two signals
    /// for one head are one job.
    JobId, "job id", "1 to 200 printable ASCII characters without spaces",
    |s| !s.is_empty() && s.len() <= 200 && s.bytes().all(|b| b.is_ascii_graphic())
);

impl JobId {
    /// The id of the one deploy of a head.
    pub fn of_deploy(project: &ProjectName, pr: PrNumber, head: &Sha) -> Self {
        Self::of_parts(&["deploy", project.as_str(), &pr.to_string(), head.as_str()])
    }

    /// The pull request that a job's id names; `None` for what is no id of ours.
    pub(crate) fn pr_of(id: &str) -> Option<PrNumber> {
        let id = id.strip_prefix("spread:").unwrap_or(id);
        id.split(':').nth(2)?.parse().ok().map(PrNumber)
    }

    /// An id made of parts, each of them printable already: the longest real one has some 190
    /// characters.
    pub(crate) fn of_parts(parts: &[&str]) -> Self {
        Self(parts.join(":").chars().take(200).collect())
    }
}

name!(
    /// GitHub's opaque id of a node (check run, comment, pull request …).
    NodeId, "node id", "1 to 200 printable ASCII characters without spaces",
    |s| !s.is_empty() && s.len() <= 200 && s.bytes().all(|b| b.is_ascii_graphic())
);

name!(
    /// The GUID of a webhook delivery (`X-GitHub-Delivery`). A redelivery carries the same one.
    DeliveryId, "delivery id", "1 to 64 of a-z, A-Z, 0-9 and -",
    |s| is_word(s, 64, "-")
);

name!(
    /// What a policy was read from: a digest of the configuration files on the base branch.
    PolicySha, "policy id", "1 to 64 hexadecimal digits",
    |s| is_word(s, 64, "")
);

/// A GitHub account. Compares without regard to case, as GitHub does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Login(String);

impl Login {
    /// Any text is a login: what GitHub says is taken as it is.
    pub fn new(login: impl Into<String>) -> Self {
        Self(login.into())
    }

    /// The login as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Login {}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a pull request within its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrNumber(pub u64);

impl fmt::Display for PrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_refuse_what_is_not_of_their_kind() {
        assert!(Sha::new("a".repeat(40)).is_ok());
        assert!(Sha::new("A".repeat(40)).is_err());
        assert!(Sha::new("--upload-pack=x").is_err());
        assert!(Repository::new("acme/warehouse").is_ok());
        for bad in ["acme", "acme/", "/x", "a/b/c", "acme/..", "acme/.", "../x", "./x", "a b/c"] {
            assert!(Repository::new(bad).is_err(), "{bad}");
        }
        assert!(ProjectName::new("Warehouse").is_err());
    }

    #[test]
    fn environments_are_named_as_the_reference_names_them() {
        let name = Environment::of_pr("Acme-Data.Warehouse", PrNumber(7));
        assert_eq!(name.as_str(), "acme_data_warehouse_7");
    }

    #[test]
    fn logins_compare_as_github_does() {
        assert_eq!(Login::new("Carol"), Login::new("cAROL"));
    }
}
