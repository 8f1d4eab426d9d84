//! The forms of text and numbers that GitHub's descriptions name.

use serde_json::Value;

use crate::exceptions::NO_ADDRESS;

/// Whether a document has that form. Forms that are not known here are not checked.
pub(crate) fn fits(name: &str, document: &Value) -> bool {
    match (name, document) {
        ("date-time", Value::String(text)) => is_date_time(text),
        ("email", Value::String(text)) => text.contains('@') && !text.contains(' '),
        ("int64", Value::Number(number)) => number.is_i64(),
        ("uri", Value::String(text)) => is_uri(text) || text == NO_ADDRESS,
        ("uri-template", Value::String(text)) => is_uri(&text.replace(['{', '}'], "")),
        _ => true,
    }
}

/// A moment of RFC 3339.
pub(crate) fn is_date_time(text: &str) -> bool {
    let Some((whole, rest)) = text.split_at_checked(19) else { return false };
    let rest = rest
        .strip_prefix('.')
        .map_or(rest, |rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    let is_zone = match rest.split_at_checked(1) {
        Some(("Z" | "z", "")) => true,
        Some(("+" | "-", zone)) => is_like(zone, "00:00"),
        _ => false,
    };
    is_zone && is_like(&whole.to_uppercase(), "0000-00-00T00:00:00")
}

/// Whether a text has digits where the pattern has `0`, and else what the pattern has.
fn is_like(text: &str, pattern: &str) -> bool {
    let alike = |(byte, wanted): (u8, u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        wanted => byte == wanted,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(alike)
}

/// An absolute address.
pub(crate) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte);
    is_scheme && rest.bytes().all(is_allowed)
}
