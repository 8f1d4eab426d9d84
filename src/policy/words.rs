//! Words of others inside our sentences.
//!
//! Owns how a login, a branch or a check name is put into a sentence. Refuses to know Markdown
//! beyond the one character that would end a code span.

/// The most that a name of somebody else may take in a sentence, in characters.
const MOST: usize = 120;

/// A name as it may stand in a sentence: one line, bounded, and unable to open or end code.
pub(super) fn quoted(name: &str) -> String {
    name.chars().filter(|c| !c.is_control() && *c != '`').take(MOST).collect()
}

/// A name as code.
pub(super) fn code(name: &str) -> String {
    format!("`{}`", quoted(name))
}

/// "a", "a and b", "a, b and c".
pub(super) fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
