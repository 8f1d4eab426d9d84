//! One deploy at a time, and what prod runs is what main gets.

use super::{Guard, guard};

const TICKET: &str = "src/pipeline/deploy/ticket.rs";
const CLEAR: &str = "src/pipeline/deploy/clear.rs";
const MERGE: &str = "src/pipeline/deploy/merge.rs";
const GROUP: &str = "src/pipeline/group.rs";
const HTTP_MERGE: &str = "worker/src/github/merge.rs";
const HTTP_QUEUE: &str = "worker/src/github/queue.rs";
const PIN: &str = "\"expectedHeadOid\": merge.head.as_str(),";

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "a renewal under an older epoch",
        "store/src/scripts/renew.lua",
        ["and lease.epoch == epoch", ""],
        &["leases::redis"],
    ),
    guard(
        "a release under an older epoch",
        "store/src/scripts/release.lua",
        ["and lease.epoch == epoch", ""],
        &["leases::redis"],
    ),
    guard(
        "a stage of an apply without its lease",
        "src/pipeline/apply.rs",
        ["if !lease.is_standing() {", "if false {"],
        &["an_apply_that_outlives_its_lease_is_halted_at_the_next_stage"],
    ),
    guard(
        "an apply before prod is kept for it",
        TICKET,
        ["environment.reserve().await?;", ""],
        &["nothing_is_applied_before_the_store_knows_that_prod_is_kept"],
    ),
    guard(
        "a merge of another head than prod is kept for",
        CLEAR,
        ["kept_for == Some(&job.head)", "kept_for.is_some()"],
        &["a_newer_head_is_not_merged_for_what_another_was_cleared"],
    ),
    guard(
        "others' deploys while main lacks what prod runs",
        MERGE,
        ["Err(not) => return Ok(Merged::Not(not)),", FREED],
        &["a_merge_that_is_refused_for_good_keeps_prod_for_its_pull_request"],
    ),
    guard(
        "a merge into a branch that is not production's",
        MERGE,
        ["if desk.policy.is_production(&commit.into) {", "if true {"],
        &["a_merge_of_ours_that_went_elsewhere_leaves_prod_reserved"],
    ),
    guard(
        "a merge onto another base than was planned, untold",
        MERGE,
        ["if commit.tree == checkout.tree ||", "if true || commit.tree == checkout.tree ||"],
        &["a_merge_onto_another_base_than_was_planned_is_told"],
    ),
    guard(
        "a push between approval and merge",
        HTTP_MERGE,
        [PIN, ""],
        &["a_push_during_the_merge_is_not_merged"],
    ),
    guard(
        "a push between approval and merge queue",
        HTTP_QUEUE,
        [PIN, ""],
        &["a_push_just_before_it_is_put_there_keeps_it_out"],
    ),
    guard(
        "a merge that is made twice",
        HTTP_MERGE,
        [
            "if let Some(outcome) = self.read_back(merge, &mut tries).await? {",
            "if let Some(outcome) = None::<MergeOutcome> {",
        ],
        &["merging::", "a_merge_whose_answer_is_lost_is_not_made_twice"],
    ),
    guard(
        "giving up because GitHub is busy with another merge",
        HTTP_MERGE,
        ["if why.starts_with(BASE_MOVED) => {", "if false => {"],
        &["merging::", "a_base_that_moves_during_the_merge_is_no_refusal"],
    ),
    guard(
        "a group of the merge queue that prod does not run",
        GROUP,
        [
            "Ok(kept.is_some_and(|lease| lease.kept_for.as_ref() == Some(&facts.head)))",
            "Ok(kept.is_none_or(|_| true))",
        ],
        &["what_was_put_into_the_queue_by_hand_is_not_merged"],
    ),
    guard(
        "a group on top of one that was refused",
        GROUP,
        ["if group.onto == facts.base {", "if true {"],
        &["a_group_on_top_of_what_must_not_be_merged_must_not_be_either"],
    ),
    guard(
        "a deployment that stays in progress",
        "src/pipeline/deploy.rs",
        ["history::ends(cx, (&desk.entry, &job.head), &result).await;", "Ok::<(), Stop>(());"],
        &["deployments::a_deploy_is_one_entry_that_says_how_it_ended"],
    ),
    guard(
        "a used-up hour that holds back a merge that is left",
        CLEAR,
        ["cx.urgent.store(true, Ordering::Relaxed);", ""],
        &["a_merge_that_is_tried_again_goes_before_everything_else"],
    ),
    guard(
        "a used-up hour that holds back the merge of what prod runs",
        TICKET,
        ["cx.urgent.store(true, Ordering::Relaxed);", ""],
        &["what_prod_runs_is_merged_and_told_with_the_last_of_an_hour"],
    ),
    guard(
        "a history that keeps a merge waiting",
        TICKET,
        ["cx.deps.clock.sleep(ENTRY_WITHIN).await", "std::future::pending::<()>().await"],
        &["a_history_that_does_not_answer_keeps_no_merge_waiting"],
    ),
];

const FREED: &str = "\
    Err(not) => {
            lease.give_back(Release::Free);
            return Ok(Merged::Not(not));
        }";
