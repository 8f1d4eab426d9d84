//! Who may ask for a deploy, and whose approval counts.

use super::{Guard, guard};

const APPROVAL: &str = "src/policy/approval.rs";
const SIGNAL: &str = "src/policy/signal.rs";
const VOICE: &str = "src/policy/voice.rs";
const OWNERS: &str = "src/policy/owners.rs";
const WEBHOOK: &str = "producer/src/webhook/mod.rs";

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "an unsigned or wrongly signed webhook",
        WEBHOOK,
        ["!signature.is_of(body.bytes(), &self.settings.webhook_secrets)", "false"],
        &["who_does_not_sign_is_nobody"],
    ),
    guard(
        "a replayed webhook",
        WEBHOOK,
        ["if self.deps.processed.contains(delivery).await {", "if false {"],
        &["a_replayed_delivery_is_one_job"],
    ),
    guard(
        "a webhook that is too large",
        "producer/src/webhook/body.rs",
        ["if data.len() > self.largest.saturating_sub(bytes.len()) {", "if false {"],
        &["a_body_that_turns_out_too_large_is_cut_off"],
    ),
    guard(
        "a stranger's command",
        SIGNAL,
        ["if policy.approvers.contains(author) {", "if true {"],
        &["a_strangers_command_is_refused"],
    ),
    guard(
        "a command of a role that is too low",
        SIGNAL,
        ["Some(role) if role >= Role::Maintain => Ok(", "Some(_) => Ok("],
        &["without_approvers_the_role_decides"],
    ),
    guard(
        "the author's own command",
        VOICE,
        ["if self.facts.author.as_ref() == Some(who) {", "if false {"],
        &["an_approvers_command_does_not_approve_the_own_change"],
    ),
    guard(
        "a command that came before the push",
        SIGNAL,
        ["Some(pushed) if pushed >= command.created_ms =>", "Some(pushed) if pushed == 1 =>"],
        &["a_command_that_is_older_than_the_push_is_stale", "a_push_after_a_command_needs"],
    ),
    guard(
        "a command of which nobody knows whether it came before the push",
        SIGNAL,
        ["match command.head_pushed_ms {", "match command.head_pushed_ms.or(Some(0)) {"],
        &["policy::"],
    ),
    guard(
        "a command that was edited",
        SIGNAL,
        [
            "if command.edited || parse_command(&command.body, policy) \
             != Some(CommandVerb::Deploy) {",
            "if false {",
        ],
        &["a_comment_that_becomes_a_command_later", "a_command_that_was_edited_while_it_waits"],
    ),
    guard(
        "a command where the policy has none",
        SIGNAL,
        ["if !policy.bot.enable_deploy_command {", "if false {"],
        &["a_command_that_is_off_is_refused"],
    ),
    guard(
        "an approval of somebody who is no approver",
        APPROVAL,
        ["match voices.voice(approver) {", "match voices.voice(voices.speakers()[0]) {"],
        &["an_approval_of_somebody_who_is_no_approver_does_not_count"],
    ),
    guard(
        "an approval that was taken back",
        VOICE,
        ["reviews.iter().rev().find(is_theirs)", "reviews.iter().find(is_theirs)"],
        &["a_later_no_takes_the_approval_back"],
    ),
    guard(
        "a dismissed approval",
        VOICE,
        [
            "ReviewState::Dismissed => Voice::WasDismissed(of_head),",
            "ReviewState::Dismissed => Voice::Approves(By::Review(review)),",
        ],
        &["a_dismissed_approval_does_not_count"],
    ),
    guard(
        "an approval of an older head",
        VOICE,
        ["if is_current || self.old_head == OldHead::Accept => {", "if true => {"],
        &["an_approval_is_for_the_head_that_was_seen"],
    ),
    guard(
        "an approval of an account that is gone",
        VOICE,
        [
            "review.author.as_ref() == Some(who) &&",
            "review.author.as_ref().is_none_or(|author| author == who) &&",
        ],
        &["an_approval_of_an_account_that_is_gone_does_not_count"],
    ),
    guard(
        "an approver whom the change names itself",
        "src/pipeline/cx.rs",
        [
            "policy(&self.project, &facts.base, &facts.policy)",
            "policy(&self.project, &facts.head, &facts.policy)",
        ],
        &["a_change_that_names_its_own_approver_is_not_obeyed"],
    ),
    guard(
        "files that no owner has approved",
        OWNERS,
        [".filter(|group| !is_approved(group))", ".filter(|_| false)"],
        &["owners::an_owners_approval_is_needed_beside_the_approvers"],
    ),
    guard(
        "an owner who may not push",
        OWNERS,
        ["Voice::Approves(By::Review(review)) => review.may_push,", "Voice::Approves(_) => true,"],
        &["policy::", "owners::"],
    ),
    guard(
        "owners of whom nobody can tell who they are",
        OWNERS,
        [
            "Ownership::Unknown(why) => return Owners::Unknown(why.clone()),",
            "Ownership::Unknown(_) => return Owners::NotAsked,",
        ],
        &["policy::", "owners::"],
    ),
];
