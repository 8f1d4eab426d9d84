//! What GitHub's answers mean in sluice's words.
//!
//! Owns pure translation. Refuses to ask anything.

use sha2::{Digest, Sha256};
use sluice::clock::unix_ms;
use sluice::github::{Comment, MergedCommit, PrState, Review};
use sluice::names::{PolicySha, Sha};

use super::limits::Failure;
use super::shape::{self, BaseCommit, Comments, Object, Standing};

/// The project's folder as git names it; empty for the repository itself.
pub(super) fn folder(path: &str) -> &str {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path == "." { "" } else { path }
}

/// Ours is what GitHub says we wrote: anybody may quote the marker.
pub(super) fn sticky(comments: Comments, marker: &str) -> Option<Comment> {
    let all = comments.oldest.into_vec().into_iter().chain(comments.newest.into_vec());
    let mut ours = all.filter(|c| c.viewer_did_author && c.body.contains(marker));
    ours.next().map(|comment| Comment { id: comment.id, body: comment.body })
}

pub(super) fn reviews(reviews: shape::Nodes<shape::Review>) -> Vec<Review> {
    let review = |review: shape::Review| Review {
        author: review.author.map(|author| author.login),
        state: review.state,
        commit: review.commit.map(|commit| commit.oid),
        submitted_ms: review.submitted_at.as_deref().map_or(0, submitted_ms),
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
        })),
        ("MERGED", None) => Err(Failure::ambiguous("merged, and the commit is not there yet")),
        (other, _) => Err(Failure::invalid(format!("a pull request that is {other}"))),
    }
}

/// The tree of the project's folder, of a commit's tree and of the folder asked for in it.
pub(super) fn project_tree(path: &str, tree: &Object, asked: Option<&Object>) -> Option<Sha> {
    let tree = if folder(path).is_empty() { Some(tree) } else { asked };
    tree.map(|tree| tree.oid.clone())
}

/// A digest of the configuration files. Python may import its neighbours, so that with a
/// `config.py` the whole folder counts. Without a base branch there is no configuration.
pub(super) fn policy(
    base: Option<&BaseCommit>,
    project_tree: Option<&Sha>,
) -> Result<PolicySha, Failure> {
    let oid = |file: &Option<Object>| file.as_ref().map(|file| file.oid.clone());
    let parts = match base {
        Some(base) if base.python.is_some() => vec![("tree", project_tree.cloned())],
        Some(base) => vec![("config.yaml", oid(&base.yaml)), ("config.yml", oid(&base.yml))],
        None => vec![],
    };
    let mut digest = Sha256::new();
    for (name, oid) in parts {
        if let Some(oid) = oid {
            digest.update(format!("{name} {oid}\n"));
        }
    }
    PolicySha::new(hex::encode(digest.finalize()))
        .map_err(|source| Failure::invalid(source.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object(digit: char) -> Object {
        Object { oid: Sha::new(digit.to_string().repeat(40)).unwrap() }
    }

    fn base() -> BaseCommit {
        BaseCommit {
            oid: object('b').oid,
            tree: Some(object('0')),
            folder: Some(object('1')),
            yaml: Some(object('2')),
            yml: None,
            python: None,
        }
    }

    #[test]
    fn the_policy_changes_exactly_with_its_files() {
        let of = |base: &BaseCommit, tree| policy(Some(base), Some(&object(tree).oid)).unwrap();
        let yaml = base();
        assert_eq!(of(&yaml, '1'), of(&yaml, '9'), "a model changed, the configuration did not");
        let changed = BaseCommit { yaml: Some(object('3')), ..base() };
        assert_ne!(of(&yaml, '1'), of(&changed, '1'));
        let renamed = BaseCommit { yaml: None, yml: Some(object('2')), ..base() };
        assert_ne!(of(&yaml, '1'), of(&renamed, '1'));
        let python = BaseCommit { python: Some(object('4')), ..base() };
        assert_ne!(of(&python, '1'), of(&python, '9'), "Python may import what changed");
        assert_ne!(of(&python, '1'), of(&yaml, '1'));
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
