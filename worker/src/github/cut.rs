//! Text that fits GitHub's limits: cut at a line's end, and saying so.

/// GitHub's limit for a check run's title, in characters.
const TITLE: usize = 255;
/// GitHub's limit for a check run's summary, in characters.
const SUMMARY: usize = 65_535;
/// GitHub's limit for a comment, in characters.
const COMMENT: usize = 65_536;
/// What a reader of a cut text is told.
const NOTICE: &str = "\n\n_The rest was cut: GitHub takes no more than this._";

/// A title: one line, cut with an ellipsis.
pub(super) fn title(text: &str) -> String {
    let line = text.replace(['\r', '\n'], " ");
    if line.chars().count() <= TITLE {
        return line;
    }
    line.chars().take(TITLE - 1).chain(['…']).collect()
}

/// A check run's summary.
pub(super) fn summary(text: &str) -> String {
    shortened(text, SUMMARY, "")
}

/// A comment. The marker by which we find it again is kept, wherever it stands.
pub(super) fn comment(text: &str, marker: &str) -> String {
    shortened(text, COMMENT, marker)
}

fn shortened(text: &str, most: usize, keep: &str) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let tail = NOTICE.chars().count() + 1 + keep.chars().count();
    let end = text.char_indices().nth(most.saturating_sub(tail)).map_or(text.len(), |(at, _)| at);
    let head = &text[..end];
    // A line that fills everything has no end within reach: then any character is one.
    let head = head.rfind('\n').map_or(head, |line| &head[..line]);
    let mut out = format!("{head}{NOTICE}");
    if !keep.is_empty() && !out.contains(keep) {
        out.push('\n');
        out.push_str(keep);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_left_alone() {
        assert_eq!(summary("ä\nb"), "ä\nb");
        assert_eq!(title("Deployed"), "Deployed");
    }

    #[test]
    fn long_text_is_cut_at_a_line_end_and_says_so() {
        let text = "a line with ä and 👀\n".repeat(10_000);
        let cut = summary(&text);
        assert!(cut.chars().count() <= SUMMARY);
        assert!(cut.chars().count() > SUMMARY - 200);
        assert!(cut.ends_with(NOTICE));
        assert!(cut.strip_suffix(NOTICE).is_some_and(|rest| rest.ends_with('👀')));
    }

    #[test]
    fn one_endless_line_is_cut_too() {
        assert!(summary(&"ä".repeat(100_000)).chars().count() <= SUMMARY);
        assert_eq!(title(&"ä".repeat(300)).chars().count(), TITLE);
    }

    #[test]
    fn the_marker_survives_at_either_end() {
        let marker = "<!-- sluice:x -->";
        let long = "line\n".repeat(30_000);
        for text in [format!("{marker}\n{long}"), format!("{long}{marker}")] {
            let cut = comment(&text, marker);
            assert!(cut.chars().count() <= COMMENT);
            assert_eq!(cut.matches(marker).count(), 1);
        }
    }
}
