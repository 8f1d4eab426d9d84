//! The redactor: a line with a secret that it knows, then a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice::redact::{REDACTED, Redactor};

use crate::words::first_line;

/// Shorter values are not taken for secrets.
const SHORTEST: usize = 6;

pub(crate) fn run(data: &[u8]) {
    let (secret, text) = first_line(data);
    let secret = String::from_utf8_lossy(secret).trim().to_owned();
    let text = String::from_utf8_lossy(text);
    let redactor = Redactor::new([&secret]);

    let left = redactor.redact(&text);
    // Nothing but secrets is changed: what is left stands in the text, in that order.
    if !text.contains(REDACTED) {
        let mut rest = &*text;
        for kept in left.split(REDACTED) {
            let at = rest.find(kept).unwrap_or_else(|| panic!("{text:?} became {left:?}"));
            rest = &rest[at + kept.len()..];
        }
    }
    // Each secret has a byte at least.
    assert!(left.len() <= text.len() * REDACTED.len());

    // The frame of a key is none; a bracket may be part of what stands where a secret stood.
    if secret.starts_with("-----") {
        return;
    }
    if secret.len() < SHORTEST || secret.contains(['[', ']']) || REDACTED.contains(&secret) {
        return;
    }
    assert!(!left.contains(&secret), "{text:?} became {left:?}");
    let (before, after) = halves(&text);
    let left = redactor.redact(&format!("{before}{secret}{after}")).into_owned();
    assert!(left.contains(REDACTED), "{secret:?} was not seen in {text:?}");
    assert!(!left.contains(&secret), "{secret:?} is left in {left:?}");
    // Escapes and codes are read in their surroundings: half of one before them is another one.
    let json = serde_json::Value::from(secret.as_str()).to_string();
    let [upper, lower] = percent_encoded(&secret);
    for written in [&upper, &lower, &json[1..json.len() - 1]] {
        let said = format!("{before}\n{written}\n{after}");
        assert!(redactor.redact(&said).contains(REDACTED), "{written:?} was not seen in {said:?}");
    }
    let coded = STANDARD.encode(format!("{before}{secret}{after}"));
    assert!(redactor.redact(&coded).contains(REDACTED), "{coded} has {secret:?} in it");
}

/// What stands in a URL for it, with capital and with small digits.
fn percent_encoded(text: &str) -> [String; 2] {
    let with = |code: fn(u8) -> String| {
        let stays = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let coded = |byte: u8| if stays(&byte) { char::from(byte).into() } else { code(byte) };
        text.bytes().map(coded).collect()
    };
    [with(|byte| format!("%{byte:02X}")), with(|byte| format!("%{byte:02x}"))]
}

fn halves(text: &str) -> (&str, &str) {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at));
    text.split_at(middle.unwrap_or_default())
}
