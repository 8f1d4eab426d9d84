//! Pull requests to judge: anything that may be said of one, mostly what goes to prod.

use proptest::prelude::*;

use super::super::facts_table::*;
use super::Case;
use crate::github::{
    CommandFacts, Facts, Members, MergeState, Owned, OwnedFiles, Ownership, PrState, Review,
    ReviewDecision, ReviewState, Role, Team,
};
use crate::names::{Login, PolicySha, ProjectName};
use crate::project::{Approvals, OldHead, OwnersApproval, Project};
use crate::seal::{GateOutcome, GateResult};
use ReviewState::{Approved, ChangesRequested, Commented, Dismissed, Pending};

/// Mostly the first, sometimes another.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    first: T,
    others: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![6 => Just(first), 1 => prop::sample::select(others)]
}

pub(super) fn person() -> impl Strategy<Value = Option<Login>> {
    let who = prop::sample::select(vec!["alice", "carol", "CAROL", "dave", "Erin", "mallory", ""]);
    who.prop_map(|who| (!who.is_empty()).then(|| login(who)))
}

fn review() -> impl Strategy<Value = Review> {
    let state = mostly(Approved, vec![ChangesRequested, Commented, Dismissed, Pending]);
    let commit = mostly(Some(sha(HEAD)), vec![Some(sha(OLD_HEAD)), None]);
    let parts = (person(), state, commit, mostly(true, vec![false]));
    parts.prop_map(|(author, state, commit, may_push)| Review {
        author,
        state,
        commit,
        submitted_ms: 1,
        may_push,
    })
}

fn ownership() -> impl Strategy<Value = Ownership> {
    let owner = prop::sample::select(vec![
        "@carol",
        "@DAVE",
        "@erin",
        "@alice",
        "@acme/one",
        "@acme/two",
        "me@example.com",
    ]);
    let group = prop::collection::vec(owner, 1..4).prop_map(|owners| OwnedFiles {
        files: vec!["models/a.sql".to_owned()],
        owners: owners.into_iter().map(named).collect(),
    });
    let team = || {
        let odd = Members::Unreadable("so".to_owned());
        let others = vec![members(&["erin", "alice"]), Members::NotRead, odd];
        mostly(members(&["dave", "carol"]), others)
    };
    let known = (prop::collection::vec(group, 0..3), team(), team());
    let known = known.prop_map(|(groups, one, two)| {
        let teams = [(Team::new("acme", "one"), one), (Team::new("acme", "two"), two)];
        Ownership::Known(Owned { groups, teams: teams.into(), ..Owned::default() })
    });
    let unknown = vec![Ownership::NotAsked, Ownership::Unknown("so".to_owned())];
    prop_oneof![8 => known, 1 => prop::sample::select(unknown)]
}

fn command() -> impl Strategy<Value = Option<CommandFacts>> {
    let body = mostly("/deploy", vec![" /deploy\n", "/gate", "/deploy now", "please /deploy", ""]);
    let pushed = mostly(Some(1_000), vec![Some(2_000), Some(2_001), None]);
    let made = |(author, body, edited, head_pushed_ms): (_, &str, _, _)| CommandFacts {
        id: node("IC_1"),
        author,
        body: body.to_owned(),
        edited,
        created_ms: 2_000,
        head_pushed_ms,
    };
    let one = (person(), body, mostly(false, vec![true]), pushed).prop_map(made);
    prop::option::of(one)
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let merged = PrState::Merged(super::super::clearance::merged_commit());
    let place = (
        mostly(PrState::Open, vec![PrState::Closed, merged]),
        mostly(false, vec![true]),
        mostly("main", vec!["master", "develop", "Main"]),
        mostly(Some(login("alice")), vec![Some(login("carol")), Some(login("DAVE")), None]),
    );
    let merge = (
        mostly(false, vec![true]),
        prop::sample::select(vec![
            MergeState::Behind,
            MergeState::Blocked,
            MergeState::Clean,
            MergeState::Dirty,
            MergeState::Draft,
            MergeState::HasHooks,
            MergeState::Unknown,
            MergeState::Unstable,
        ]),
        prop::option::of(prop::sample::select(vec![
            ReviewDecision::Approved,
            ReviewDecision::ChangesRequested,
            ReviewDecision::ReviewRequired,
        ])),
        prop::collection::vec(prop::sample::select(vec!["ours", "theirs"]), 0..3),
    );
    let said = (prop::collection::vec(review(), 0..8), command(), ownership());
    type Place = (PrState, bool, &'static str, Option<Login>);
    type Merging = (bool, MergeState, Option<ReviewDecision>, Vec<&'static str>);
    type Talk = (Vec<Review>, Option<CommandFacts>, Ownership);
    let made = |(place, merge, (reviews, command, ownership)): (Place, Merging, Talk)| {
        let (state, fork, base_branch, author) = place;
        let (draft, merge_state, review_decision, pending) = merge;
        Facts {
            state,
            fork,
            base_branch: base_branch.to_owned(),
            author,
            draft,
            merge_state,
            review_decision,
            required_pending: pending.into_iter().map(str::to_owned).collect(),
            reviews,
            command,
            ownership,
            ..facts()
        }
    };
    (place, merge, said).prop_map(made)
}

fn any_gate() -> impl Strategy<Value = Option<GateResult>> {
    let passed = gate(GateOutcome::Passed);
    let others = vec![
        Some(gate(GateOutcome::NoChanges)),
        Some(gate(GateOutcome::Failed)),
        Some(GateResult { head: sha(OLD_HEAD), ..passed.clone() }),
        Some(GateResult { policy: PolicySha::new("0ther").unwrap(), ..passed.clone() }),
        Some(GateResult { project: ProjectName::new("lake").unwrap(), ..passed.clone() }),
        None,
    ];
    mostly(Some(passed), others)
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let approvers = prop::sample::select(vec![
        vec!["carol"],
        vec!["carol", "dave"],
        vec!["Carol", "carol", "DAVE", "erin"],
        vec!["alice"],
        vec![],
    ]);
    let approvals = mostly(
        Approvals::AtLeast(1),
        vec![Approvals::AtLeast(0), Approvals::AtLeast(2), Approvals::All],
    );
    let old_head = mostly(OldHead::Refuse, vec![OldHead::Accept]);
    let role = prop::option::of(prop::sample::select(vec![
        Role::None,
        Role::Read,
        Role::Triage,
        Role::Write,
        Role::Maintain,
        Role::Admin,
    ]));
    let owners = prop::sample::select(vec![OwnersApproval::NotAsked, OwnersApproval::Required]);
    let rules = (approvers, approvals, old_head, owners, any::<(bool, bool)>());
    let asked = mostly(sha(HEAD), vec![sha(OLD_HEAD)]);
    (any_facts(), rules, role, asked, any_gate()).prop_map(|(facts, rules, role, asked, gate)| {
        let (approvers, approvals, approval_on_old_head, code_owners, flags) = rules;
        let (command, blocks) = flags;
        let policy = policy(&approvers).with(|bot| {
            bot.enable_deploy_command = command;
            bot.check_if_blocked_on_deploy_to_prod = blocks;
        });
        let project = Project { approvals, approval_on_old_head, code_owners, ..project() };
        Case { facts, policy, project, asked, role, gate }
    })
}
