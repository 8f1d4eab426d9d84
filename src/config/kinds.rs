//! What a single value may be: durations, sizes, addresses, names.
//!
//! Owns the sentence that says what is expected. Never repeats the value: it may be a secret.

use std::str::FromStr;
use std::time::Duration;

use super::document::{Node, Value};
use super::problem::Origin;

/// The longest duration that makes sense anywhere, so that sums of them cannot overflow.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Some text.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match &node.value {
        Value::Text(text) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err("expected some text in quotes".to_owned()),
    }
}

/// Text that parses, with what is expected of it.
pub(super) fn parsed<T: FromStr>(
    expected: &'static str,
) -> impl FnOnce(&Node) -> Result<T, String> {
    move |node| {
        let parsed = text(node).ok().and_then(|text| text.trim().parse().ok());
        parsed.ok_or_else(|| format!("expected {expected}"))
    }
}

/// A name of this crate's, told by its own rule.
pub(super) fn named<T>(
    new: impl FnOnce(String) -> Result<T, crate::names::BadName>,
) -> impl FnOnce(&Node) -> Result<T, String> {
    move |node| new(text(node)?).map_err(|bad| format!("expected {}", bad.expected()))
}

/// One of a few words.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl FnOnce(&Node) -> Result<T, String> {
    move |node| {
        let found = text(node).ok();
        let of = |(word, value): &(&str, T)| (found.as_deref() == Some(*word)).then_some(*value);
        words.iter().find_map(of).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("expected {}", all.join(" or "))
        })
    }
}

/// A yes or a no; a variable spells it as text.
pub(super) fn flag(node: &Node) -> Result<bool, String> {
    match (&node.value, &node.origin) {
        (Value::Flag(flag), _) => Some(*flag),
        (Value::Text(text), Origin::Variable(_)) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "expected true or false".to_owned())
}

/// A whole number within bounds; a variable spells it as text.
pub(super) fn count(least: u32, most: u32) -> impl FnOnce(&Node) -> Result<u32, String> {
    move |node| {
        let number = match (&node.value, &node.origin) {
            (Value::Integer(number), _) => u32::try_from(*number).ok(),
            (Value::Text(text), Origin::Variable(_)) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("expected a number from {least} to {most}"))
    }
}

/// A duration above zero and of at most a week.
pub(super) fn duration(node: &Node) -> Result<Duration, String> {
    match duration_or_zero(node) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => {
            Err("expected a duration such as \"30s\", \"5m\" or \"2h\", above 0 and at most a week"
                .to_owned())
        }
    }
}

/// A duration of at most a week that may be none at all.
pub(super) fn duration_or_zero(node: &Node) -> Result<Duration, String> {
    text(node)
        .ok()
        .and_then(|text| humantime::parse_duration(text.trim()).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "expected a duration such as \"30s\" or \"5m\", at most a week".to_owned())
}

/// A number of bytes such as `"25MB"`, from 1 kB to 1 GiB.
pub(super) fn size(node: &Node) -> Result<usize, String> {
    let expected = || "expected a size such as \"25MB\" or \"512KiB\", 1KB to 1GiB".to_owned();
    let text = text(node).map_err(|_| expected())?;
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "KIB" => 1 << 10,
        "MIB" => 1 << 20,
        "GIB" => 1 << 30,
        _ => return Err(expected()),
    };
    let number: usize = number.parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(unit).filter(|bytes| (1_000..=1 << 30).contains(bytes));
    bytes.ok_or_else(expected)
}

/// Several values: a list, or in a variable separated by commas.
pub(super) fn list<T>(
    item: impl Fn(&Node) -> Result<T, String>,
) -> impl FnOnce(&Node) -> Result<Vec<T>, String> {
    move |node| match (&node.value, &node.origin) {
        (Value::List(nodes), _) => nodes.iter().map(item).collect(),
        (Value::Text(text), Origin::Variable(_)) => {
            let part = |part: &str| Node {
                origin: node.origin.clone(),
                value: Value::Text(part.trim().to_owned()),
            };
            text.split(',').map(|text| item(&part(text))).collect()
        }
        _ => Err("expected a list in brackets".to_owned()),
    }
}

/// An environment variable's name: upper case, so that a secret pasted here is not taken for one
/// (and then shown).
pub(super) fn variable(node: &Node) -> Result<String, String> {
    let is_name = |text: &str| {
        text.len() <= 100
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    text(node).ok().filter(|text| is_name(text)).ok_or_else(|| {
        "expected the name of an environment variable (A-Z, 0-9 and _), not its value".to_owned()
    })
}

/// An `http` or `https` address without credentials, query or trailing slash.
pub(super) fn base_url(node: &Node) -> Result<String, String> {
    const EXPECTED: &str = "expected an address such as \"https://github.example.com/api/v3\", \
                            without credentials or query";
    let text = text(node).map_err(|_| EXPECTED.to_owned())?;
    let is_sound = ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.is_empty()
                && rest.bytes().all(|b| b.is_ascii_graphic() && !b"@?#\"<>\\`".contains(&b))
        })
    });
    if is_sound { Ok(text.trim_end_matches('/').to_owned()) } else { Err(EXPECTED.to_owned()) }
}
