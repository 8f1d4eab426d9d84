//! Which heads need a look.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::project::{Approvals, OldHead, OwnersApproval, Python, SharesRepository};
use crate::render::checks::Said;

fn project(shares_repository: SharesRepository) -> Project {
    Project {
        name: ProjectName::new("w").unwrap(),
        repository: Repository::new("acme/w").unwrap(),
        path: String::new(),
        python: Python::Interpreter("python3".into()),
        also: vec![],
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 1,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        code_owners: OwnersApproval::NotAsked,
        shares_repository,
    }
}

const NOW_MS: u64 = 100_000_000_000;

/// Nobody works and nothing waits.
fn idle() -> Busy {
    Busy { now_ms: NOW_MS, quiet: Duration::from_secs(600), ..Busy::default() }
}

const OLD_MS: u64 = NOW_MS - 3_600_000;
const DONE: CheckStatus = CheckStatus::Completed(Conclusion::Skipped);

fn check(kind: CheckKind, status: CheckStatus, external_id: &str) -> OpenCheck {
    OpenCheck {
        name: checks::name(kind, &project(SharesRepository::No)),
        external_id: external_id.to_owned(),
        status,
        title: String::new(),
        started_ms: Some(OLD_MS),
        completed_ms: (status == DONE).then_some(OLD_MS + 1000),
    }
}

fn pull(checks: Vec<OpenCheck>) -> OpenPull {
    OpenPull {
        number: PrNumber(7),
        head: Sha::new("a".repeat(40)).unwrap(),
        base_branch: "main".to_owned(),
        draft: false,
        fork: false,
        reviewed_ms: None,
        checks,
    }
}

#[test]
fn who_needs_a_look() {
    let (open, gate) = (CheckStatus::Queued, |status| check(CheckKind::ProdPlan, status, "gate"));
    let deploy = |status, id| check(CheckKind::Deploy, status, id);
    let own = format!("deploy:w:7:{}", "a".repeat(40));
    let reviewed = |ago_ms| OpenPull {
        reviewed_ms: Some(OLD_MS + 1000 - ago_ms),
        ..pull(vec![gate(DONE), deploy(DONE, "look")])
    };
    let cases = [
        ("no check", pull(vec![]), Some(Need::Checks)),
        ("not the gate's", pull(vec![deploy(DONE, "look")]), Some(Need::Checks)),
        ("all is said", pull(vec![gate(DONE), deploy(DONE, "look")]), None),
        (
            "a newer head came and went",
            pull(vec![gate(CheckStatus::Completed(Conclusion::Cancelled))]),
            Some(Need::Gate),
        ),
        ("the gate was left", pull(vec![gate(open)]), Some(Need::Gate)),
        ("the deploy was left", pull(vec![gate(DONE), deploy(open, &own)]), Some(Need::Deploy)),
        (
            "so was what waits for it",
            pull(vec![gate(DONE), deploy(open, "look")]),
            Some(Need::Deploy),
        ),
        ("reviewed before that", reviewed(1), None),
        ("reviewed since", reviewed(0), Some(Need::Review(OLD_MS + 1000))),
    ];
    for (case, pull, need) in cases {
        assert_eq!(needs_look(&pull, &project(SharesRepository::No), &idle()), need, "{case}");
    }
    let others = pull(vec![gate(DONE), deploy(DONE, "look")]);
    let shared = project(SharesRepository::Yes);
    assert_eq!(needs_look(&others, &shared, &idle()), Some(Need::Checks), "another project's");
}

#[test]
fn a_merged_one_is_looked_at_when_its_deploy_is_gone() {
    let own = format!("deploy:w:7:{}", "a".repeat(40));
    let merged = |merged_ms, status, id: &str| MergedPull {
        number: PrNumber(7),
        head: Sha::new("a".repeat(40)).unwrap(),
        merged_ms,
        checks: vec![check(CheckKind::Deploy, status, id)],
    };
    let left =
        |pull: &MergedPull, busy: &Busy| was_left(pull, &project(SharesRepository::No), busy);
    let (open, long_ago) = (CheckStatus::InProgress, Some(OLD_MS));
    assert!(left(&merged(long_ago, open, &own), &idle()));
    assert!(left(&merged(None, open, &own), &idle()), "GitHub does not say when it was merged");
    assert!(!left(&merged(Some(NOW_MS - 1000), open, &own), &idle()), "it may still say it");
    let mut asked_again = merged(long_ago, open, &own);
    asked_again.checks[0].started_ms = Some(NOW_MS - 1000);
    assert!(!left(&asked_again, &idle()), "it was asked for just now");
    assert!(!left(&merged(long_ago, DONE, &own), &idle()), "it said it");
    let titled = |said: Said| {
        let mut titled = merged(long_ago, said.status, &own);
        titled.checks[0].title = said.title;
        titled
    };
    let head = Sha::new("a".repeat(40)).unwrap();
    assert!(left(&titled(deploy::merging(&head)), &idle()), "it is merged now");
    assert!(left(&titled(deploy::applied_not_merged("no", "again")), &idle()), "it is merged now");
    let elsewhere = deploy::applied_merged_elsewhere("so it is", "free prod");
    assert!(!left(&titled(elsewhere), &idle()), "for people to decide");
    assert!(!left(&merged(long_ago, open, "gate"), &idle()), "no deploy was promised");
    let working = Busy { working: vec![PrNumber(7)], ..idle() };
    assert!(!left(&merged(long_ago, open, &own), &working), "somebody is on it");
    let none = MergedPull { checks: Vec::new(), ..merged(long_ago, open, &own) };
    assert!(!left(&none, &idle()), "it was merged without us");
}
