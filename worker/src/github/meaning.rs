//! What GitHub's answers mean in sluice's words.
//!
//! Owns pure translation. Refuses to ask anything.

use sha2::{Digest, Sha256};
use sluice::clock::unix_ms;
use sluice::github::{Group, MergeQueue, MergedCommit, PrState, Review};
use sluice::names::{PolicySha, Sha};

use super::limits::Failure;
use super::open::moment;
use super::shape::{self, BaseCommit, Object, Standing};
use sluice::policy::files::{CODE, DATA};

/// The project's folder as git names it; empty for the repository itself.
pub(super) fn folder(path: &str) -> &str {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path == "." { "" } else { path }
}

pub(super) fn reviews(reviews: shape::Nodes<shape::Review>) -> Vec<Review> {
    let review = |review: shape::Review| Review {
        author: review.author.map(|author| author.login),
        state: review.state,
        commit: review.commit.map(|commit| commit.oid),
        submitted_ms: review.submitted_at.as_deref().map_or(0, submitted_ms),
        may_push: review.author_can_push_to_repository,
    };
    reviews.into_vec().into_iter().map(review).collect()
}

/// A time that does not parse is long ago: what depends on it then does not count.
fn submitted_ms(time: &str) -> u64 {
    humantime::parse_rfc3339(time).map_or(0, unix_ms)
}

pub(super) fn state(standing: &Standing, path: &str) -> Result<PrState, Failure> {
    match (standing.state.as_str(), &standing.merge_commit) {
        ("OPEN", _) => Ok(PrState::Open),
        ("CLOSED", _) => Ok(PrState::Closed),
        ("MERGED", Some(commit)) => Ok(PrState::Merged(MergedCommit {
            sha: commit.oid.clone(),
            tree: commit.tree.oid.clone(),
            project_tree: project_tree(path, &commit.tree, commit.folder.as_ref()),
            into: standing.merged_into.clone(),
            at_ms: moment(&standing.merged_at),
        })),
        ("MERGED", None) => Err(Failure::ambiguous("merged, and the commit is not there yet")),
        (other, _) => Err(Failure::invalid(format!("a pull request that is {other}"))),
    }
}

/// Where a pull request stands in the merge queue. What may not be read is as if it were not there.
pub(super) fn queue(pr: &shape::PullRequest) -> MergeQueue {
    let group = |entry: &shape::QueueEntry| {
        let (head, onto) = entry.head_commit.as_ref().zip(entry.base_commit.as_ref())?;
        Some(Group { head: head.oid.clone(), onto: onto.oid.clone() })
    };
    match (&pr.merge_queue, &pr.merge_queue_entry) {
        (_, Some(entry)) => MergeQueue::In { group: group(entry) },
        (Some(_), None) => MergeQueue::Out,
        (None, None) => MergeQueue::None,
    }
}

/// The tree of the project's folder, of a commit's tree and of the folder asked for in it.
pub(super) fn project_tree(path: &str, tree: &Object, asked: Option<&Object>) -> Option<Sha> {
    let tree = if folder(path).is_empty() { Some(tree) } else { asked };
    tree.map(|tree| tree.oid.clone())
}

/// The name that a configuration file has in a GraphQL document.
pub(super) fn alias(file: &str) -> String {
    file.replace('.', "_")
}

/// A digest of what the configuration at the base is made of: its files, as long as all of them are
/// plain data. Python may import what it likes and a link may lead anywhere, so that with one of
/// them the whole repository counts; so it does where no file is known. Without a base branch it is
/// the commit that the pull request remembers.
pub(super) fn policy(base: Option<&BaseCommit>, remembered: &Sha) -> Result<PolicySha, Failure> {
    let parts = match base {
        None => vec![format!("commit {remembered}")],
        Some(base) => data_files(base).unwrap_or_else(|| match &base.tree {
            Some(tree) => vec![format!("tree {}", tree.oid)],
            None => vec![format!("commit {}", base.oid)],
        }),
    };
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(format!("{part}\n"));
    }
    PolicySha::new(hex::encode(digest.finalize()))
        .map_err(|source| Failure::invalid(source.to_string()))
}

/// The configuration files, when there are some and all of them are data.
fn data_files(base: &BaseCommit) -> Option<Vec<String>> {
    let file = |name: &str| base.files.get(&alias(name))?.as_ref();
    if CODE.into_iter().any(|name| file(name).is_some()) {
        return None;
    }
    let found: Vec<_> = DATA.into_iter().filter_map(|name| Some((name, file(name)?))).collect();
    let is_data = !found.is_empty() && found.iter().all(|(_, file)| file.is_plain());
    is_data.then(|| found.iter().map(|(name, file)| format!("{name} {}", file.oid)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::github::shape::File;
    use sluice::policy::files as configuration;

    fn object(digit: char) -> Object {
        Object { oid: Sha::new(digit.to_string().repeat(40)).unwrap() }
    }

    /// A base whose tree is `tree`, with these files.
    fn base(tree: char, files: &[(&str, char, u32)]) -> BaseCommit {
        let file = |&(name, oid, mode): &(&str, char, u32)| {
            (alias(name), Some(File { oid: object(oid).oid, mode, size: None }))
        };
        BaseCommit {
            oid: object(tree).oid,
            tree: Some(object(tree)),
            folder: Some(object('1')),
            files: files.iter().map(file).collect(),
        }
    }

    fn of(base: &BaseCommit) -> PolicySha {
        policy(Some(base), &object('0').oid).unwrap()
    }

    #[test]
    fn the_policy_changes_with_each_of_its_files_and_with_nothing_else() {
        for name in DATA {
            let file = |tree, oid| of(&base(tree, &[(name, oid, 0o100_644)]));
            assert_eq!(file('a', '2'), file('b', '2'), "{name} did not change");
            assert_ne!(file('a', '2'), file('a', '3'), "{name}");
        }
        let all: Vec<_> = DATA.map(|name| of(&base('a', &[(name, '2', 0o100_644)]))).into();
        assert!((1..all.len()).all(|n| !all[..n].contains(&all[n])), "a name does not count");
    }

    #[test]
    fn what_may_lead_elsewhere_is_as_new_as_the_whole_repository() {
        let plain = ("config.yaml", '2', 0o100_644);
        for odd in [
            [plain, ("config.py", '4', 0o100_644)],
            [plain, ("dbt_project.yml", '4', 0o100_644)],
            [plain, (".env", '4', 0o120_000)],
        ] {
            assert_ne!(of(&base('a', &odd)), of(&base('b', &odd)), "{odd:?}");
        }
    }

    #[test]
    fn without_a_configuration_nothing_is_known_for_longer_than_a_commit() {
        assert_ne!(of(&base('a', &[])), of(&base('b', &[])));
        let gone = |commit| policy(None, &object(commit).oid).unwrap();
        assert_ne!(gone('a'), gone('b'));
    }

    #[test]
    fn every_configuration_file_is_asked_for() {
        for name in configuration::all() {
            let asked = format!("{0}: file(path: ${0})", alias(name));
            assert!(crate::github::documents::FACTS.contains(&asked), "{name}");
        }
    }

    #[test]
    fn a_folder_is_named_in_one_way() {
        for root in ["", ".", "./", "/"] {
            assert_eq!(folder(root), "");
        }
        for nested in ["a/.b", "./a/.b", "a/.b/"] {
            assert_eq!(folder(nested), "a/.b");
        }
        assert_eq!(folder(".hidden"), ".hidden");
    }
}
