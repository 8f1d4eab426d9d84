//! Secrets out of text that leaves: logs, comments, check runs, dead letters.
//!
//! Owns which secrets are known, in which spellings, and what is left of a text. Refuses to know
//! where the text goes.
//!
//! One pass over a text looks for all known secrets at once, and one for all that looks like a
//! secret (`shapes`); both again over what the text reads like without colours and escapes
//! (`view`), where that differs. So the time is in proportion to the text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

mod shapes;
mod view;

use view::View;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are not replaced: they would turn up in ordinary words.
const SHORTEST: usize = 6;

/// Shorter ones are not looked for across the ends of lines: words could add up to them.
const SHORTEST_WRAPPED: usize = 12;

/// Replaces secrets: those it was told, in several spellings, and what looks like one. Clones share
/// what it knows.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Known>>);

struct Known {
    whole: AhoCorasick,
    /// As they read without white space.
    wrapped: AhoCorasick,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spellings = self.0.as_ref().map_or(0, |known| known.whole.patterns_len());
        write!(f, "Redactor({spellings} spellings)")
    }
}

impl Redactor {
    /// Knows these secrets: as they are, line by line, in base64, percent-encoded, escaped, and
    /// broken over lines; of an address also its password alone. Values under six characters are
    /// ignored.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut spellings = BTreeSet::new();
        for secret in secrets {
            for part in parts(secret.as_ref()) {
                spellings.extend(spellings_of(&part));
            }
        }
        if spellings.is_empty() {
            return Self::default();
        }
        let unspaced = |spelling: &String| -> String {
            spelling.chars().filter(|c| !view::is_wrapping(*c)).collect()
        };
        let wrapped: BTreeSet<String> =
            spellings.iter().map(unspaced).filter(|s| s.len() >= SHORTEST_WRAPPED).collect();
        Self(Some(Arc::new(Known { whole: searched(&spellings), wrapped: searched(&wrapped) })))
    }

    /// The text without secrets; borrowed when there were none.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found = Vec::new();
        self.find(text, &mut found);
        let view = View::of(text);
        let mut read = Vec::new();
        if let Cow::Owned(reads) = &view.text {
            self.find(reads, &mut read);
        }
        if let Some(known) = &self.0
            && let Some(unwrapped) = view.unwrapped()
        {
            let ranges = known.wrapped.find_overlapping_iter(&*unwrapped.text);
            found.extend(ranges.map(|range| unwrapped.written(&range.range())));
        }
        found.extend(read.iter().map(|range| view.written(range)));
        replaced(text, found)
    }

    fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        if let Some(known) = &self.0 {
            found.extend(known.whole.find_overlapping_iter(text).map(|found| found.range()));
        }
        shapes::find(text, found);
    }
}

fn searched(spellings: &BTreeSet<String>) -> AhoCorasick {
    #[expect(clippy::expect_used, reason = "fails beyond 2^31 bytes; a process has no such secret")]
    AhoCorasick::new(spellings).expect("secrets of less than 2 GiB")
}

/// The text with the ranges replaced, each run of them once.
fn replaced(text: &str, mut found: Vec<Range<usize>>) -> Cow<'_, str> {
    found.retain(|range| !range.is_empty() && text[range.clone()] != *REDACTED);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_by_key(|range| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    let mut done = false;
    for range in found {
        // What begins where another one is not over yet goes with it.
        if !done || range.start > kept {
            out.push_str(&text[kept..range.start]);
            out.push_str(REDACTED);
            done = true;
        }
        kept = kept.max(range.end);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// What of a secret is one by itself: the whole, each of its lines, an address's password.
fn parts(secret: &str) -> BTreeSet<String> {
    let whole = secret.trim();
    // A variable often has the ends of a key's lines as `\n`, where it may not have them.
    let read = View::of(whole).text;
    let lines = whole.lines().chain(read.lines()).map(|line| line.trim().to_owned());
    let mut parts: BTreeSet<String> = lines.chain([whole.to_owned()]).collect();
    parts.extend(password(whole).map(str::to_owned));
    parts.extend(password(&read).map(str::to_owned));
    let is_told = |part: &str| part.starts_with("-----") || REDACTED.contains(part);
    parts.retain(|part| part.len() >= SHORTEST && !is_told(part));
    parts
}

/// An address's password, unless the rest of the address says the same word: `postgres` is no
/// secret for being one.
fn password(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once("://")?;
    let (account, place) = rest.rsplit_once('@')?;
    let (user, password) = account.split_once(':')?;
    let is_word = [scheme, user, place].iter().any(|other| other.contains(password));
    (!is_word && !password.is_empty()).then_some(password)
}

/// How a secret may be written, as it then reads; where little is left of it then, as it stands.
fn spellings_of(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let [upper, lower] = percent_encoded(secret);
    let mut written = vec![secret.to_owned(), upper, lower, json];
    written.push(secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    // Inside a longer base64 text ("user:secret") a secret has one of three alignments. The
    // characters at both ends depend on its neighbours; those between are always the same.
    for skipped in 0..3 {
        let padded = [&[0; 2][..skipped.min(2)], secret.as_bytes()].concat();
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            let from = [0, 2, 3][skipped];
            let to = text.len() - usize::from(padded.len() % 3 != 0);
            written.extend(text.get(from..to).map(str::to_owned));
        }
    }
    let read = |text: &String| View::of(text).text.into_owned();
    let is_long = |spelling: &String| spelling.len() >= SHORTEST;
    let as_they_read =
        written.iter().map(|text| Some(read(text)).filter(is_long).unwrap_or_else(|| text.clone()));
    as_they_read.chain([secret.to_owned()]).filter(is_long).collect()
}

/// In capital digits, as most encoders write them, and in small ones.
fn percent_encoded(text: &str) -> [String; 2] {
    let with = |code: fn(u8) -> String| {
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => code(byte),
        };
        text.bytes().map(encode).collect()
    };
    [with(|byte| format!("%{byte:02X}")), with(|byte| format!("%{byte:02x}"))]
}

#[cfg(test)]
mod tests;
