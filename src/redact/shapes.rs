//! What looks like a secret, whoever it belongs to.
//!
//! Owns the forms of well-known tokens, and how passwords are written beside their names. Eats no
//! ordinary text: SQL, hashes and commits stay readable. Refuses to know any particular secret.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Where something in the text looks like a secret, in no order; ranges may overlap.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    for index in SHAPES.any.matches(text) {
        for captures in SHAPES.each[index].captures_iter(text) {
            // What has a name is the secret; the rest says that it is one.
            let secrets = ["s", "s2", "s3"].map(|name| captures.name(name));
            found.extend(secrets.into_iter().flatten().map(|secret| secret.range()));
        }
    }
    private_keys(text, found);
}

struct Shapes {
    any: RegexSet,
    each: Vec<Regex>,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "constants, and each is used by a test")]
    let each = |pattern: &&str| {
        let built = RegexBuilder::new(pattern).ignore_whitespace(true).build();
        built.expect("a valid pattern")
    };
    #[expect(clippy::expect_used, reason = "constants, and each is used by a test")]
    let any = RegexSetBuilder::new(PATTERNS).ignore_whitespace(true).build().expect("the same");
    Shapes { any, each: PATTERNS.iter().map(each).collect() }
});

/// Boundaries of words are those of ASCII: others would make every search slow on a text with
/// an `é` in it. Lengths are less than any token has, and never exact: GitHub's have no fixed one.
const PATTERNS: [&str; 12] = [
    // Credentials in URLs: scheme://user:password@host. People do not encode the / and @ in theirs.
    r#"(?-u:\b) [A-Za-z][A-Za-z0-9+.-]*://
       (?<s> [^\s/'"<>`@:]*:[^\s'"<>`]* | [^\s/?\#'"<>`]* ) @"#,
    // GitHub's and GitLab's tokens.
    r"(?-u:\b|_) (?<s> (?: gh[opusr]_ | github_pat_ ) [A-Za-z0-9_.-]{20,}
       | gl(?:pat|ptt|dt|rt|cbt|ft|soat|imt|agent|oas)-[A-Za-z0-9_.-]{20,} )",
    // AWS, Google, Slack, npm, PyPI, Databricks.
    r"(?-u:\b) (?<s> (?:AKIA|ASIA)[A-Z0-9]{16} (?-u:\b)
       | AIza[A-Za-z0-9_-]{35} | ya29\.[A-Za-z0-9_-]{20,} | GOCSPX-[A-Za-z0-9_-]{20,}
       | xox[a-z]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,} | npm_[A-Za-z0-9]{36}
       | pypi-[A-Za-z0-9_-]{50,} | dapi[a-f0-9]{32} )",
    r"hooks\.slack\.com/[a-z]+/ (?<s> [A-Za-z0-9/+_-]+ )",
    // JSON web tokens.
    r"(?-u:\b) (?<s> eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]* )",
    // Headers, and a bearer's token without one.
    r#"(?i) (?-u:\b) authorization ['"]? \s* [:=] \s* ['"]?
       (?: (?:basic|bearer|token|negotiate|digest|apikey|snowflake) (?-u:\b) [\ \t]* )?
       (?<s> [^\s'"`,;<]+ )"#,
    r"(?i) (?-u:\b) bearer [\ \t]+ (?<s> [A-Za-z0-9._~+/=-]{16,} )",
    // Values in quotes or braces of what is called a password: `=`, `=>`, `:`.
    r#"(?i) (?: password | passwd | passcode | pwd | passphrase | secret | token | credentials?
          | (?:api|access|account|private|shared|storage|encryption)[_-]?key )
       ['"]? \s* (?:=>?|:) \s*
       (?: '(?<s>[^'\n]+)' | "(?<s2>[^"\n]+)" | \{(?<s3>[^}\n]+)\} )"#,
    // Bare values, behind `=` only: `password: see the handbook` is none.
    r#"(?i) (?: password | passwd | passcode | pwd | passphrase | secret | token
          | (?:api|access|account|private|shared|storage|encryption)[_-]?key ) \s* = \s*
       (?<s> [^\s'"`,;&)<{=>] [^\s'"`,;&)<]* )"#,
    // Bare values behind `:` where there is nothing else in the line, as in YAML.
    r#"(?im) ^ [\ \t-]* [A-Z0-9_.-]* (?: password | passwd | passcode | pwd | passphrase | secret
          | (?:api|access|account|private|shared|storage|encryption)[_-]?key ) : [\ \t]+
       (?<s> [^\s'"`,;<{\[|&*]+ ) [\ \t]* \r? $"#,
    // Signed links.
    r"(?i) [?&] (?: sig | x-amz-(?:signature|credential) | x-goog-signature ) = (?<s> [^\s&]+ )",
    // The first line of an RSA key or of a wrapped one: DER's beginning of a long sequence.
    r#"(?m) (?: ^ | [\s'"] ) (?<s> MII[A-Za-z0-9+/]{45,}={0,2} )"#,
];

static BEGINS: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "constants, and each is used by a test")]
    Regex::new(r"-----(BEGIN|END) [A-Z ]{0,40}PRIVATE KEY-----").expect("a valid pattern")
});

/// Private keys: from their first line to their last. Where one of both is cut off, as far as the
/// text goes on or came before without anything that no key has, such as the end of a code block.
fn private_keys(text: &str, found: &mut Vec<Range<usize>>) {
    let is_of_no_key = |c: char| matches!(c, '`' | '"' | '<');
    let mut from = 0;
    let mut open = None;
    for line in BEGINS.captures_iter(text) {
        let (Some(whole), Some(word)) = (line.get(0), line.get(1)) else { continue };
        let between = &text[from..whole.start()];
        match (word.as_str(), open) {
            ("BEGIN", Some(begun)) => {
                let end = between.find(is_of_no_key).unwrap_or(between.len());
                found.push(begun..from + end);
            }
            ("BEGIN", None) => {}
            (_, Some(begun)) if !between.contains(is_of_no_key) => found.push(begun..whole.end()),
            (_, open) => {
                if let Some(begun) = open {
                    let end = between.find(is_of_no_key).unwrap_or(between.len());
                    found.push(begun..from + end);
                }
                let body = |c: char| c.is_ascii_alphanumeric() || "+/= \t\r\n".contains(c);
                let start = from + between.trim_end_matches(body).len();
                found.push(start..whole.end());
            }
        }
        from = whole.end();
        open = (word.as_str() == "BEGIN").then_some(whole.start());
    }
    if let Some(begun) = open {
        let rest = &text[from..];
        found.push(begun..from + rest.find(is_of_no_key).unwrap_or(rest.len()));
    }
}
