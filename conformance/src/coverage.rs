//! What was validated how often, over all processes of a test run.
//!
//! Each process appends lines to a file of its own in a folder; the table sums them up. Owns what
//! has to be covered.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::{rest, webhooks};

/// The environment variable that names the folder. Without it, nothing is written down.
pub const FOLDER_VARIABLE: &str = "SLUICE_CONFORMANCE_DIR";

/// What may be covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A REST operation.
    Rest,
    /// A GraphQL document by its operation's name, or a mutation in it.
    GraphQl,
    /// A webhook by event and action.
    Webhook,
    /// A payload that GitHub once sent, by its event.
    Recorded,
}

impl Subject {
    const ALL: [Self; 4] = [Self::Rest, Self::GraphQl, Self::Webhook, Self::Recorded];

    fn word(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::GraphQl => "graphql",
            Self::Webhook => "webhook",
            Self::Recorded => "recorded",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rest => "REST operations (requests and answers, by status)",
            Self::GraphQl => "GraphQL documents (requests and answers, by status)",
            Self::Webhook => "webhooks that the stand-in sent",
            Self::Recorded => "recorded payloads that the producer was sent",
        }
    }

    /// What no run may leave out.
    fn wanted(self) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        match self {
            Self::Rest => rest::DESCRIBED.names().map(str::to_owned).collect(),
            Self::Webhook => webhooks::DESCRIBED.names().map(str::to_owned).collect(),
            Self::GraphQl => owned(&DOCUMENTS),
            Self::Recorded => {
                let mut events: Vec<String> =
                    crate::payloads().into_iter().map(|recorded| recorded.event).collect();
                events.dedup();
                events
            }
        }
    }
}

/// The worker's documents by the names of their operations, and what a report may write.
pub(crate) const DOCUMENTS: [&str; 21] = [
    "AddPages",
    "AddPages: addComment",
    "Enqueue",
    "Enqueue: enqueuePullRequest",
    "Facts",
    "Merge",
    "Merge: mergePullRequest",
    "MoreComments",
    "MoreContexts",
    "OpenPulls",
    "Report",
    "Report: addComment",
    "Report: addReaction",
    "Report: createCheckRun",
    "Report: updateCheckRun",
    "Report: updateIssueComment",
    "RewritePages",
    "RewritePages: updateIssueComment",
    "StandingInQueue",
    "StandingOf",
    "Written",
];

/// Counts by subject, name, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(Subject, String), BTreeMap<String, u64>>);

impl Coverage {
    /// Once more.
    pub fn add(&mut self, subject: Subject, name: &str, result: &str) {
        let results = self.0.entry((subject, name.to_owned())).or_default();
        *results.entry(result.to_owned()).or_default() += 1;
    }

    /// Appends to this process's file, if the run keeps any.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_down(&self) -> anyhow::Result<()> {
        let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else { return Ok(()) };
        let path = Path::new(&folder).join(format!("{}.txt", std::process::id()));
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        // In one write, so that threads of one process do not mix their lines.
        file.write_all(self.lines().as_bytes()).with_context(|| path.display().to_string())
    }

    fn lines(&self) -> String {
        let mut lines = String::new();
        for ((subject, name), results) in &self.0 {
            for (result, count) in results {
                lines.push_str(&format!("{}\t{name}\t{result}\t{count}\n", subject.word()));
            }
        }
        lines
    }

    /// What the processes of a run have written down.
    ///
    /// # Errors
    /// The folder cannot be read, or holds something else.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for entry in std::fs::read_dir(folder).context("no folder of what was covered")? {
            let text = std::fs::read_to_string(entry?.path())?;
            for line in text.lines() {
                all.add_line(line).with_context(|| format!("no line of ours: {line}"))?;
            }
        }
        Ok(all)
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut parts = line.split('\t');
        let word = parts.next()?;
        let subject = Subject::ALL.into_iter().find(|subject| subject.word() == word)?;
        let (name, result, count) = (parts.next()?, parts.next()?, parts.next()?);
        let results = self.0.entry((subject, name.to_owned())).or_default();
        *results.entry(result.to_owned()).or_default() += count.parse::<u64>().ok()?;
        Some(())
    }

    /// What should have been covered and was not.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let missing = |subject: Subject| {
            let wanted = subject.wanted().into_iter();
            wanted.filter(move |name| !self.0.contains_key(&(subject, name.clone())))
        };
        Subject::ALL.into_iter().flat_map(missing).collect()
    }

    /// The table that people read.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::new();
        for subject in Subject::ALL {
            let mut rows: BTreeMap<String, String> =
                subject.wanted().into_iter().map(|name| (name, "NOT COVERED".to_owned())).collect();
            let seen = self.0.iter().filter(|((of, _), _)| *of == subject);
            for ((_, name), results) in seen {
                let results = results.iter().map(|(result, count)| format!("{result} ×{count}"));
                rows.insert(name.clone(), results.collect::<Vec<_>>().join(", "));
            }
            table.push_str(&format!("{}\n", subject.title()));
            for (name, results) in rows {
                table.push_str(&format!("  {name:<75} {results}\n"));
            }
        }
        table
    }
}

#[cfg(test)]
mod tests;
