//! Other people's text inside our Markdown.
//!
//! Owns how foreign text is quoted, and how a text is cut so that what is left still renders.
//! Refuses to know what the text is about.

/// The most that a name may take, in characters.
const MOST_NAME: usize = 200;

/// What is written where something was cut.
pub const CUT: &str = "*… cut here: GitHub takes no longer text.*";

/// A name as inline code, one line, whatever it contains.
pub fn code(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_NAME).collect();
    let name = unmarked(&seen(&name));
    let fence = "`".repeat(longest_run(&name, '`') + 1);
    let pad = if name.starts_with('`') || name.ends_with('`') { " " } else { "" };
    if name.trim().is_empty() {
        "` `".to_owned()
    } else {
        format!("{fence}{pad}{name}{pad}{fence}")
    }
}

/// A text as a fenced block, with a fence that is longer than any inside.
pub fn fenced(text: &str) -> String {
    let text = unmarked(&seen(&text.replace('\r', "")));
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!("{fence}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// Code without our own hidden marks, by which seals, comments and older plans are found again.
fn unmarked(code: &str) -> String {
    code.replace("<!-- sluice", "<!- - sluice")
}

/// What nobody sees, or what turns the order of what is seen around, as a visible sign: code that
/// reads otherwise than it is would be approved for what it is not.
fn seen(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Joiners are not among it: letters and emoji need them.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// A sentence of ours with names of others in it: code spans stay, the rest is plain text.
pub fn sentence(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = seen(&text);
    let text = if has_plain_spans(&text) { by_span(&text, plain) } else { plain(&text) };
    unlisted(&text)
}

/// A line that is no item of a list and no other block than a paragraph, whatever it begins with.
fn unlisted(line: &str) -> String {
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match line[digits..].chars().next() {
        Some('-' | '+' | '=') if digits == 0 => format!("\\{line}"),
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &line[..digits], &line[digits..]),
        _ => line.to_owned(),
    }
}

/// Whether backticks open and close code spans one after the other, without doubt: none doubled,
/// none escaped, none left over, none in what could be a table.
fn has_plain_spans(line: &str) -> bool {
    line.matches('`').count().is_multiple_of(2)
        && !["``", "\\`", "|"].iter().any(|doubt| line.contains(doubt))
}

/// The text with its code spans kept and what is between them changed.
fn by_span(text: &str, between: fn(&str) -> String) -> String {
    let each = |(index, span): (usize, &str)| {
        if index % 2 == 1 { format!("`{}`", unmarked(span)) } else { between(span) }
    };
    text.split('`').enumerate().map(each).collect()
}

/// Text without any power: no HTML, no code, no links, no mentions.
pub fn plain(text: &str) -> String {
    let text = seen(text);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '#' => out.extend([c, APART]),
            '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '|' | '!' => out.extend(['\\', c]),
            _ => push_apart(&mut out, c, rest.clone()),
        }
    }
    out
}

/// GitHub looks for mentions, numbers of issues and addresses in the *rendered* text, where an
/// entity is the character again; an invisible space behind it ends the match.
const APART: char = '\u{200b}';

/// A character, kept apart from its neighbours where GitHub would link them: `@somebody`, `#1`,
/// `GH-1`, `https://`, `www.`. Links to issues are entries in their timelines. Its neighbours are
/// those that a reader sees: marks of emphasis between them may be none in what is rendered.
fn push_apart(out: &mut String, c: char, mut rest: impl Iterator<Item = char>) {
    let follows = |word: &str| {
        let before = out.chars().rev().filter(|c| !is_emphasis(*c));
        before.map(|c| c.to_ascii_lowercase()).take(word.len()).eq(word.chars().rev())
    };
    let mut leads_to = |what: fn(char) -> bool| rest.find(|c| !is_emphasis(*c)).is_some_and(what);
    let is_digit = |next: char| next.is_ascii_digit();
    match c {
        '@' => out.extend([c, APART]),
        '#' if leads_to(is_digit) => out.extend([c, APART]),
        '-' if follows("gh") && leads_to(is_digit) => out.extend([c, APART]),
        ':' if leads_to(|next| next == '/') => out.extend([c, APART]),
        '.' if follows("www") => out.extend([APART, c]),
        _ => out.push(c),
    }
}

fn is_emphasis(c: char) -> bool {
    matches!(c, '*' | '_' | '~')
}

