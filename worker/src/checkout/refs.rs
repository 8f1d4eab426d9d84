//! Which refs are fetched, and where they are kept in a mirror.
//!
//! Owns the check of branch names, so that none can be an option, a pattern or a path.

use sluice::engine::EngineError;
use sluice::names::{PrNumber, Sha};

/// A branch name that git itself would accept, and that no part of git takes for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch(String);

impl Branch {
    /// `name`, if it is one (the rules of git-check-ref-format, stricter about the first letter).
    pub(super) fn new(name: &str) -> Result<Self, EngineError> {
        let component = |part: &str| {
            !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with(".lock")
        };
        let letter = |c: char| !c.is_control() && !" ~^:?*[\\\u{7f}".contains(c);
        let valid = name.len() <= 255
            && name.chars().all(letter)
            && name.split('/').all(component)
            && !name.ends_with('.')
            && !name.contains("..")
            && !name.contains("@{")
            && name != "@";
        if valid {
            Ok(Self(name.to_owned()))
        } else {
            let shown: String = name.chars().take(80).collect();
            Err(EngineError::Broken {
                what: format!("{shown:?} is not a branch name that sluice fetches"),
                source: None,
            })
        }
    }

    /// Its ref on the server.
    pub(super) fn remote(&self) -> String {
        format!("refs/heads/{}", self.0)
    }

    /// From the server's ref to ours. Ours has no further slash: a branch `a` that was removed must
    /// not be in the way of a branch `a/b`.
    pub(super) fn refspec(&self) -> String {
        let flat = self.0.replace('%', "%25").replace('/', "%2F");
        format!("+{}:refs/heads/{flat}", self.remote())
    }
}

/// A pull request's head on the server.
pub(super) fn pull(pr: PrNumber) -> String {
    format!("refs/pull/{pr}/head")
}

/// From the server's ref of a pull request to ours, which has the same name.
pub(super) fn pull_refspec(pr: PrNumber) -> String {
    format!("+{0}:{0}", pull(pr))
}

/// One commit by its id, kept without a name.
pub(super) fn commit_refspec(commit: &Sha) -> String {
    commit.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn branches_are_kept_side_by_side() {
        let branch = Branch::new("release/2.0%").unwrap();
        assert_eq!(branch.refspec(), "+refs/heads/release/2.0%:refs/heads/release%2F2.0%25");
        assert_eq!(pull_refspec(PrNumber(7)), "+refs/pull/7/head:refs/pull/7/head");
    }

    #[test]
    fn what_is_no_branch_is_refused() {
        for name in [
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "a b",
            "a:b",
            "a..b",
            "*",
            "a/",
            "/a",
            "a//b",
            "x.lock",
            "@{u}",
            "@",
            "a\nb",
            ".git",
            "a/-b",
            "a.",
            "a\\b",
            "a~1",
            "a^",
        ] {
            assert!(Branch::new(name).is_err(), "{name:?}");
        }
        for name in ["main", "feature/x-1", "dependabot/pip/a-1.2", "ümlaut", "a@b", "a+b"] {
            assert!(Branch::new(name).is_ok(), "{name:?}");
        }
    }
}
