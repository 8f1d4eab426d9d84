//! The gate's result, as it travels in a check run's summary.
//!
//! The truth is on GitHub, not in our memory: a worker that never saw a pull request finds what the
//! gate said in the summary of its check run. Anybody who may write there could write it, so it is
//! sealed. Owns the format and its authenticity. Refuses to decide what a result is worth.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::{Change, DirectChange};
use crate::names::{PolicySha, PrNumber, ProjectName, Sha};

/// The version this build writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// What starts and ends a seal. A line of its own, invisible on GitHub.
const OPEN: &str = "<!-- sluice:gate:v1 ";
const CLOSE: &str = " -->";

/// The most that the list of direct changes may take, in bytes of JSON. Beyond it only its digest
/// travels: a summary has room for 65,535 characters in all.
const MOST_CHANGES_BYTES: usize = 8 * 1024;

/// The longest line that is taken for a seal: the list in base64, and the rest.
const MOST_LINE_BYTES: usize = 16 * 1024;

/// What the gate said of one head, under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// Version of this format.
    pub v: u32,
    /// The project it is about.
    pub project: ProjectName,
    /// The pull request: another one may have the same head.
    pub pr: PrNumber,
    /// The branch that it was to be merged into.
    pub base_branch: String,
    /// The head that was checked.
    pub head: Sha,
    /// The base that it was merged into.
    pub base: Sha,
    /// The policy it was checked under.
    pub policy: PolicySha,
    /// What came out.
    pub outcome: GateOutcome,
    /// The digest of what prod's plan does directly; `None` when there was no plan.
    pub plan_digest: Option<String>,
    /// What it does directly; empty when it was too much to travel.
    pub digest_input: Vec<DirectChange>,
    /// The preview that people saw last for this head, this one or one before it; `None` when they
    /// saw none yet.
    pub previewed: Option<Previewed>,
    /// The tree that was tested: head merged into base.
    pub tree: Sha,
    /// When, in milliseconds since 1970.
    pub made_ms: u64,
}

/// A preview that people could see, and from when on an approval speaks of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previewed {
    /// The digest of what it does directly.
    pub digest: String,
    /// Approvals before this do not count, in milliseconds since 1970; 0 for the first preview of a
    /// head, which an approval may come before.
    pub approved_from_ms: u64,
}

impl Previewed {
    /// What is to be approved once `digest` is shown: what was shown before, if it is the same,
    /// else something that nobody can have approved yet.
    pub fn next(before: Option<Self>, digest: Option<&str>, now_ms: u64) -> Option<Self> {
        let Some(digest) = digest else { return before };
        Some(match before {
            Some(before) if before.digest == digest => before,
            before => {
                Self { digest: digest.to_owned(), approved_from_ms: before.map_or(0, |_| now_ms) }
            }
        })
    }
}

/// What a gate comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    /// Everything is green.
    Passed,
    /// Everything is green, and prod would not change.
    NoChanges,
    /// Something is not green.
    Failed,
}

