//! One check as one commit status, and back.
//!
//! A status has a state, a line of text and an address. What the state leaves out stands in the
//! address: where the check stands in sluice's words, since when, which job wrote it, and the
//! digest of its page. Only who has our token can write a status of ours: what stands there needs
//! no other proof. Owns the mapping and the format. Refuses to ask anything.

use std::time::{Duration, SystemTime};

use sluice::clock::unix_ms;
use sluice::github::{CheckStatus, CheckWrite};
use sluice::names::{Login, NodeId, Sha};
use sluice::outcome::Conclusion;

use crate::github::open::moment;
use crate::github::shape::Given;

/// GitHub's limit for a status's description, in characters.
const DESCRIPTION: usize = 140;
/// What of an address is ours: a parameter that no server minds.
const PARAMETER: &str = "sluice=";
/// The version of what it holds, and what stands for no page.
const VERSION: &str = "1";
const NO_PAGE: &str = "0";

/// An open check that only tells how far it is is told again after this, and later the longer it
/// is open: GitHub takes 1,000 statuses for one commit and context, ever.
const SPARING: Duration = Duration::from_secs(60);
const SPARING_PART: u32 = 16;

/// A check as a status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) status: CheckStatus,
    /// When it was asked for last, in seconds since 1970.
    pub(super) asked_s: u64,
    /// The digest of its page; `None` when it has none.
    pub(super) page: Option<String>,
    pub(super) external_id: String,
    /// Its title, as far as there is room.
    pub(super) title: String,
}

/// A line of ours that GitHub shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::github) struct Shown {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) line: Line,
    target_url: String,
    created_ms: Option<u64>,
}

/// All that can become a status's state. What does not pass as a check run must not pass as a
/// status: GitHub takes a check run that is neutral or skipped for passed, and nothing else that
/// did not succeed.
pub(super) fn state(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Queued | CheckStatus::InProgress => "pending",
        CheckStatus::Completed(conclusion) => match conclusion {
            Conclusion::Success | Conclusion::Neutral | Conclusion::Skipped => "success",
            Conclusion::Failure | Conclusion::ActionRequired => "failure",
            Conclusion::Cancelled => "error",
        },
    }
}

const ALL: [CheckStatus; 8] = [
    CheckStatus::Queued,
    CheckStatus::InProgress,
    CheckStatus::Completed(Conclusion::Success),
    CheckStatus::Completed(Conclusion::Failure),
    CheckStatus::Completed(Conclusion::Neutral),
    CheckStatus::Completed(Conclusion::Skipped),
    CheckStatus::Completed(Conclusion::ActionRequired),
    CheckStatus::Completed(Conclusion::Cancelled),
];

impl Line {
    /// How a check is to be shown, after what is shown of it.
    pub(super) fn of(
        check: &CheckWrite,
        page: Option<String>,
        before: Option<&Shown>,
        now: SystemTime,
    ) -> Self {
        let now_s = unix_ms(now) / 1000;
        let asked_s = match before {
            Some(before) if check.status != CheckStatus::Queued => before.line.asked_s,
            _ => now_s,
        };
        let external_id = check.external_id.as_str().to_owned();
        Self { status: check.status, asked_s, page, external_id, title: title(&check.title) }
    }

    /// The address that it is written with: `base`, and what the state leaves out.
    pub(super) fn address(&self, base: &str, head: &Sha) -> String {
        let (page, anchor) = match base.split_once('#') {
            Some((page, anchor)) => (page, format!("#{anchor}")),
            None => (base, String::new()),
        };
        let separator = if page.contains('?') { '&' } else { '?' };
        let word = self.status.label();
        let digest = self.page.as_deref().unwrap_or(NO_PAGE);
        let id = shortened(&self.external_id, head);
        let asked = self.asked_s;
        format!("{page}{separator}{PARAMETER}{VERSION}.{word}.{asked:x}.{digest}.{id}{anchor}")
    }

