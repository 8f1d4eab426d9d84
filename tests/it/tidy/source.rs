//! A Rust source file as the rules see it: its text, and its code alone.

/// One file of the repository.
pub(super) struct SourceFile {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with every comment and every literal blanked, line by line as before: a rule about
    /// code must not stumble over a sentence that names what it forbids.
    pub(super) code: String,
}

impl SourceFile {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let code = code_alone(&text);
        Self { path: path.into(), text, code }
    }

    /// Whether a path begins with one of `homes`: a folder ends in `/`, a module does not, so that
    /// `worker/src/git` means `git.rs` and everything in `git/`.
    pub(super) fn lives_in(&self, homes: &[&str]) -> bool {
        homes.iter().any(|home| {
            self.path.strip_prefix(home).is_some_and(|rest| {
                home.ends_with('/') || rest == ".rs" || rest.starts_with('/') || rest.is_empty()
            })
        })
    }

    /// The numbers of the lines of code for which `broken` holds.
    pub(super) fn lines_where(&self, broken: impl Fn(&str) -> bool) -> Vec<usize> {
        let lines = self.code.lines().enumerate();
        lines.filter(|(_, line)| broken(line)).map(|(index, _)| index + 1).collect()
    }

    /// The first line of test code, if there is any: all of a test file, or from `mod tests` on.
    pub(super) fn first_test_line(&self) -> Option<usize> {
        if self.path.starts_with("tests/") || self.path.contains("/tests/") {
            return Some(1);
        }
        if self.path.ends_with("/tests.rs") {
            return Some(1);
        }
        self.lines_where(|line| line.trim_start().starts_with("mod tests {")).first().copied()
    }
}

/// Blanks comments, strings and characters; keeps line ends.
fn code_alone(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let opaque = opaque_length(rest, code.chars().next_back());
        if opaque > 0 {
            code.extend(rest[..opaque].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[opaque..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// How many bytes of `rest` are one comment or literal; 0 when it begins with code.
fn opaque_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_name && let Some(length) = raw_string_length(rest) {
        return length;
    }
    if rest.starts_with('\'') && is_character(rest) {
        return quoted_length(rest, '\'');
    }
    0
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn is_character(rest: &str) -> bool {
    let mut following = rest.chars().skip(1);
    match following.next() {
        Some('\\') => true,
        Some(_) => following.next() == Some('\''),
        None => false,
    }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return index + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#` and so on, with or without a leading `b`.
fn raw_string_length(rest: &str) -> Option<usize> {
    let after_r = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let body = after_r.trim_start_matches('#');
    let hashes = &after_r[..after_r.len() - body.len()];
    body.strip_prefix('"')?;
    let close = format!("\"{hashes}");
    let start = rest.len() - body.len() + 1;
    Some(rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

#[test]
fn comments_and_literals_are_not_code() {
    let blank = |text: &str| code_alone(text).split_whitespace().collect::<String>();
    assert_eq!(blank("a // sleep()\nb"), "ab");
    assert_eq!(blank("a /* sleep()\n sleep() */ b"), "ab");
    assert_eq!(blank(r#"a("sleep() \" sleep()", b)"#), "a(,b)");
    assert_eq!(blank(r##"a(r#"sleep() " "#, br"\", b)"##), "a(,,b)");
    assert_eq!(blank(r"a('\'', '/', b'\\', x::<'c>())"), "a(,,b,x::<'c>())");
    assert_eq!(blank("for\"//\"; b"), "for;b");
    assert_eq!(code_alone("a\n/* \n */\nb").lines().count(), 4);
}

#[test]
fn a_home_is_a_module_or_a_folder_not_a_prefix() {
    let lives = |path: &str| SourceFile::new(path, "").lives_in(&["worker/src/git", "xtask/"]);
    assert!(lives("worker/src/git.rs") && lives("worker/src/git/mirror.rs"));
    assert!(lives("xtask/src/main.rs"));
    assert!(!lives("worker/src/github.rs") && !lives("worker/src/github/rest.rs"));
}
