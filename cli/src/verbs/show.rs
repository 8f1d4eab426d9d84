//! How moments and durations are said to people.

use std::time::Duration;

/// How long something takes or took, in its two largest units at most.
pub(crate) fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long ago a moment was, both in milliseconds since 1970.
pub(crate) fn since(now_ms: u64, then_ms: u64) -> String {
    long(Duration::from_millis(now_ms.saturating_sub(then_ms)))
}

/// A duration for programs.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of a text, on one line.
pub(crate) fn short(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A number of things.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let said = [5, 65, 3700, 90_000].map(|seconds| long(Duration::from_secs(seconds)));
        assert_eq!(said, ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn what_is_long_is_cut_between_letters_and_kept_on_one_line() {
        assert_eq!(short("äöü\nx", 4), "äöü …");
        assert_eq!(short("äöü", 3), "äöü");
    }
}