    /// What an address says; `None` when it is none of ours, or says another state than GitHub.
    fn read(given: &Given, head: &Sha) -> Option<Self> {
        let (_, query) = given.target_url.as_deref()?.split_once('?')?;
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        let value = query.split('&').find_map(|part| part.strip_prefix(PARAMETER))?;
        let mut parts = value.splitn(5, '.');
        if parts.next()? != VERSION {
            return None;
        }
        let word = parts.next()?;
        let status = ALL.into_iter().find(|status| status.label() == word)?;
        let asked_s = u64::from_str_radix(parts.next()?, 16).ok()?;
        let page = Some(parts.next()?).filter(|digest| *digest != NO_PAGE).map(str::to_owned);
        let external_id = lengthened(parts.next()?, head)?;
        let title = given.description.clone().unwrap_or_default();
        let says_the_same = given.state.eq_ignore_ascii_case(state(status));
        says_the_same.then_some(Self { status, asked_s, page, external_id, title })
    }

    fn is_open(&self) -> bool {
        !matches!(self.status, CheckStatus::Completed(_))
    }
}

impl Shown {
    /// A status of the account that asks, written by sluice. A stranger's may have our name and
    /// our words in it; its creator is what GitHub vouches for.
    pub(in crate::github) fn read(given: Given, viewer: &Login, head: &Sha) -> Option<Self> {
        let creator = given.creator.as_ref()?;
        // GraphQL leaves out a bot's suffix, which `viewer` has.
        let login = match creator.kind.as_str() {
            "Bot" => format!("{}[bot]", creator.login),
            _ => creator.login.to_string(),
        };
        if login != viewer.as_str() {
            return None;
        }
        let line = Line::read(&given, head)?;
        let created_ms = moment(&Some(given.created_at));
        let target_url = given.target_url.unwrap_or_default();
        Some(Self { id: given.id, name: given.context, line, target_url, created_ms })
    }

    /// When it was asked for last, in milliseconds since 1970.
    pub(in crate::github) fn asked_ms(&self) -> u64 {
        self.line.asked_s.saturating_mul(1000)
    }

    /// When it was concluded, in milliseconds since 1970; `None` while it is open.
    pub(in crate::github) fn completed_ms(&self) -> Option<u64> {
        self.created_ms.filter(|_| !self.line.is_open())
    }

    /// The parts of it: name, job, where it stands, title.
    pub(in crate::github) fn into_parts(self) -> (String, String, CheckStatus, String) {
        (self.name, self.line.external_id, self.line.status, self.line.title)
    }

    /// Whether there is no need to write `next` over it: it says the same, or how far the same job
    /// was not long ago.
    pub(super) fn will_do(&self, (next, base): (&Line, &str), head: &Sha, now: SystemTime) -> bool {
        let now_ms = unix_ms(now);
        let unchanged = Line { asked_s: self.line.asked_s, ..next.clone() };
        if unchanged == self.line && self.target_url == unchanged.address(base, head) {
            return true;
        }
        let is_progress = self.line.is_open()
            && next.is_open()
            && next.page == self.line.page
            && next.external_id == self.line.external_id;
        let age = |since_ms: u64| Duration::from_millis(now_ms.saturating_sub(since_ms));
        let pause = SPARING.max(age(self.asked_ms()) / SPARING_PART);
        is_progress && self.created_ms.is_some_and(|at_ms| age(at_ms) < pause)
    }
}

/// A title as a description: one line, cut with an ellipsis.
pub(super) fn title(text: &str) -> String {
    let line = text.replace(['\r', '\n'], " ");
    match line.chars().count() <= DESCRIPTION {
        true => line,
        false => line.chars().take(DESCRIPTION - 1).chain(['…']).collect(),
    }
}

/// A job's id as part of an address, of characters that nobody rewrites in one. The head, which
/// most have in them, is known to who reads it.
fn shortened(id: &str, head: &Sha) -> String {
    let parts = id.split(head.as_str()).map(escaped);
    parts.collect::<Vec<_>>().join("~h")
}

fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b':' => "~c".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("~{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn lengthened(text: &str, head: &Sha) -> Option<String> {
    let mut parts = text.split('~');
    let mut id = parts.next()?.to_owned();
    for part in parts {
        let rest = match part.as_bytes().first()? {
            b'h' => {
                id.push_str(head.as_str());
                &part[1..]
            }
            b'c' => {
                id.push(':');
                &part[1..]
            }
            _ => {
                let byte = u8::from_str_radix(part.get(..2)?, 16).ok()?;
                id.push(Some(char::from(byte)).filter(char::is_ascii_graphic)?);
                &part[2..]
            }
        };
        id.push_str(rest);
    }
    Some(id)
}

#[cfg(test)]
mod tests;
