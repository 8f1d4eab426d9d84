//! Code of a fork, and what a change does not concern.

use super::{Guard, guard};

const FORK: &str = "src/pipeline/gate/fork.rs";

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "a deploy of a fork",
        "src/policy/clearance.rs",
        ["facts.fork.then(|| {", "false.then(|| {"],
        &["policy::", "code_of_a_fork_does_not_run_for_an_approval_or_a_deploy"],
    ),
    guard(
        "a fork's code that runs with credentials",
        "src/pipeline/bridge.rs",
        ["confined: facts.fork,", "confined: false,"],
        &["an_approver_has_the_code_of_a_fork_tested_apart"],
    ),
    guard(
        "a fork's code that nobody asked for",
        FORK,
        [
            "if let Err(refusals) = asked_for(cx, facts, policy).await? {",
            "if let Err(refusals) = Ok::<(), Vec<Refusal>>(()) {",
        ],
        &["a_forged_message_runs_no_code_of_a_fork"],
    ),
    guard(
        "a fork's head that the command does not name",
        "src/policy/signal.rs",
        [
            "} else if named_commit(&command.body).as_ref() != Some(&facts.head) {",
            "} else if false {",
        ],
        &["a_command_speaks_of_no_head_that_came_after_it"],
    ),
    guard(
        "a fork whose head is another pull request's",
        FORK,
        ["    if is_anothers(facts) {\n        let why", "    if false {\n        let why"],
        &["a_fork_with_the_head_of_another_pull_request_touches_none_of_its_checks"],
    ),
    guard(
        "checks of a fork that stay open for ever",
        FORK,
        ["CheckStatus::Queued | CheckStatus::InProgress => !is_left,", OPEN],
        &["checks_of_a_fork_that_nobody_comes_to_are_held_again"],
    ),
    guard(
        "a gate check of a project that is not concerned",
        "src/pipeline/route.rs",
        ["partition(|project| concerns(project, &facts.changed));", "partition(|_| true);"],
        &["only_the_project_that_a_change_belongs_to_is_gated_and_deployed"],
    ),
    guard(
        "a required check that hangs where nothing is concerned",
        "src/pipeline/route.rs",
        ["facts.required_pending.contains(&name) || is_open()", "is_open()"],
        &["what_is_required_of_other_projects_succeeds_at_once"],
    ),
    guard(
        "a gate check of a head that was replaced",
        "src/pipeline/supersede.rs",
        ["if now != *head => return now,", "if now != *head && false => return now,"],
        &["the_gate_of_an_older_head_is_killed_and_says_so"],
    ),
    guard(
        "a gate check while pushes follow each other",
        "src/pipeline/supersede.rs",
        ["Some(after) => Err(Stop::Later { why: WAITS.to_owned(), after }),", "Some(_) => Ok(()),"],
        &["no_gate_check_begins_while_pushes_follow_each_other"],
    ),
];

const OPEN: &str = "CheckStatus::Queued | CheckStatus::InProgress => !is_left || true,";