/// The key that results are sealed with. It is shared by all workers.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// The key that follows from a secret: the webhook secret, or one configured for this. A key
    /// of its own for each purpose, so that a leaked seal says nothing about the secret's other
    /// use.
    pub fn derive(secret: &[u8]) -> Self {
        let mut mac = keyed(secret);
        mac.update(b"sluice gate seal v1");
        Self(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The result as one line, an HTML comment. It has to be the *first* line of the summary: what
/// follows is partly other people's text, and long summaries are cut at their end.
pub fn seal(result: &GateResult, key: &SealKey) -> String {
    let mut travelling = result.clone();
    if json(&travelling.digest_input).len() > MOST_CHANGES_BYTES {
        travelling.digest_input.clear();
    }
    let payload = URL_SAFE_NO_PAD.encode(json(&travelling));
    let mut mac = keyed(&key.0);
    mac.update(payload.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{OPEN}{payload}.{tag}{CLOSE}")
}

/// The result that a summary starts with, if it is one of ours about `project`. Forged, cut,
/// foreign and future ones are none, which costs a new gate check and nothing else.
pub fn unseal(summary: &str, key: &SealKey, project: &ProjectName) -> Option<GateResult> {
    let line = summary.lines().next()?.trim_end();
    if line.len() > MOST_LINE_BYTES {
        return None;
    }
    let (payload, tag) = line.strip_prefix(OPEN)?.strip_suffix(CLOSE)?.split_once('.')?;
    let mut mac = keyed(&key.0);
    mac.update(payload.as_bytes());
    // Compares in constant time.
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
    let result: GateResult = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (result.v == VERSION && result.project == *project).then_some(result)
}

/// The newest result in a summary that was written while, or after, another one was made: in any
/// of its lines. What it says of previews still counts.
pub fn before(summary: &str, key: &SealKey, project: &ProjectName) -> Option<GateResult> {
    summary.lines().find_map(|line| unseal(line, key, project))
}

/// Whether a summary starts with a seal, ours or not.
pub fn is_sealed(summary: &str) -> bool {
    summary.starts_with("<!-- sluice:gate:")
}

impl GateResult {
    /// What a plan does that its preview did not show, in sentences; empty when whoever approved
    /// the preview approved all of it.
    ///
    /// What was previewed and is now left alone is no surprise: others have deployed it since, or
    /// it was never this change's, as prod moved while the preview was made (decision 18).
    pub fn unforeseen(&self, now: &[DirectChange]) -> Vec<String> {
        let Some(previewed) = &self.plan_digest else {
            return vec!["No plan was previewed for this head.".to_owned()];
        };
        if *previewed == plan_digest(now) {
            return Vec::new();
        }
        if *previewed != plan_digest(&self.digest_input) {
            return vec!["The previewed plan was too large to be kept, but it was another.".into()];
        }
        if now.iter().all(|change| self.digest_input.contains(change)) {
            return Vec::new();
        }
        difference(&self.digest_input, now)
    }
}

/// What an approval is bound to: SHA-256 over the changes as JSON, in canonical order.
pub fn plan_digest(changes: &[DirectChange]) -> String {
    let mut sorted = changes.to_vec();
    sorted.sort();
    hex::encode(Sha256::digest(json(&sorted)))
}

/// What differs between two plans, one sentence per model, by name. Empty when nothing does.
pub fn difference(previewed: &[DirectChange], now: &[DirectChange]) -> Vec<String> {
    let mut models: BTreeMap<&str, [Vec<&DirectChange>; 2]> = BTreeMap::new();
    for (side, changes) in [previewed, now].into_iter().enumerate() {
        for change in changes {
            models.entry(&change.name).or_default()[side].push(change);
        }
    }
    models
        .into_iter()
        .filter_map(|(name, [mut before, mut after])| {
            before.sort();
            after.sort();
            (before != after).then(|| sentence(name, &before, &after))
        })
        .collect()
}

fn sentence(name: &str, before: &[&DirectChange], after: &[&DirectChange]) -> String {
    let name: String = name.chars().filter(|c| !c.is_control() && *c != '`').take(200).collect();
    match (before, after) {
        ([], after) => format!("`{name}`: not in the preview; now {}.", words(after)),
        (before, []) => format!("`{name}`: previewed as {}; now left alone.", words(before)),
        (before, after) if words(before) == words(after) => {
            format!("`{name}`: {} as previewed, but its code is another.", words(after))
        }
        (before, after) => {
            format!("`{name}`: previewed as {}; now {}.", words(before), words(after))
        }
    }
}

fn words(changes: &[&DirectChange]) -> String {
    let one = |change: &&DirectChange| {
        let mut words = vec![match change.change {
            Change::Added => "added".to_owned(),
            Change::Removed => "removed".to_owned(),
            Change::DirectlyModified => "modified".to_owned(),
            Change::IndirectlyModified => "modified indirectly".to_owned(),
            Change::MetadataUpdated => "changed in its metadata".to_owned(),
        }];
        words.extend(change.category.clone());
        words.extend(change.forward_only.then(|| "forward-only".to_owned()));
        words.extend(change.destructive.then(|| "destructive".to_owned()));
        words.join(", ")
    };
    changes.iter().map(one).collect::<Vec<_>>().join(" and ")
}

#[expect(clippy::expect_used, reason = "these types have string keys and cannot fail")]
fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data is always JSON")
}

#[cfg(test)]
mod tests;