/// Somebody else's Markdown, such as SQLMesh's rendering of a plan: its structure and fenced blocks
/// stay; outside of them HTML (but `<details>`), mentions, links and images lose their power.
///
/// Fences are written anew at the first column and every tag gets an empty line behind it, so that
/// GitHub cannot be of another opinion than we about where a block ends. What it opens it closes.
pub fn foreign(text: &str) -> String {
    let mut open = Open::default();
    let mut lines = Vec::new();
    for line in text.replace('\r', "").lines() {
        match open.read(line) {
            Kind::Stray => {}
            Kind::Structure => lines.extend([line.trim().to_owned(), String::new()]),
            Kind::Fence => lines.push(bare_fence(line)),
            Kind::Code => lines.push(unmarked(&seen(line))),
            Kind::Prose => lines.push(tamed(line)),
        }
    }
    lines.extend(open.closing());
    lines.join("\n")
}

/// A fence with at most a language behind it.
fn bare_fence(line: &str) -> String {
    let line = line.trim();
    let run = line.chars().take_while(|c| matches!(c, '`' | '~')).count();
    let language = line[run..].chars().take_while(char::is_ascii_alphanumeric).take(20);
    line[..run].chars().chain(language).collect()
}

/// A line of prose: Markdown's emphasis and code spans stay, nothing else.
fn tamed(line: &str) -> String {
    if has_plain_spans(line) { by_span(line, unlinked) } else { unlinked(&line.replace('`', "'")) }
}

fn unlinked(text: &str) -> String {
    let text = seen(text);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // Entities are never syntax, where a backslash could be escaped by one before it.
            '[' => out.push_str("&#91;"),
            '\\' => out.push_str("&#92;"),
            // Three would begin a block.
            '~' if out.ends_with("~~") => {}
            _ => push_apart(&mut out, c, rest.clone()),
        }
    }
    out
}

/// The text up to the last line end within `room` bytes, closed, with a note that it was cut; the
/// text itself when it fits. Bytes, because no unit that GitHub may count in has more of them.
pub fn cut(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut fits = String::new();
    let mut open = Open::default();
    for line in text.lines() {
        if kept.len() + line.len() + 1 > room {
            break;
        }
        kept.push_str(line);
        kept.push('\n');
        open.read(line);
        let ending = open.closing().join("\n");
        let whole = if ending.is_empty() { kept.clone() } else { format!("{kept}{ending}\n") };
        if whole.len() + CUT.len() < room {
            fits = whole;
        }
    }
    match room {
        room if room >= CUT.len() => {
            format!("{fits}{}{CUT}", if fits.is_empty() { "" } else { "\n" })
        }
        _ => String::new(),
    }
}

/// What a text has opened so far and not closed.
#[derive(Debug, Default, Clone)]
struct Open {
    fence: Option<(char, usize)>,
    details: usize,
}

/// What a line is.
enum Kind {
    /// It opens or closes a fence.
    Fence,
    /// It is inside one.
    Code,
    /// It opens or closes a collapsed part, or is its heading.
    Structure,
    /// It closes what was never opened.
    Stray,
    /// Anything else.
    Prose,
}

impl Open {
    fn read(&mut self, line: &str) -> Kind {
        let trimmed = line.trim_start();
        let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = mark.map_or(0, |c| trimmed.chars().take_while(|x| *x == c).count());
        match (self.fence, mark) {
            (Some((c, length)), Some(mark))
                if mark == c && run >= length && trimmed[run..].trim().is_empty() =>
            {
                self.fence = None;
                Kind::Fence
            }
            (Some(_), _) => Kind::Code,
            (None, Some(mark)) if run >= 3 && (mark == '~' || !trimmed[run..].contains('`')) => {
                self.fence = Some((mark, run));
                Kind::Fence
            }
            _ => self.structure(line.trim()),
        }
    }

    fn structure(&mut self, line: &str) -> Kind {
        match line {
            "<details>" | "<details open>" => {
                self.details += 1;
                Kind::Structure
            }
            "</details>" if self.details > 0 => {
                self.details -= 1;
                Kind::Structure
            }
            "</details>" => Kind::Stray,
            _ if is_summary(line) => Kind::Structure,
            _ => Kind::Prose,
        }
    }

    fn closing(&self) -> Vec<String> {
        let fence = self.fence.map(|(c, length)| c.to_string().repeat(length));
        fence.into_iter().chain((0..self.details).map(|_| "</details>".to_owned())).collect()
    }
}

/// `<summary>…</summary>` with nothing in it that has a meaning.
fn is_summary(line: &str) -> bool {
    line.strip_prefix("<summary>")
        .and_then(|rest| rest.strip_suffix("</summary>"))
        .is_some_and(|inner| !inner.contains(['@', '#']) && unlinked(inner) == inner)
}
