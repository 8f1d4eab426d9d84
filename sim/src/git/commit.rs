//! Reading and writing commits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Git, GitError, ObjectKind, Oid, Signature};

/// What a commit says of itself. Immutable, hence cached.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) oid: Oid,
    pub(crate) tree: Oid,
    pub(crate) parents: Vec<Oid>,
    pub(crate) author: Signature,
    pub(crate) message: String,
}

/// A commit to write on top of `parent`: the parent's files with some replaced or removed.
#[derive(Debug)]
pub(crate) struct NewCommit<'a> {
    /// The full reference that is moved to the commit.
    pub(crate) reference: &'a str,
    pub(crate) parent: Option<&'a Oid>,
    pub(crate) author: Signature,
    pub(crate) message: &'a str,
    /// Path and new content; `None` removes the path.
    pub(crate) files: &'a [(String, Option<Vec<u8>>)],
}

impl Git {
    /// Writes a commit and moves its reference, in one process however many files there are.
    pub(crate) fn commit_files(&self, new: &NewCommit<'_>) -> Result<Oid, GitError> {
        let stream = fast_import_stream(new)?;
        let arguments = ["fast-import", "--quiet", "--force", "--done", "--date-format=raw"];
        self.run_for_oid(&arguments, &stream)
    }

    /// Writes a commit of an existing tree; moves no reference.
    pub(crate) fn commit_tree(
        &self,
        tree: &Oid,
        parents: &[&Oid],
        by: &Signature,
        message: &str,
    ) -> Result<Oid, GitError> {
        let mut arguments = vec!["commit-tree", tree.as_str()];
        for parent in parents {
            arguments.extend(["-p", parent.as_str()]);
        }
        let mut command = self.command(&arguments);
        let date = format!("@{} +0000", seconds(by.at));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), &by.name);
            command.env(format!("GIT_{role}_EMAIL"), &by.email);
            command.env(format!("GIT_{role}_DATE"), &date);
        }
        let output = self.finish(command, message.as_bytes())?;
        if !output.status.success() {
            return Err(GitError::Refused {
                command: "commit-tree".to_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(Oid::new(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// The commit with that id, or `None` when the repository has no such commit.
    pub(crate) fn commit(&self, oid: &Oid) -> Result<Option<Commit>, GitError> {
        if let Some(known) = self.known_commit(oid) {
            return Ok(Some(known));
        }
        let Some(object) = self.object(oid.as_str())? else { return Ok(None) };
        if object.kind != ObjectKind::Commit {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&object.content).into_owned();
        let commit = parse(object.oid, &text).ok_or_else(|| GitError::Unreadable {
            command: "cat-file".to_owned(),
            output: text.chars().take(200).collect(),
        })?;
        self.remember_commit(&commit);
        Ok(Some(commit))
    }
}

fn fast_import_stream(new: &NewCommit<'_>) -> Result<Vec<u8>, GitError> {
    let by = format!("{} <{}> {} +0000", new.author.name, new.author.email, seconds(new.author.at));
    let mut stream = format!(
        "commit {}\nmark :1\nauthor {by}\ncommitter {by}\ndata {}\n{}\n",
        new.reference,
        new.message.len(),
        new.message
    )
    .into_bytes();
    match new.parent {
        Some(parent) => stream.extend(format!("from {parent}\n").bytes()),
        // A root commit: cut the reference off from whatever it pointed at.
        None => stream.extend(b"deleteall\n"),
    }
    for (path, content) in new.files {
        if path.contains(['\n', '"']) || path.starts_with('/') {
            return Err(GitError::Refused {
                command: "fast-import".to_owned(),
                stderr: format!("unsupported path {path:?}"),
            });
        }
        match content {
            Some(content) => {
                let header = format!("M 100644 inline {path}\ndata {}\n", content.len());
                stream.extend(header.bytes());
                stream.extend(content);
                stream.push(b'\n');
            }
            None => stream.extend(format!("D {path}\n").bytes()),
        }
    }
    stream.extend(b"\nget-mark :1\ndone\n");
    Ok(stream)
}

fn parse(oid: Oid, text: &str) -> Option<Commit> {
    let (header, message) = text.split_once("\n\n")?;
    let mut tree = None;
    let mut parents = Vec::new();
    let mut author = None;
    for line in header.lines() {
        match line.split_once(' ')? {
            ("tree", id) => tree = Some(Oid::new(id)),
            ("parent", id) => parents.push(Oid::new(id)),
            ("author", by) => author = signature(by),
            _ => {}
        }
    }
    Some(Commit { oid, tree: tree?, parents, author: author?, message: message.to_owned() })
}

fn signature(line: &str) -> Option<Signature> {
    let (name, rest) = line.split_once(" <")?;
    let (email, date) = rest.split_once("> ")?;
    let at = date.split(' ').next()?.parse().ok()?;
    Some(Signature {
        name: name.to_owned(),
        email: email.to_owned(),
        at: UNIX_EPOCH + Duration::from_secs(at),
    })
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
