//! What leaves: no secret, nothing that others wrote taken for ours, nothing of ours taken for a
//! command.

use super::{Guard, guard};

const BOARD: &str = "src/pipeline/board.rs";
const OUTCOME: &str = "producer/src/actions/outcome.rs";
const PROGRESS: &str = "producer/src/actions/progress.rs";

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "a secret in a check or comment",
        BOARD,
        [
            "out.push_str(&self.redactor.redact(&text[told..]));\n        out",
            "out.push_str(&text[told..]);\n        out",
        ],
        &["secrets::"],
    ),
    guard(
        "a secret beside one of our own hidden lines",
        BOARD,
        [
            "line.starts_with(HIDDEN) && line.find(\"-->\")",
            "line.starts_with(HIDDEN) || line.find(\"-->\")",
        ],
        &["board::", "secrets::"],
    ),
    guard(
        "a hidden line of ours that is not found again",
        BOARD,
        ["if is_ours(line) {", "if false && is_ours(line) {"],
        &["board::", "secrets::"],
    ),
    guard(
        "a secret in a log",
        "service/src/logs.rs",
        ["let mut out = redacted(&text);", "let mut out = Cow::Borrowed(&*text);"],
        &["logs::"],
    ),
    guard(
        "a line of a log that is no JSON any more",
        "service/src/logs.rs",
        ["&& serde_json::from_str::<IgnoredAny>(changed).is_err()", "&& changed.is_empty()"],
        &["logs::"],
    ),
    guard(
        "a secret in the error that a program ends with",
        "service/src/logs.rs",
        ["redacted(&format!(\"{error:#}\"))", "format!(\"{error:#}\")"],
        &["logs::"],
    ),
    guard(
        "a secret between colours",
        "src/redact/view.rs",
        ["'\\u{1b}' => self.skip_colour(),", "'\\u{1b}' => {}"],
        &["redact::"],
    ),
    guard(
        "a secret that was wrapped",
        "src/redact.rs",
        ["found.extend(ranges.map(|range| unwrapped.written(&range.range())));", "drop(ranges);"],
        &["redact::"],
    ),
    guard(
        "a comment that quotes our marker",
        "worker/src/github/comments.rs",
        ["all.filter(|comment| comment.viewer_did_author)", "all.filter(|_| true)"],
        &["a_quoted_marker_is_nobodys_sticky_comment"],
    ),
    guard(
        "a line that a workflow's runner takes for a command",
        PROGRESS,
        ["match text.trim_start().starts_with(\"::\") {", "match false {"],
        &["actions::"],
    ),
    guard(
        "a line that a workflow's runner takes for an old command",
        PROGRESS,
        ["text.replace(\"##[\", \"##\\u{200b}[\")", "text.replace(\"##[\", \"##[\")"],
        &["actions::"],
    ),
    guard(
        "a value that adds another output to a workflow",
        "producer/src/actions/output.rs",
        ["if !value.contains(['\\n', '\\r']) {", "if true {"],
        &["actions::"],
    ),
    guard(
        "an event's file of any size",
        "producer/src/actions/step.rs",
        ["bytes.len() as u64 <= LARGEST", "true"],
        &["actions::"],
    ),
    guard(
        "a step that ends while a check is open",
        OUTCOME,
        ["&& !self.shown.checks.values().any(|check| check.is_open())", ""],
        &["actions::"],
    ),
    guard(
        "a step that waits for a head that was replaced",
        OUTCOME,
        ["== Some(\"dead\") || self.is_replaced() || {", "== Some(\"dead\") || {"],
        &["actions::"],
    ),
    guard(
        "a trail of what nobody waits for",
        "store/src/journal/book.rs",
        ["if !self.job.cause.starts_with(WAITED_FOR) {", "if false {"],
        &["journal::"],
    ),
];
