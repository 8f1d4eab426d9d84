//! Which open checks count as left, and how often a job is asked for again.
#![allow(clippy::unwrap_used)]

use super::*;

const NOW_MS: u64 = 100_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);
const PR: PrNumber = PrNumber(7);

/// Nobody works and nothing waits; 10 minutes of quiet, limits of 2 and 12 hours.
fn idle() -> Busy {
    Busy {
        now_ms: NOW_MS,
        working: Vec::new(),
        prod: false,
        kept: None,
        gates: Line::default(),
        deploys: Line::default(),
        quiet: 10 * MINUTE,
        gate_limit: 120 * MINUTE,
        deploy_limit: 720 * MINUTE,
    }
}

fn asked(ago: Duration) -> Option<u64> {
    Some(NOW_MS - u64::try_from(ago.as_millis()).unwrap())
}

fn line(jobs: u64, minutes: Option<u32>) -> Line {
    Line { jobs, oldest: minutes.map(|minutes| minutes * MINUTE) }
}

#[test]
fn a_gate_check_is_left_when_nobody_works_on_it_or_waits_to() {
    let with = |gates| Busy { gates, ..idle() };
    let cases = [
        ("young", idle(), 10, false),
        ("old, and nobody there", idle(), 11, true),
        ("somebody works on it", Busy { working: vec![PR], ..idle() }, 5000, false),
        ("somebody works on another", Busy { working: vec![PrNumber(8)], ..idle() }, 11, true),
        ("it may be the oldest that waits", with(line(3, Some(20))), 20, false),
        ("the clocks differ a little", with(line(3, Some(20))), 21, false),
        ("all that waits is younger", with(line(3, Some(18))), 20, true),
        ("some wait, nobody knows since when", with(line(1, None)), 130, false),
        ("and for longer than it could take", with(line(1, None)), 131, true),
    ];
    for (case, busy, age, left) in cases {
        assert_eq!(busy.gate_is_left(PR, asked(age * MINUTE)), left, "{case}");
    }
    assert!(!idle().gate_is_left(PR, None), "what GitHub does not date is new");
}

#[test]
fn a_deploy_may_wait_in_hand_for_a_prod_that_another_has() {
    let prod = Busy { prod: true, working: vec![PrNumber(8)], ..idle() };
    let kept = |pr| Busy { kept: Some((PrNumber(pr), None)), ..idle() };
    for (case, busy, age, left) in [
        ("nobody has prod", idle(), 11, true),
        ("another has prod", prod.clone(), 730, false),
        ("for longer than anybody waits", prod.clone(), 731, true),
        ("it is kept for another", kept(8), 730, false),
        ("for longer than anybody comes back", kept(8), 731, true),
        ("it is kept for itself", kept(PR.0), 11, true),
        ("it has prod itself", Busy { working: vec![PR], ..prod }, 5000, false),
        ("it stands in line", Busy { deploys: line(9, Some(40)), ..idle() }, 40, false),
    ] {
        assert_eq!(busy.deploy_is_left(PR, asked(age * MINUTE)), left, "{case}");
    }
}

#[test]
fn the_count_goes_along_while_the_check_is_open() {
    let said =
        |summary: &str| Said { summary: summary.to_owned(), ..checks::queued(CheckKind::ProdPlan) };
    let counted = said(&format!("Waits.\n{}", mark(2)));
    assert_eq!((times(&counted.summary), without_mark(&counted.summary)), (2, "Waits."));
    let next = still_counting(Some(&counted), said("A worker is on it."));
    assert_eq!(times(&next.summary), 2);
    let more = still_counting(Some(&counted), said(&mark(3)));
    assert_eq!(times(&more.summary), 3, "what counts itself is left as it is");
    let ended = checks::skipped(CheckKind::ProdPlan, "not needed");
    assert_eq!(times(&still_counting(Some(&counted), ended).summary), 0);
    assert_eq!(still_counting(None, said("New.")), said("New."));
}
