//! The sticky comment.

use proptest::prelude::*;

use super::views::*;
use crate::engine::{Plan, Progress};
use crate::outcome::{Reason, Refusal};
use crate::policy::approval::Approval;
use crate::project::SharesRepository;
use crate::render::comment::{
    CommentView, EarlierPlan, MOST, PlanShown, State, earlier, marker, render,
};
use crate::render::markdown::CUT;

fn mark() -> String {
    marker(&project(SharesRepository::Yes))
}

fn view<'a>(head: &'a crate::names::Sha, state: State<'a>) -> CommentView<'a> {
    CommentView {
        head,
        state,
        environment: None,
        policy: None,
        approval: None,
        plan: None,
        earlier: vec![],
    }
}

fn older(head: &str, body: &str) -> EarlierPlan {
    EarlierPlan {
        head: head.into(),
        title: format!("Prod plan preview of {head}"),
        body: body.into(),
    }
}

#[test]
fn waiting_for_an_approval() {
    let (head, environment, policy, plan) = (sha("c0ffee"), environment(), policy(), plan());
    let approval = Approval::Missing {
        by: vec![],
        needed: 1,
        could: logins(&["carol", "dave"]),
        notes: vec![],
    };
    let view = CommentView {
        environment: Some(&environment),
        policy: Some(&policy),
        approval: Some(&approval),
        plan: Some(PlanShown::Previewed(&plan)),
        earlier: vec![older("01dc0de", "Something else.")],
        ..view(&head, State::Ready)
    };
    insta::assert_snapshot!(render(&view, &mark()));
}

