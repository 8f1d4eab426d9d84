//! What statuses have no room for: one comment of ours with a page for each check of the head.
//!
//! Whoever may write to the repository may edit it, so nothing in it counts by itself: a page is
//! what was written only if its digest is the one that the check's status names. Owns the format,
//! its bounds and the digest. Refuses to ask anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sluice::github::{CheckStatus, CheckWrite};
use sluice::names::Sha;
use sluice::outcome::Conclusion;
use sluice::render::comment::MOST;
use sluice::render::markdown::cut;

/// How our hidden lines begin. No text of others has a line that does.
const HIDDEN: &str = "<!-- sluice:";
const OF: &str = "<!-- sluice:checks-of ";
const PAGE: &str = "<!-- sluice:page ";
const END: &str = "<!-- sluice:page-end -->";
const CLOSE: &str = " -->";

/// The most that people read of one page, in bytes: what six of them have room for beside a seal.
const MOST_SEEN: usize = 8 * 1024;

/// The pages of one head, in the order in which they were begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::github) struct Pages {
    pub(super) head: Sha,
    pages: Vec<Page>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    name: String,
    text: String,
}

/// The hidden text that tells the pages of a project from any other comment, by that of its sticky
/// comment; never with that in it.
pub(in crate::github) fn marker(sticky: &str) -> String {
    let digest = hex::encode(Sha256::digest(sticky));
    format!("<!-- sluice:checks {} -->", &digest[..24])
}

/// What a page keeps of a check: what it came to; of one that is open, whose words change with each
/// step, or that came to nothing, only the hidden lines.
pub(super) fn kept(check: &CheckWrite) -> String {
    let text = check.summary.replace('\r', "");
    match check.status {
        CheckStatus::Completed(Conclusion::Neutral | Conclusion::Cancelled)
        | CheckStatus::Queued
        | CheckStatus::InProgress => {
            text.lines().filter(|line| is_hidden(line)).collect::<Vec<_>>().join("\n")
        }
        CheckStatus::Completed(_) => text.trim().to_owned(),
    }
}

fn is_hidden(line: &str) -> bool {
    line.starts_with(HIDDEN) && line.trim_end().ends_with("-->")
}

impl Pages {
    pub(super) fn new(head: Sha) -> Self {
        Self { head, pages: Vec::new() }
    }

    /// The pages that a comment holds, of whichever head.
    pub(in crate::github) fn read(body: &str) -> Option<Self> {
        let mut lines = body.lines();
        let head = lines.by_ref().find_map(|line| line.strip_prefix(OF)?.strip_suffix(CLOSE))?;
        let mut pages = Self::new(Sha::new(head).ok()?);
        let mut open: Option<(String, Vec<&str>)> = None;
        for line in lines {
            let begun = line.strip_prefix(PAGE).and_then(|rest| rest.strip_suffix(CLOSE));
            match (begun, &mut open) {
                (Some(name), _) => open = Some((named(name)?, Vec::new())),
                (None, Some(_)) if line == END => {
                    if let Some((name, text)) = open.take() {
                        pages.put(Page { name, text: text.join("\n") });
                    }
                }
                (None, Some((_, text))) => text.push(line),
                (None, None) => {}
            }
        }
        Some(pages)
    }

    /// Writes a check's page, or takes it away when there is nothing to keep.
    pub(super) fn write(&mut self, check: &CheckWrite) {
        let mut page = Page { name: check.name.clone(), text: kept(check) };
        page.shorten(MOST_SEEN);
        self.put(page);
    }

    fn put(&mut self, page: Page) {
        let place = self.pages.iter().position(|other| other.name == page.name);
        match (place, page.text.is_empty()) {
            (Some(place), true) => drop(self.pages.remove(place)),
            (Some(place), false) => self.pages[place] = page,
            (None, true) => {}
            (None, false) => self.pages.push(page),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The text of a page, if it is the one that was digested so.
    pub(super) fn text(&self, name: &str, digest: &str) -> Option<&str> {
        let page = self.pages.iter().find(|page| page.name == name)?;
        (page.digest() == digest).then_some(page.text.as_str())
    }

    /// The digest that a check's status has to name, whether its page could be kept or not; `None`
    /// when nothing is to be kept of it.
    pub(super) fn due(&self, check: &CheckWrite) -> Option<String> {
        let text = kept(check);
        if text.is_empty() {
            return None;
        }
        let page = self.pages.iter().find(|page| page.name == check.name);
        let lost = || Page { name: check.name.clone(), text }.digest();
        Some(page.map_or_else(lost, Page::digest))
    }

    /// The comment, never longer than GitHub takes. When all have too little room, those of these
    /// names are cut, and left out at last: the statuses of the others name them as they are.
    pub(super) fn fitted(&mut self, marker: &str, names: &[&str]) -> String {
        let mut body = self.render(marker);
        for name in names {
            if body.len() > MOST
                && let Some(page) = self.pages.iter_mut().find(|page| page.name == *name)
            {
                page.shorten(0);
                body = self.render(marker);
            }
        }
        for name in names {
            if body.len() > MOST {
                self.pages.retain(|page| page.name != *name);
                body = self.render(marker);
            }
        }
        body
    }

    fn render(&self, marker: &str) -> String {
        let short = self.head.short();
        let mut out = format!(
            "{marker}\n**Details of the checks of `{short}`.** GitHub lets only Apps write check \
             runs; here they are commit statuses, which have no page of their own.\n\
             {OF}{}{CLOSE}\n",
            self.head
        );
        for page in &self.pages {
            let name = URL_SAFE_NO_PAD.encode(&page.name);
            let text = &page.text;
            let inner = format!("{PAGE}{name}{CLOSE}\n{text}\n{END}\n");
            match page.seen().trim() {
                "" => out.push_str(&format!("\n{inner}")),
                _ => out.push_str(&format!(
                    "\n<details>\n<summary>{}</summary>\n\n{inner}\n</details>\n",
                    spoken(&page.name)
                )),
            }
        }
        out
    }
}

impl Page {
    fn hidden(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| is_hidden(line))
    }

    fn seen(&self) -> String {
        self.text.lines().filter(|line| !is_hidden(line)).collect::<Vec<_>>().join("\n")
    }

    /// Cuts what is seen of it; hidden lines before it stay before it, the others come behind it.
    fn shorten(&mut self, room: usize) {
        let seen = self.seen();
        if seen.len() <= room {
            return;
        }
        let first: Vec<&str> = self.text.lines().take_while(|line| is_hidden(line)).collect();
        let last: Vec<&str> = self.hidden().skip(first.len()).collect();
        let cut = cut(&seen, room);
        let parts = first.into_iter().chain([cut.trim_end()]).chain(last);
        self.text = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    }

    /// 128 bits of SHA-256: nobody finds another text with the same.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{}\n{}\n", self.name.len(), self.name));
        digest.update(&self.text);
        URL_SAFE_NO_PAD.encode(&digest.finalize()[..16])
    }
}

fn named(encoded: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

/// A check's name in HTML: ours have none of these.
fn spoken(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '<' | '>' | '&' | '@' | '#' | '`')).collect()
}

#[cfg(test)]
mod tests;
