//! Which head, on which base, with which plan.

use super::{Guard, guard};

const MERGEABILITY: &str = "src/policy/mergeability.rs";
const CLEARANCE: &str = "src/policy/clearance.rs";
const SEAL: &str = "src/seal.rs";
const STANDING: &str = "src/pipeline/standing.rs";
const TICKET: &str = "src/pipeline/deploy/ticket.rs";

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "a merge state that GitHub does not know",
        MERGEABILITY,
        [
            "MergeState::Unknown => Mergeability::AskAgain,",
            "MergeState::Unknown => Mergeability::Yes,",
        ],
        &["mergeability_that_github_never_tells_is_no_yes"],
    ),
    guard(
        "a draft",
        MERGEABILITY,
        ["if facts.draft || facts.merge_state == MergeState::Draft {", "if false {"],
        &["a_draft_is_not_deployed_until_it_is_ready", "policy::"],
    ),
    guard(
        "what protection rules block",
        MERGEABILITY,
        ["if minds_blocks && !only_we_block(facts, own_checks) => {", "if false => {"],
        &["a_check_of_another_app_blocks"],
    ),
    guard(
        "a head that is not the one that was asked for",
        CLEARANCE,
        ["(now != question.head).then(|| {", "false.then(|| {"],
        &["policy::", "a_head_that_moves_after_the_plan_stops_the_deploy"],
    ),
    guard(
        "a base branch that is not production's",
        CLEARANCE,
        ["(!policy.is_production(&facts.base_branch)).then(|| signal", "false.then(|| signal"],
        &["policy::"],
    ),
    guard(
        "a change of several projects",
        CLEARANCE,
        ["(!question.others.is_empty()).then(|| {", "false.then(|| {"],
        &["a_change_of_several_projects_is_gated_in_each_and_deployed_by_none"],
    ),
    guard(
        "a gate that failed",
        CLEARANCE,
        ["Some(GateOutcome::Passed | GateOutcome::NoChanges) => None,", "Some(_) => None,"],
        &["policy::", "held::"],
    ),
    guard(
        "a result that somebody forged",
        SEAL,
        ["mac.verify_slice(&URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;", ""],
        &["seal::", "a_forged_success_of_a_writer_deploys_nothing"],
    ),
    guard(
        "a result of another pull request",
        STANDING,
        ["result.pr == facts.number\n        && result.head", "result.head"],
        &["standing::"],
    ),
    guard(
        "a result of another base branch",
        STANDING,
        ["&& result.base_branch == facts.base_branch", ""],
        &["standing::"],
    ),
    guard(
        "a result under another policy",
        STANDING,
        ["&& result.policy == facts.policy", ""],
        &["a_new_policy_on_main_needs_a_new_gate"],
    ),
    guard(
        "an approval of a plan that was previewed after it",
        STANDING,
        ["|| review.submitted_ms >= from_ms", "|| true"],
        &["an_approval_is_not_taken_for_one_of_a_plan_that_was_previewed_after_it"],
    ),
    guard(
        "facts that changed while the plan was made",
        TICKET,
        ["clear::decide(cx, desk.job, &facts, &policy)", STALE],
        &["validate::", "an_approval_taken_back_while_the_plan_is_made_stops_the_apply"],
    ),
    guard(
        "a base that moved while the plan was made",
        TICKET,
        ["&& facts.base_project_tree != planned.facts.base_project_tree;", "&& false;"],
        &["a_base_that_moves_during_the_plan_is_planned_on_once_more"],
    ),
    guard(
        "a plan that is not the one that was previewed",
        "src/pipeline/deploy/plan.rs",
        ["if !unforeseen.is_empty() {", "if false {"],
        &["a_plan_that_changed_since_its_preview_asks_for_a_new_approval"],
    ),
    guard(
        "a merged tree that was never tested",
        "src/pipeline/deploy/plan.rs",
        ["if planned.bridge.session.checkout().tree != gate.tree {", "if false {"],
        &["a_change_that_breaks_on_what_was_merged_before_it_is_held"],
    ),
];

const STALE: &str = "clear::decide(cx, desk.job, &planned.facts, &policy)";
