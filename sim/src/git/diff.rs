//! What a pull request changes: the difference between its merge base and its head.

use super::{Git, GitError, Oid};

/// How a file was changed, in GitHub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeType {
    /// The file is new.
    Added,
    /// The file is gone.
    #[serde(rename = "removed")]
    Deleted,
    /// Its content changed.
    Modified,
    /// It has another path.
    Renamed,
    /// It has another mode or type.
    Changed,
}

/// One changed file.
#[derive(Clone, Debug)]
pub struct ChangedFile {
    /// Its path at the head (at the base, for a removed one).
    pub path: String,
    /// Its path at the base, for a renamed one.
    pub previous_path: Option<String>,
    /// What happened to it.
    pub change: ChangeType,
    /// The blob at the head; git's zero id for a removed file.
    pub blob: Oid,
    /// Lines added; 0 for a binary file.
    pub additions: u64,
    /// Lines removed; 0 for a binary file.
    pub deletions: u64,
}

impl Git {
    /// The files that differ between the merge base of the two commits and `head`.
    pub(crate) fn changed_files(
        &self,
        base: &Oid,
        head: &Oid,
    ) -> Result<Vec<ChangedFile>, GitError> {
        let range = format!("{base}...{head}");
        let arguments = ["diff", "--raw", "--numstat", "--no-abbrev", "-M", "-z", &range];
        let printed = self.once(&format!("files {range}"), || self.run(&arguments, b""))?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        parse(&printed).ok_or_else(|| GitError::Unreadable {
            command: "diff".to_owned(),
            output: printed.chars().take(200).collect(),
        })
    }
}

fn parse(printed: &str) -> Option<Vec<ChangedFile>> {
    let mut fields = printed.split('\0').filter(|field| !field.is_empty()).peekable();
    let mut files = Vec::new();
    while let Some(raw) = fields.next_if(|field| field.starts_with(':')) {
        let mut words = raw.split(' ').skip(3);
        let blob = Oid::new(words.next()?);
        let status = words.next()?.chars().next()?;
        let first = fields.next()?.to_owned();
        let (path, previous_path) = match status {
            'R' | 'C' => (fields.next()?.to_owned(), Some(first)),
            _ => (first, None),
        };
        let change = match status {
            'A' | 'C' => ChangeType::Added,
            'D' => ChangeType::Deleted,
            'R' => ChangeType::Renamed,
            'M' => ChangeType::Modified,
            _ => ChangeType::Changed,
        };
        files.push(ChangedFile { path, previous_path, change, blob, additions: 0, deletions: 0 });
    }
    // The counts follow in the same order; a rename's record has an empty path and then both.
    for file in &mut files {
        let mut counts = fields.next()?.split('\t');
        file.additions = counts.next()?.parse().unwrap_or(0);
        file.deletions = counts.next()?.parse().unwrap_or(0);
        if file.previous_path.is_some() {
            fields.next()?;
            fields.next()?;
        }
    }
    Some(files)
}