#[test]
fn each_state_has_its_line() {
    let (head, merged, owner) = (sha("c0ffee"), sha("3e36ed"), owner());
    let progress = Progress { phase: "backfill".into(), model: None, done: 3, total: 10 };
    let why = [
        Refusal::new(Reason::NotApproved, "A required approval is missing."),
        Refusal::new(Reason::GateFailed, "The checks failed."),
    ];
    let states = [
        State::Checking,
        State::Held(&why),
        State::Ready,
        State::Waiting { position: Some(1), holder: Some(&owner) },
        State::Waiting { position: Some(2), holder: None },
        State::Preparing,
        State::Applying(&progress),
        State::Deployed { merged: Some(&merged) },
        State::Deployed { merged: None },
        State::NotMerged { why: "Base branch was modified.", next: "The merge is tried again." },
        State::MergedElsewhere {
            why: "It was merged into `staging` instead, which is not production.",
            next: "Bring the change to the production branch.",
        },
        State::Refused(&why[..1]),
        State::Failed("The bridge died."),
        State::Closed,
    ];
    let texts: Vec<String> = states.map(|state| render(&view(&head, state), "<!-- m -->")).into();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn who_can_deploy_is_told_in_each_case() {
    let (head, command) = (sha("c0ffee"), policy());
    let mut silent = policy();
    silent.bot.enable_deploy_command = false;
    let missing = |could: &[&str]| Approval::Missing {
        by: vec![],
        needed: 1,
        could: logins(could),
        notes: vec![],
    };
    let rows = [
        (&command, missing(&["carol"])),
        (&silent, missing(&["carol", "dave"])),
        (&silent, missing(&[])),
        (&command, Approval::Given { by: logins(&["carol"]) }),
        (&command, Approval::NotRequired),
        (&silent, Approval::NotRequired),
    ];
    let lines: Vec<String> = rows
        .iter()
        .map(|(policy, approval)| {
            let view = CommentView {
                policy: Some(policy),
                approval: Some(approval),
                ..view(&head, State::Checking)
            };
            render(&view, "").lines().find(|line| line.contains("Deploy")).unwrap_or("-").to_owned()
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_a_comment_shows_is_found_again_as_what_was_before() {
    let (first, second, plan) = (sha("c0ffee"), sha("beef"), plan());
    let shown = CommentView {
        plan: Some(PlanShown::Previewed(&plan)),
        earlier: vec![older("01dc0de", "An old plan.")],
        ..view(&first, State::Checking)
    };
    let found = earlier(&render(&shown, &mark()));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].title, "Prod plan preview of c0ffee0");
    assert_eq!(found[1], older("01dc0de", "An old plan."));

    let next = CommentView {
        plan: Some(PlanShown::Applying(&plan)),
        earlier: found.clone(),
        ..view(&second, State::Checking)
    };
    let again = earlier(&render(&next, &mark()));
    assert_eq!(
        again.iter().map(|plan| plan.head.as_str()).collect::<Vec<_>>(),
        ["beef000", "c0ffee0", "01dc0de"]
    );
    assert_eq!(again[1..], found, "unchanged by being kept");
}

#[test]
fn a_head_has_one_plan_and_its_own_is_not_folded() {
    let (head, plan) = (sha("c0ffee"), plan());
    let preview = vec![older("c0ffee0", "The preview."), older("01dc0de", "An old plan.")];
    let later = CommentView {
        plan: Some(PlanShown::Applied(&plan)),
        earlier: preview.clone(),
        ..view(&head, State::Deployed { merged: None })
    };
    assert!(!render(&later, "").contains("The preview."));
    let without = render(&CommentView { earlier: preview, ..view(&head, State::Ready) }, "");
    let folds: Vec<&str> = without.lines().filter(|line| line.starts_with("<details")).collect();
    assert_eq!(folds, ["<details open>", "<details>"]);
}

#[test]
fn the_oldest_is_cut_first_and_the_cut_is_told() {
    let head = sha("c0ffee");
    let line = "a line of a plan\n";
    let body = line.repeat(30_000 / line.len());
    let plans: Vec<EarlierPlan> =
        ["c0ffee0", "b", "c"].into_iter().map(|head| older(head, body.trim())).collect();
    let text = render(&CommentView { earlier: plans, ..view(&head, State::Ready) }, &mark());
    assert!(text.len() <= MOST && text.len() > MOST - 1_000, "{} bytes", text.len());
    let kept = earlier(&text);
    assert_eq!((kept[0].body.as_str(), kept[1].body.as_str()), (body.trim(), body.trim()));
    assert!(kept[2].body.ends_with(CUT), "the oldest is cut");
    assert!(kept[2].body.lines().all(|kept| kept == line.trim() || kept == CUT || kept.is_empty()));
}

/// Text with everything that could break out, and long lines.
fn foreign() -> impl Strategy<Value = String> {
    let bit = prop::sample::select(vec![
        "```",
        "````diff",
        "~~~",
        "</details>",
        "<details>",
        "<summary>x</summary>",
        "@erin ",
        "#12",
        "\n",
        "\n",
        "  ",
        "> ",
        "* ",
        "`",
        "<!-- sluice:plan a b -->",
        "<!-- sluice:plan-end -->",
        "<!-- sluice:comment project=other -->",
        "é",
        "model ",
    ]);
    let long = (0usize..20_000).prop_map(|n| "x".repeat(n));
    let part = prop_oneof![20 => bit.prop_map(str::to_owned), 1 => long];
    prop::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn it_never_exceeds_the_limit_and_is_never_taken_for_another(
        markdown in foreign(), why in foreign(), bodies in prop::collection::vec(foreign(), 0..8),
    ) {
        let head = sha("c0ffee");
        let plan = Plan { markdown, ..plan() };
        let refusals = [Refusal::new(Reason::PlanError, why)];
        let plans = bodies.iter().enumerate();
        let view = CommentView {
            plan: Some(PlanShown::Previewed(&plan)),
            earlier: plans
                .map(|(n, body)| older(&format!("{n}"), &crate::render::markdown::foreign(body)))
                .collect(),
            ..view(&head, State::Refused(&refusals))
        };
        let text = render(&view, &mark());
        prop_assert!(text.len() <= MOST, "{} bytes", text.len());
        prop_assert!(text.starts_with(&mark()));
        prop_assert_eq!(text.matches("<!-- sluice:comment").count(), 1);
        let found = earlier(&text);
        prop_assert!(!found.is_empty() && found.len() <= 1 + bodies.len());
        prop_assert_eq!(&found[0].head, "c0ffee0");
    }
}
