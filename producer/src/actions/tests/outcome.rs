//! When it has ended, and what of it is trouble.

use sluice::names::{JobId, PrNumber, ProjectName, Sha};
use sluice::render::checks::CheckKind;
use sluice_service::redis::{CheckShown, Followed};

use crate::actions::outcome::*;

fn sha(digit: &str) -> Sha {
    Sha::new(digit.repeat(40)).unwrap()
}

pub(super) fn job(kind: &str, settled: Option<&str>) -> Followed {
    Followed {
        kind: kind.to_owned(),
        project: ProjectName::new("warehouse").unwrap(),
        pr: PrNumber(7),
        head: Some(sha("a")),
        stage: None,
        stages: Vec::new(),
        refused: Vec::new(),
        outcome: None,
        settled: settled.map(str::to_owned),
        why: None,
    }
}

/// A look that has ended, and what the checks of its head say.
pub(super) fn outcome(checks: &[(CheckKind, &str)]) -> Outcome {
    let id = JobId::new("approval:warehouse:7:actions:1:1").unwrap();
    let mut outcome = Outcome::new(id.clone(), ProjectName::new("warehouse").unwrap(), PrNumber(7));
    outcome.followed.push((id, job("approval", Some("done"))));
    for (kind, status) in checks {
        let title = format!("the title of {}", kind.key());
        let check = CheckShown { status: (*status).to_owned(), title };
        outcome.shown.checks.insert(kind.key().to_owned(), check);
    }
    outcome.shown.newest = Some(sha("a"));
    outcome
}

fn with(mut outcome: Outcome, followed: Followed) -> Outcome {
    let id = JobId::new(format!("{}:warehouse:7:{}", followed.kind, sha("a"))).unwrap();
    outcome.followed.push((id, followed));
    outcome
}

#[test]
fn it_ends_with_the_last_job_and_the_last_open_check() {
    let none = Outcome { followed: Vec::new(), ..outcome(&[]) };
    assert!(!none.has_ended(), "nobody has begun it");
    let mut running = outcome(&[]);
    running.followed[0].1.settled = None;
    assert!(!running.has_ended());
    running.followed[0].1.settled = Some("retry".to_owned());
    assert!(!running.has_ended(), "it comes back");
    assert!(outcome(&[]).has_ended(), "there was nothing to show");
    for open in ["queued", "in_progress"] {
        let waits = outcome(&[(CheckKind::Linter, "success"), (CheckKind::Deploy, open)]);
        assert!(!waits.has_ended(), "a job of another event may have it");
    }
    let done = outcome(&[(CheckKind::Linter, "success"), (CheckKind::Deploy, "skipped")]);
    assert!(done.has_ended());
    assert!(!with(done.clone(), job("gate", None)).has_ended(), "a job that followed runs");
    assert!(with(done, job("gate", Some("done"))).has_ended());
}

#[test]
fn what_is_open_on_a_head_that_was_replaced_is_nobodys() {
    let mut old = outcome(&[(CheckKind::Linter, "success"), (CheckKind::UnitTests, "queued")]);
    assert!(!old.has_ended());
    old.shown.newest = Some(sha("b"));
    assert!(old.has_ended());
    let said: Vec<String> = old.concluded().into_iter().map(|said| said.conclusion).collect();
    assert_eq!(said, ["success", "cancelled"]);
    assert!(old.troubles().is_empty(), "the newer head's own event tells the rest");
}

#[test]
fn a_dead_job_ends_it_whatever_stands_open() {
    let mut dead = outcome(&[(CheckKind::Linter, "queued")]);
    dead.followed[0].1.settled = Some("dead".to_owned());
    dead.followed[0].1.why = Some("no such gateway".to_owned());
    assert!(dead.has_ended());
    let troubles = dead.troubles();
    assert!(troubles[0].ends_with("failed for good: no such gateway"), "{troubles:?}");
}

#[test]
fn what_is_trouble() {
    let troubles = |kind, status| outcome(&[(kind, status)]).troubles().len();
    for fine in ["success", "skipped", "neutral", "cancelled"] {
        assert_eq!(troubles(CheckKind::Deploy, fine), 0, "{fine}");
    }
    for bad in ["failure", "action_required"] {
        assert_eq!(troubles(CheckKind::UnitTests, bad), 1, "{bad}");
        assert_eq!(troubles(CheckKind::Deploy, bad), 1, "{bad}");
        assert_eq!(troubles(CheckKind::Approval, bad), 0, "every pull request begins so");
    }
    let deploy = |came_to: &str| {
        let deploy = Followed { outcome: Some(came_to.to_owned()), ..job("deploy", Some("done")) };
        with(outcome(&[(CheckKind::Deploy, "skipped")]), deploy).troubles().len()
    };
    assert_eq!(["deployed", "refused", "applied_not_merged", "failed"].map(deploy), [0, 1, 1, 1]);
    let refused = |kind| {
        let refused = vec!["not_approved".to_owned()];
        with(outcome(&[]), Followed { refused, ..job(kind, Some("done")) }).troubles().len()
    };
    assert_eq!(refused("command"), 1, "somebody asked for it");
    assert_eq!(refused("approval"), 0, "a look says what is missing");
}
