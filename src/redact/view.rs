//! A text as its reader means it: without colours, escapes and encodings.
//!
//! Owns which ways of writing a character there are, and where each one stood. Refuses to know what
//! a secret is.

use std::borrow::Cow;
use std::ops::Range;

/// Invisible marks, bidi controls and soft hyphens: nothing that a reader sees.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// What a text reads like, and which bytes of the text each of its bytes was written with.
pub(super) struct View<'a> {
    pub(super) text: Cow<'a, str>,
    /// For each byte; empty where the view is the text.
    written: Vec<(usize, usize)>,
}

impl<'a> View<'a> {
    /// The text without what colours and invisible marks add to it, with escapes (`\n`, `\"`,
    /// `\u00e4`), entities (`&amp;`) and percent-encoded ASCII (`%2F`) read.
    pub(super) fn of(text: &'a str) -> Self {
        let differs = |b: u8| matches!(b, 0x1b | b'\\' | b'%' | b'&' | 0xc2 | 0xe2 | 0xef);
        if !text.bytes().any(differs) {
            return Self { text: Cow::Borrowed(text), written: Vec::new() };
        }
        let mut view = Self::empty(text.len());
        let mut tokens = Tokens { text, at: 0 };
        while let Some((read, range)) = tokens.next_seen() {
            view.push(read, range);
        }
        view
    }

    /// The same without white space and the frames that are drawn around lines: what was wrapped is
    /// one word again. `None` where nothing was wrapped.
    pub(super) fn unwrapped(&self) -> Option<View<'static>> {
        if !self.text.contains(['\n', '\r']) {
            return None;
        }
        let mut view = View::empty(self.text.len());
        for (at, c) in self.text.char_indices().filter(|(_, c)| !is_wrapping(*c)) {
            view.push(c, self.written(&(at..at + c.len_utf8())));
        }
        Some(view)
    }

    fn empty(room: usize) -> View<'static> {
        View { text: Cow::Owned(String::with_capacity(room)), written: Vec::with_capacity(room) }
    }

    fn push(&mut self, c: char, written: Range<usize>) {
        self.text.to_mut().push(c);
        self.written.extend(std::iter::repeat_n((written.start, written.end), c.len_utf8()));
    }

    /// Where these bytes of the view, at least one, stand in the text.
    pub(super) fn written(&self, range: &Range<usize>) -> Range<usize> {
        let (first, last) = (range.start, range.end.saturating_sub(1).max(range.start));
        match (self.written.get(first), self.written.get(last)) {
            (Some((start, _)), Some((_, end))) => *start..*end,
            _ => range.clone(),
        }
    }
}

/// White space, and what terminals draw at the ends of a line.
pub(super) fn is_wrapping(c: char) -> bool {
    c.is_whitespace() || matches!(c, '│' | '┃' | '║')
}

/// Reads a text character by character.
#[derive(Clone)]
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    /// The next character that is seen, and how it was written.
    fn next_seen(&mut self) -> Option<(char, Range<usize>)> {
        loop {
            let start = self.at;
            match self.next_escaped()? {
                '\u{1b}' => self.skip_colour(),
                c if is_unseen(c) => {}
                c => return Some((c, start..self.at)),
            }
        }
    }

    /// The next character, with the backslashes before it read: they are dropped, however many
    /// layers of quoting put them there.
    fn next_escaped(&mut self) -> Option<char> {
        let mut c = self.next_decoded()?;
        if c != '\\' {
            return Some(c);
        }
        while c == '\\' {
            c = self.next_decoded()?;
        }
        match c {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'x' => Some(self.coded(2).unwrap_or('x')),
            'u' => Some(self.braced().or_else(|| self.coded(4)).unwrap_or('u')),
            c => Some(c),
        }
    }

    /// The next character, with a percent code or an entity read as what it stands for.
    fn next_decoded(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let mut c = rest.chars().next()?;
        let mut length = c.len_utf8();
        let coded = match c {
            '%' => percent_code(rest).map(|c| (c, 3)),
            '&' => entity(rest),
            _ => None,
        };
        if let Some(coded) = coded {
            (c, length) = coded;
        }
        self.at += length;
        Some(c)
    }

    /// Skips the rest of a terminal's control sequence; its first character is read already.
    fn skip_colour(&mut self) {
        let mut ahead = self.clone();
        if ahead.next_decoded() != Some('[') {
            return;
        }
        // None of them is long.
        for _ in 0..32 {
            match ahead.next_decoded() {
                Some('\u{20}'..='\u{3f}') => {}
                Some('\u{40}'..='\u{7e}') => return *self = ahead,
                _ => return,
            }
        }
    }

    /// A character by its code of so many hexadecimal digits.
    fn coded(&mut self, digits: usize) -> Option<char> {
        let code = self.text.get(self.at..self.at + digits)?;
        let c = char_of(code)?;
        self.at += digits;
        Some(c)
    }

    /// The same in braces.
    fn braced(&mut self) -> Option<char> {
        let rest = self.text[self.at..].strip_prefix('{')?;
        let code = &rest[..rest.bytes().take(7).position(|b| b == b'}')?];
        let c = char_of(code)?;
        self.at += code.len() + 2;
        Some(c)
    }
}

fn char_of(code: &str) -> Option<char> {
    let is_hex = !code.is_empty() && code.bytes().all(|b| b.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(code, 16).ok().filter(|_| is_hex)?)
}

/// An ASCII character in percent-encoding.
fn percent_code(rest: &str) -> Option<char> {
    char_of(rest.get(1..3)?).filter(char::is_ascii)
}

/// The entities that renderers and serializers write, and how long they are.
fn entity(rest: &str) -> Option<(char, usize)> {
    let end = rest.bytes().take(10).position(|b| b == b';')?;
    let c = match &rest[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let number = name.strip_prefix('#')?;
            match number.strip_prefix(['x', 'X']) {
                Some(code) => char_of(code)?,
                None if number.bytes().all(|b| b.is_ascii_digit()) => {
                    char::from_u32(number.parse().ok()?)?
                }
                None => return None,
            }
        }
    };
    Some((c, end + 1))
}
