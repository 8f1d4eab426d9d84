//! A GitHub that fails, limits and repeats.

use super::{Guard, guard};

const BUDGET: &str = "worker/src/github/budget.rs";
const CLIENT: &str = "worker/src/github/client.rs";
const DELIVERIES: &str = "worker/src/github/deliveries.rs";
const LIMITS: &str = "worker/src/github/limits.rs";
const MISSED: &str = "src/pipeline/missed.rs";
const REPORT: &str = "worker/src/github/report.rs";

/// What our client does with a GitHub that answers in all ways.
const CLIENTS: &[&str] = &["contracts::github", "reading::", "transport::", "stories::merges"];

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "a limit that is said in words only",
        LIMITS,
        ["|| said.contains(\"rate limit\")", ""],
        &["limits::"],
    ),
    guard(
        "a limit that GraphQL says with a success",
        "worker/src/github/graphql.rs",
        ["let limited = body.errors.iter().any(Problem::is_limit);", "let limited = false;"],
        CLIENTS,
    ),
    guard(
        "requests while GitHub wants to hear none",
        CLIENT,
        ["budget.close(after, instant);", "let _ = instant;"],
        CLIENTS,
    ),
    guard(
        "one API's used-up hour that stops the other",
        CLIENT,
        ["is_none_or(|left| left.remaining > 0)", "is_none_or(|_| true)"],
        CLIENTS,
    ),
    guard(
        "the last of an hour spent on what can wait",
        CLIENT,
        ["budget.told(api, left, instant);", "let _ = (api, left);"],
        CLIENTS,
    ),
    guard(
        "the last of the writes spent on what can wait",
        BUDGET,
        ["wait = wait.max(bucket.wait(by.leaves()));", "wait = wait.max(bucket.wait(0.0));"],
        &["budget::"],
    ),
    guard(
        "more writes in a minute than GitHub takes",
        BUDGET,
        ["state.writes.iter_mut().for_each(|bucket| bucket.tokens -= 1.0);", ""],
        &["budget::"],
    ),
    guard(
        "progress that waits for its turn",
        BUDGET,
        ["if waited + wait > priority.patience() {", "if waited + wait > LONGEST_WAIT {"],
        &["budget::"],
    ),
    guard(
        "a merge that waits for a place among other requests",
        BUDGET,
        ["if by == Priority::Merge {", "if false {"],
        &["budget::"],
    ),
    guard(
        "mutations that count as reads",
        "worker/src/github/graphql.rs",
        ["if document.starts_with(\"mutation\") { Cost::Write }", "if false { Cost::Write }"],
        CLIENTS,
    ),
    guard(
        "a write that is repeated although it was done",
        REPORT,
        ["write.id = Some(run.id.clone());", ""],
        &["reporting::", "contracts::github"],
    ),
    guard(
        "an answer without an end",
        CLIENT,
        [
            "let answer = within(self.per_request, Box::pin(self.exchange(call, token))).await;",
            NO_LIMIT,
        ],
        &["transport::"],
    ),
    guard(
        "an answer of any size",
        CLIENT,
        ["Limited::new(body, ANSWER_BYTES)", "Limited::new(body, usize::MAX)"],
        &["transport::"],
    ),
    guard(
        "one webhook that holds back the others",
        DELIVERIES,
        [
            "Err(error @ GitHubError::Invalid(_)) => {",
            "Err(error @ GitHubError::Invalid(_)) if false => {",
        ],
        CLIENTS,
    ),
    guard(
        "a webhook that is sent again for ever",
        DELIVERIES,
        ["tried.len() < MOST_ATTEMPTS && tried", "tried"],
        &["deliveries::"],
    ),
    guard(
        "failed webhooks that are logged late",
        MISSED,
        ["newest_ms.saturating_sub(overlap).max(since_ms)", "newest_ms.max(since_ms)"],
        &["missed::"],
    ),
    guard(
        "a look at GitHub's log that begins anew each time",
        MISSED,
        ["self.seen_ms.map_or(earliest, |seen_ms| seen_ms.max(earliest))", "earliest"],
        &["missed::"],
    ),
    guard(
        "a look at GitHub's log that goes back for days",
        MISSED,
        ["seen_ms.max(earliest)", "seen_ms"],
        &["missed::"],
    ),
];

const NO_LIMIT: &str = "let answer = Box::pin(self.exchange(call, token)).await;";
