//! The three ways GitHub merges, on bare repositories: no worktree is ever checked out.

use super::{Git, GitError, Oid, Signature};

/// What merging two commits gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergeTree {
    /// The merged tree.
    Clean(Oid),
    /// They change the same lines.
    Conflict,
}

impl Git {
    /// Merges `head` into `base` as git itself would, without making a commit.
    pub(crate) fn merge_tree(&self, base: &Oid, head: &Oid) -> Result<MergeTree, GitError> {
        self.three_way(&[base.as_str(), head.as_str()])
    }

    /// Whether `descendant` has `ancestor` in its history.
    pub(crate) fn contains(&self, descendant: &Oid, ancestor: &Oid) -> Result<bool, GitError> {
        Ok(self.run_for_oid(&["merge-base", descendant.as_str(), ancestor.as_str()], b"")?
            == *ancestor)
    }

    /// The commits of `head` that `base` lacks, oldest first.
    pub(crate) fn commits_between(&self, base: &Oid, head: &Oid) -> Result<Vec<Oid>, GitError> {
        let range = format!("{base}..{head}");
        let arguments = ["rev-list", "--reverse", "--topo-order", &range];
        let listed = self.once(&format!("commits {range}"), || self.run(&arguments, b""))?;
        Ok(String::from_utf8_lossy(&listed).lines().map(Oid::new).collect())
    }

    /// Replays the commits of `head` that `base` lacks on top of `base`; returns the last one, or
    /// `None` when one of them conflicts.
    pub(crate) fn rebase(
        &self,
        base: &Oid,
        head: &Oid,
        committer: &Signature,
    ) -> Result<Option<Oid>, GitError> {
        let mut tip = base.clone();
        for id in self.commits_between(base, head)? {
            let Some(commit) = self.commit(&id)? else { continue };
            let [parent] = commit.parents.as_slice() else { continue };
            let ancestor = format!("--merge-base={parent}");
            let tree = match self.three_way(&[&ancestor, tip.as_str(), id.as_str()])? {
                MergeTree::Clean(tree) => tree,
                MergeTree::Conflict => return Ok(None),
            };
            let by = Signature { at: committer.at, ..commit.author };
            tip = self.commit_tree(&tree, &[&tip], &by, &commit.message)?;
        }
        Ok(Some(tip))
    }

    fn three_way(&self, commits: &[&str]) -> Result<MergeTree, GitError> {
        let mut arguments = vec!["merge-tree", "--write-tree", "--no-messages", "--name-only"];
        arguments.extend(commits);
        let output = self.finish(self.command(&arguments), b"")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match (output.status.code(), printed.lines().next()) {
            (Some(0), Some(tree)) => Ok(MergeTree::Clean(Oid::new(tree))),
            (Some(1), Some(_)) => Ok(MergeTree::Conflict),
            _ => Err(GitError::Refused {
                command: "merge-tree".to_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }),
        }
    }
}
