//! Secrets out of text that leaves: logs, comments, check runs, dead letters.
//!
//! Owns what a secret looks like. Refuses to know where the text goes.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::Regex;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are not replaced: they would turn up in ordinary words.
const SHORTEST: usize = 6;

/// Replaces secrets: those it was told, in several spellings, and what looks like one.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another is replaced whole.
    spellings: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} spellings)", self.spellings.len())
    }
}

impl Redactor {
    /// Knows these secrets: as they are, line by line, in base64, percent-encoded and as in JSON.
    /// Values under six characters are ignored.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            let whole = secret.as_ref().trim();
            for part in std::iter::once(whole).chain(whole.lines().map(str::trim)) {
                if part.len() >= SHORTEST {
                    spellings.extend(spellings_of(part));
                }
            }
        }
        spellings.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        spellings.dedup();
        Self { spellings }
    }

    /// The text without secrets; borrowed when there were none.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for spelling in &self.spellings {
            if text.contains(spelling.as_str()) {
                text = Cow::Owned(text.replace(spelling.as_str(), REDACTED));
            }
        }
        for (shape, replacement) in SHAPES.iter() {
            if let Cow::Owned(changed) = shape.replace_all(&text, *replacement) {
                text = Cow::Owned(changed);
            }
        }
        text
    }
}

fn spellings_of(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut spellings =
        vec![secret.to_owned(), percent_encoded(secret), json[1..json.len() - 1].to_owned()];
    // Inside a longer base64 text ("user:secret") a secret has one of three alignments. The
    // characters at both ends depend on its neighbours; those between are always the same.
    for skipped in 0..3 {
        let padded = [&[0; 2][..skipped.min(2)], secret.as_bytes()].concat();
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            let from = [0, 2, 3][skipped];
            let to = text.len() - usize::from(padded.len() % 3 != 0);
            if to.saturating_sub(from) >= SHORTEST {
                spellings.push(text[from..to].to_owned());
            }
        }
    }
    spellings.sort();
    spellings.dedup();
    spellings
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// What looks like a secret, and what is left of it.
static SHAPES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "constants, and each is used by a test")]
    let shape = |(pattern, left)| (Regex::new(pattern).expect("a valid pattern"), left);
    PATTERNS.map(shape).into()
});

const PATTERNS: [(&str, &str); 8] = [
    // Private keys, to their end or the text's.
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        "[redacted]",
    ),
    // Credentials in URLs: scheme://user:password@host. People do not encode the / and @ in theirs.
    (
        r#"\b([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/'"<>@:]*:[^\s'"<>]*|[^\s/?#'"<>]*)@"#,
        "${1}[redacted]@",
    ),
    // GitHub's tokens, of no fixed length.
    (r"\b(?:gh[opusr]_|github_pat_)[A-Za-z0-9_.-]{10,}", "[redacted]"),
    (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "[redacted]"),
    // JSON web tokens.
    (r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*", "[redacted]"),
    (
        r"(?i)\b(authorization['\x22]?\s*[:=]\s*['\x22]?(?:basic|bearer|token)?\s*)[^\s'\x22,;]+",
        "${1}[redacted]",
    ),
    // Quoted and bare values of what is called a password.
    (
        r"(?ix)
        ((?:password|passwd|pwd|passphrase|secret|token|credentials?|(?:api|access|private)[_-]?key)
        ['\x22]? \s* (?:=>?|:) \s*) (?: '[^'\n]*' | \x22[^\x22\n]*\x22 )",
        "${1}[redacted]",
    ),
    (
        r"(?ix)
        ((?:password|passwd|pwd|passphrase|secret|token|(?:api|access|private)[_-]?key) \s* = \s*)
        [^\s'\x22,;&)]+",
        "${1}[redacted]",
    ),
];

#[cfg(test)]
mod tests;
