//! One pattern of a CODEOWNERS file.
//!
//! Owns what it matches: mostly what git's ignore files match, with neither `!` nor `[]` nor a
//! `\#`, and with `dir/*` for what is right in a folder and no deeper. Every comparison takes at
//! most the product of both lengths, whatever is in a pattern.

/// A path in the repository, in its parts.
#[derive(Debug)]
pub(super) struct Path(Vec<Vec<char>>);

impl Path {
    pub(super) fn of(path: &str) -> Self {
        Self(path.split('/').map(|part| part.chars().collect()).collect())
    }
}

/// A pattern that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

/// What stands between two slashes.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Any number of folders, none among them.
    Folders,
    /// One name.
    Name(Vec<Piece>),
}

/// What a name is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// Any characters, or none.
    Any,
    /// Any one character.
    One,
    /// This one.
    This(char),
}

impl Pattern {
    /// Reads a pattern; `None` when GitHub does not take it for one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_odd = text.starts_with('!') || text.starts_with("\\#") || text.contains("***");
        if is_odd || text.contains(['[', ']', '\0', '\u{fffd}']) {
            return None;
        }
        let is_rooted = text.starts_with('/');
        let text = text.strip_prefix('/').unwrap_or(text);
        let (text, is_folder) = match text.strip_suffix('/') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let names: Vec<&str> = text.split('/').collect();
        let mut parts = Vec::with_capacity(names.len() + 3);
        if names.len() == 1 && !is_rooted {
            parts.push(Part::Folders);
        }
        for name in &names {
            parts.push(if *name == "**" { Part::Folders } else { Part::Name(pieces(name)?) });
        }
        match names.last().copied() {
            Some("**") if is_folder => parts.extend([any_name(), any_name(), Part::Folders]),
            // All that is inside, at least one name deep.
            _ if is_folder => parts.extend([any_name(), Part::Folders]),
            Some("**") => parts.push(any_name()),
            Some("*") => {}
            // A file, or a folder with all that is inside.
            _ => parts.push(Part::Folders),
        }
        Some(Self(parts))
    }

    /// Whether a file is meant.
    pub(super) fn matches(&self, path: &Path) -> bool {
        matches(
            &self.0,
            &path.0,
            |part| *part == Part::Folders,
            |part, name| match part {
                Part::Folders => true,
                Part::Name(pieces) => matches(
                    pieces,
                    name,
                    |piece| *piece == Piece::Any,
                    |piece, c| *piece == Piece::One || *piece == Piece::This(*c),
                ),
            },
        )
    }
}

fn any_name() -> Part {
    Part::Name(vec![Piece::Any])
}

/// A name that may have `*`, `?` and a backslash before what stands for itself.
fn pieces(name: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            '\\' => Piece::This(chars.next()?),
            c => Piece::This(c),
        });
    }
    Some(pieces)
}

/// Whether a list with wildcards, each for any number of things, matches a list of things. Only the
/// last wildcard that was met is ever tried again: whatever an earlier one could take, a later one
/// can take as well.
fn matches<P, T>(
    pattern: &[P],
    things: &[T],
    is_wild: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut thing) = (0, 0);
    let mut last_wild = None;
    loop {
        match pattern.get(at) {
            Some(part) if is_wild(part) => {
                last_wild = Some((at, thing));
                at += 1;
                continue;
            }
            Some(part) if things.get(thing).is_some_and(|one| fits(part, one)) => {
                at += 1;
                thing += 1;
                continue;
            }
            None if thing == things.len() => return true,
            _ => {}
        }
        match last_wild {
            Some((wild, taken)) if taken < things.len() => {
                last_wild = Some((wild, taken + 1));
                at = wild + 1;
                thing = taken + 1;
            }
            _ => return false,
        }
    }
}
