//! Other people's text in what we write on GitHub, judged by an independent reading of it.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use sluice::names::Sha;
use sluice::outcome::{Reason, Refusal};
use sluice::render::comment::{CommentView, EarlierPlan, MOST, State, earlier, render};
use sluice::render::markdown::{code, cut, fenced, foreign, plain, sentence};

const MARKER: &str = "<!-- sluice:comment project=warehouse -->";

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let line = text.replace(['\n', '\r'], " ");

    for own in [plain(&line), sentence(&text), foreign(&text), fenced(&text), code(&text)] {
        assert_eq!(powers(&own), [""; 0], "{own:?}");
    }
    assert_eq!(blocks(&code(&text)), ["p"], "a name is a name");
    assert_eq!(blocks(&fenced(&text)), ["code"], "a block is one block");
    if !sentence(&text).trim().is_empty() {
        assert_eq!(blocks(&sentence(&text)), ["p"], "{:?} is no sentence", sentence(&text));
    }
    let room = text.len() / 2;
    let short = cut(&foreign(&text), room);
    assert!(short.len() <= room.max(foreign(&text).len().min(room)));
    assert_eq!(powers(&short), [""; 0], "{short:?}");
    comment(&text);
}

/// A whole comment is what it would be with harmless text in it.
fn comment(text: &str) {
    let head = Sha::new("c0ffee".repeat(7)[..40].to_owned()).unwrap();
    let kept = EarlierPlan {
        head: "01dc0de".to_owned(),
        title: "Prod plan preview of 01dc0de".to_owned(),
        body: foreign(text).trim().to_owned(),
    };
    let written = |sentence: &str| {
        let why = [Refusal::new(Reason::PlanError, sentence), Refusal::new(Reason::Dirty, "b")];
        let view = CommentView {
            head: &head,
            state: State::Refused(&why),
            environment: None,
            policy: None,
            approval: None,
            plan: None,
            earlier: vec![kept.clone()],
        };
        render(&view, MARKER)
    };
    let body = written(text);
    assert!(body.len() <= MOST);
    assert_eq!(powers(&body), [""; 0], "{body:?}");
    assert_eq!(body.matches(MARKER).count(), 1, "{body:?}");
    if text.len() < MOST / 16 {
        assert_eq!(
            earlier(&body),
            std::slice::from_ref(&kept),
            "older plans are found again in {body:?}"
        );
        if !text.trim().contains(['\n', '\r']) && !text.trim().is_empty() {
            assert_eq!(blocks(&body), blocks(&written("a")), "{body:?}");
        }
    }
}

fn parsed(text: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// The blocks that a text consists of, in order.
fn blocks(text: &str) -> Vec<&'static str> {
    let block = |event| match event {
        Event::Start(Tag::Paragraph) => Some("p"),
        Event::Start(Tag::CodeBlock(_)) => Some("code"),
        Event::Start(Tag::Heading { .. }) => Some("heading"),
        Event::Start(Tag::List(_)) => Some("list"),
        Event::Start(Tag::Item) => Some("item"),
        Event::Start(Tag::BlockQuote(_)) => Some("quote"),
        Event::Start(Tag::Table(_)) => Some("table"),
        Event::Start(Tag::HtmlBlock) => Some("html"),
        Event::Rule => Some("rule"),
        _ => None,
    };
    parsed(text).filter_map(block).collect()
}

/// Everything in a text that has a power: mentions, references, HTML, links, images.
fn powers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    let mut said = String::new();
    for event in parsed(text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                found.push(format!("link {dest_url}"));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                found.extend(html.lines().filter(|line| !is_ours(line)).map(str::to_owned));
            }
            // What emphasis and entities divide is one text to whoever looks for mentions.
            Event::Text(text) if !in_code => said.push_str(&text),
            Event::Code(_) | Event::SoftBreak | Event::HardBreak => said.push('\n'),
            Event::End(end) if !is_within_a_line(end) => said.push('\n'),
            _ => {}
        }
    }
    found.extend(references(&said));
    found
}

fn is_within_a_line(end: TagEnd) -> bool {
    matches!(end, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough)
}

fn is_ours(html: &str) -> bool {
    let html = html.trim();
    let is_mark = html.starts_with("<!-- sluice:")
        && html.find("-->") == Some(html.len() - 3)
        && ["<!-- sluice:plan ", "<!-- sluice:plan-end", MARKER]
            .iter()
            .any(|m| html.starts_with(m));
    let summary = html.strip_prefix("<summary>").and_then(|rest| rest.strip_suffix("</summary>"));
    let is_plain =
        summary.is_some_and(|inner| !inner.contains('<') && references(inner).is_empty());
    is_mark || is_plain || matches!(html, "<details>" | "<details open>" | "</details>" | "")
}

/// What GitHub would link in plain text.
fn references(said: &str) -> Vec<String> {
    let lower = said.to_ascii_lowercase();
    let next_is = |at: usize, what: fn(char) -> bool| lower[at..].chars().next().is_some_and(what);
    let mut found = Vec::new();
    for (mark, what) in [
        ("@", char::is_alphanumeric as fn(char) -> bool),
        ("#", |c: char| c.is_ascii_digit()),
        ("gh-", |c: char| c.is_ascii_digit()),
        ("http://", |c: char| !c.is_whitespace()),
        ("https://", |c: char| !c.is_whitespace()),
        ("ftp://", |c: char| !c.is_whitespace()),
        ("www.", |c: char| !c.is_whitespace()),
    ] {
        let hits = lower.match_indices(mark).filter(|(at, _)| next_is(at + mark.len(), what));
        found.extend(hits.map(|(at, _)| format!("{mark} at {at} of {said:?}")));
    }
    found
}
