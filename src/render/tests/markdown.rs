//! Other people's text, judged by an independent reading of CommonMark.

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::render::markdown::{CUT, code, cut, fenced, foreign, plain, sentence};

/// Everything in a rendered text that has a power: mentions, references, HTML, links, images.
fn powers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                found.push(format!("link {dest_url}"));
            }
            Event::Html(html) | Event::InlineHtml(html) if !is_fold(&html) => {
                found.push(format!("html {html}"));
            }
            Event::Text(text) if !in_code => {
                let lower = text.to_lowercase();
                let links = ["://", "www.", "gh-1"].into_iter().filter(|link| lower.contains(link));
                found.extend(links.map(|link| format!("{link} in {text}")));
                let pairs = text.chars().zip(text.chars().skip(1));
                for (mark, next) in pairs {
                    if (mark == '@' && next.is_alphanumeric())
                        || (mark == '#' && next.is_ascii_digit())
                    {
                        found.push(format!("reference {text}"));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn is_fold(html: &str) -> bool {
    let html = html.trim();
    matches!(html, "<details>" | "<details open>" | "</details>" | "")
        || html
            .strip_prefix("<summary>")
            .and_then(|rest| rest.strip_suffix("</summary>"))
            .is_some_and(|inner| !inner.contains(['<', '@', '#']))
}

/// How many `<details>` are open at the end, or that one was closed that is not ours.
fn depth(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for event in Parser::new(text) {
        if let Event::Html(html) | Event::InlineHtml(html) = event {
            for tag in html.lines().map(str::trim) {
                match tag {
                    "<details>" | "<details open>" => depth += 1,
                    "</details>" => depth = depth.checked_sub(1)?,
                    _ => {}
                }
            }
        }
    }
    Some(depth)
}

#[test]
fn names_stay_names() {
    for name in ["db.orders", "`", "a`b", "``x", "</code>", "@erin", "a\nb", "", "<!-- sluice:x"] {
        let text = code(name);
        assert!(!text.contains('\n') && !text.contains("<!-- sluice"), "{text}");
        let events: Vec<Event<'_>> = Parser::new(&text).collect();
        assert_eq!(events.len(), 3, "{name:?} is one span of code: {events:?}");
        assert!(matches!(events[1], Event::Code(_)), "{name:?}: {events:?}");
    }
}

#[test]
fn structure_stays() {
    let markdown = "### Plan\n\n**Added:**\n- `db.orders` (Breaking)\n\n```diff\n- @a\n+ <b>\n```";
    assert_eq!(foreign(markdown), markdown);
    let folded = "<details>\n<summary>2 models</summary>\n* `a`\n</details>";
    assert_eq!(foreign(folded), "<details>\n\n<summary>2 models</summary>\n\n* `a`\n</details>\n");
}

#[test]
fn ways_out_are_closed() {
    let rows = [
        "@erin",
        "see acme/other#12",
        "<img src=x onerror=y>",
        "</details></details>",
        "</details>",
        "<details>\n```\n</details>\n@erin",
        "* a\n  ```\n@erin",
        "    ```\n@erin <b>",
        "> ```\n@erin",
        "* ```\n@erin",
        "~~~\n```\n~~~\n@erin",
        "~~~ `sql`\n@erin\n~~~\n@erin",
        "~~~~~~~~`\n@erin\n~~~\n@erin\n~~~~",
        "~a#~12, *gh*-1, g_h_~-~1, w~ww~.example.org, http:*//*x",
        "- ~~~~~\n- @erin\n~~~\n@erin",
        "````\n```\n@erin\n````\n@erin",
        "``` x`y\n@erin",
        "[a](http://x) ![b](http://y) [c]: http://z",
        "`a\nb` @erin `",
        "``@erin` ``",
        "<details>\n<summary>@erin</summary>",
        "&#64;erin &lt;b&gt;",
        "<!-- @erin\n-->",
        "\\[a](b)",
        "\\`@erin `x` `",
        "|a|`b|\n|-|-|\n|`|@erin|`|",
        "fixes GH-1, gh-12, closes https://github.com/acme/data/issues/1",
        "WWW.example.org and ftp://x",
        "<details>\n<summary>see https://example.org</summary>",
        "<summary># </summary>\r\n",
    ];
    for row in rows {
        let text = foreign(row);
        assert_eq!(powers(&text), [""; 0], "{row:?} became {text:?}");
        assert_eq!(depth(&text), Some(0), "{row:?} became {text:?}");
    }
}

#[test]
fn what_nobody_sees_is_shown() {
    for text in ["a\u{202e}b", "a\u{2066}b", "a\u{200b}b", "a\u{feff}b", "a\u{e0041}b"] {
        for shown in [code(text), fenced(text), plain(text), sentence(text), foreign(text)] {
            assert!(shown.contains("a\u{fffd}b"), "{text:?} became {shown:?}");
        }
    }
    assert_eq!(
        code("👩\u{200d}🔬 می\u{200c}خواهم"),
        "`👩\u{200d}🔬 می\u{200c}خواهم`",
        "joiners stay"
    );
}

#[test]
fn a_sentence_is_a_paragraph_whatever_it_begins_with() {
    for text in ["- x", "+ x", "* x", "1. x", "12) x", "# x", "> x", "    x", "---", "===", "~~~"] {
        let text = sentence(text);
        let starts: Vec<_> =
            Parser::new(&text).filter(|event| matches!(event, Event::Start(_))).collect();
        assert_eq!(starts, [Event::Start(Tag::Paragraph)], "{text:?}");
    }
}

#[test]
fn sentences_keep_their_code_and_nothing_else() {
    assert_eq!(sentence("Comment `/deploy` again."), "Comment `/deploy` again.");
    assert_eq!(sentence("odd ` one"), "odd \\` one");
    assert_eq!(sentence("a\nb"), "a b");
    assert_eq!(powers(&sentence("@erin #1 <b> [x](y) `@erin <b>`")), [""; 0]);
}

#[test]
fn a_fence_is_longer_than_any_inside() {
    assert_eq!(fenced("a"), "```\na\n```");
    assert_eq!(fenced("````\nx"), "`````\n````\nx\n`````");
    assert_eq!(fenced("``\r``\nx"), fenced("````\nx"), "what is left out divides nothing");
}

#[test]
fn a_cut_is_at_a_line_end_and_closes_what_is_open() {
    let text = format!("<details>\n\n```diff\n{}```\n\n</details>\n", "+ one line\n".repeat(50));
    assert_eq!(cut(&text, text.len()), text);
    let short = cut(&text, 200);
    assert!(short.len() <= 200 && short.ends_with(CUT));
    assert!(short.contains("+ one line\n```\n</details>\n"), "{short}");
    assert_eq!(cut(&text, 3), "");
}

fn nasty() -> impl Strategy<Value = String> {
    let bit = prop::sample::select(vec![
        "```",
        "````",
        "~~~",
        "`",
        "``",
        "</details>",
        "<details>",
        "<summary>",
        "</summary>",
        "<b>",
        "<!--",
        "-->",
        "@erin",
        "#12",
        "GH-1",
        "https://a",
        "www.a",
        "\u{202e}",
        "[a](b)",
        "![",
        "](x)",
        "\n",
        "\n",
        "\n\n",
        " ",
        "  ",
        "    ",
        "\t",
        "> ",
        "* ",
        "1. ",
        "- ",
        "# ",
        "---",
        "|",
        "\\",
        "&lt;",
        "\r\n",
        "sql",
        "é",
    ]);
    prop::collection::vec(bit, 0..30).prop_map(|bits| bits.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn foreign_markdown_has_no_power(text in nasty()) {
        let text = foreign(&text);
        prop_assert_eq!(powers(&text), [""; 0], "{}", text);
        prop_assert_eq!(depth(&text), Some(0), "{}", text);
    }

    #[test]
    fn plain_text_and_sentences_have_no_power(text in nasty()) {
        for text in [plain(&text.replace(['\n', '\r', '\t'], " ")), sentence(&text)] {
            prop_assert_eq!(powers(&format!("- {text}")), [""; 0], "{}", text);
        }
    }

    #[test]
    fn a_fenced_text_is_one_block(text in nasty()) {
        let block = fenced(&text);
        let blocks = Parser::new(&block).filter(|event| matches!(event, Event::Start(_))).count();
        prop_assert_eq!(blocks, 1, "{}", block);
        prop_assert_eq!(powers(&block), [""; 0], "{}", block);
    }

    #[test]
    fn a_cut_text_fits_and_is_closed(text in nasty(), room in 0usize..400) {
        let text = foreign(&text.repeat(8));
        let short = cut(&text, room);
        prop_assert!(short.len() <= room);
        prop_assert_eq!(powers(&short), [""; 0], "{}", short);
        prop_assert_eq!(depth(&short), Some(0), "{}", short);
    }
}
