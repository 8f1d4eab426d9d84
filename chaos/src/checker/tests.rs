//! Each invariant, and a record that breaks it.

use std::time::Duration;

use super::*;

/// A record in which one pull request went its way, with nothing to object to.
fn sound() -> Record {
    let mut lines = Vec::new();
    let mut tell = |at_ms, what| {
        lines.push(Line { at_ms, who: "worker-1".to_owned(), pid: 7, what });
    };
    let (job, apply) = (job("deploy-1", 1), apply(1));
    tell(1000, Happened::Publishing(job.clone()));
    tell(1001, Happened::Published(job.clone()));
    tell(1002, Happened::Delivered(JobLine { message: Some("m1".to_owned()), ..job.clone() }));
    tell(1010, Happened::Granted { keys: vec!["warehouse/prod".to_owned()], epoch: 1, pr: 1 });
    tell(1020, Happened::BridgeStarted { bridge: 8, pr: 1, head: "head-1".to_owned() });
    tell(1030, Happened::ApplyBegan(apply.clone()));
    tell(1040, Happened::Promoted { apply: apply.clone(), previous: None });
    tell(1050, Happened::ApplyEnded { apply, outcome: "Applied".to_owned() });
    let (keys, how) = (vec!["warehouse/prod".to_owned()], "Free".to_owned());
    tell(1060, Happened::Released { keys, epoch: 1, how });
    let (job, disposition) = (JobLine { message: Some("m1".to_owned()), ..job }, "done".to_owned());
    tell(1070, Happened::Settling { job: job.clone(), disposition: disposition.clone() });
    tell(1071, Happened::Settled { job, disposition });
    Record { lines, pulls: vec![pull(1)], rests: Duration::from_secs(2), ..Record::default() }
}

fn job(id: &str, pr: u64) -> JobLine {
    JobLine { job: id.to_owned(), kind: "deploy".to_owned(), pr, message: None }
}

fn apply(pr: u64) -> ApplyLine {
    ApplyLine {
        environment: "prod".to_owned(),
        plan: format!("plan-{pr}"),
        pr,
        head: format!("head-{pr}"),
        tree: format!("tree-{pr}"),
    }
}

fn pull(number: u64) -> PullFacts {
    PullFacts {
        number,
        head: format!("head-{number}"),
        merged_tree: Some(format!("tree-{number}")),
        approvals: vec![(format!("head-{number}"), 900)],
        ..PullFacts::default()
    }
}

fn line(at_ms: u64, what: Happened) -> Line {
    Line { at_ms, who: "worker-2".to_owned(), pid: 9, what }
}

/// What is wrong after something was changed in a sound record.
#[track_caller]
fn broken(change: impl FnOnce(&mut Record)) -> Vec<&'static str> {
    let mut record = sound();
    assert_eq!(check(&record, 0), []);
    change(&mut record);
    let mut broken: Vec<_> = check(&record, 0).iter().map(|one| one.invariant).collect();
    broken.dedup();
    broken
}

#[test]
fn two_at_work_on_one_environment_or_version_break_i1() {
    let overlap = Happened::Overlap { lock: "environment prod".to_owned() };
    assert_eq!(broken(|record| record.lines.insert(6, line(1035, overlap))), ["I1"]);
}

#[test]
fn an_apply_without_an_approval_of_its_head_breaks_i2() {
    assert_eq!(broken(|record| record.pulls[0].approvals.clear()), ["I2"]);
    let other = ("head-0".to_owned(), 900);
    assert_eq!(broken(|record| record.pulls[0].approvals = vec![other]), ["I2"]);
    let later = ("head-1".to_owned(), 5000);
    assert_eq!(broken(|record| record.pulls[0].approvals = vec![later]), ["I2"]);
}

#[test]
fn merging_something_else_than_was_applied_breaks_i3() {
    let tree = Some("tree-9".to_owned());
    assert_eq!(broken(|record| record.pulls[0].merged_tree = tree), ["I3"]);
    assert_eq!(broken(|record| record.pulls[0].merged_tree = None), ["I3"]);
    assert_eq!(broken(|record| record.pulls[0].head = "head-2".to_owned()), ["I3"]);
    let model = ("orders".to_owned(), "SELECT 1".to_owned());
    assert_eq!(broken(|record| record.prod.extend([model])), ["I3"]);
}

#[test]
fn a_merge_of_what_a_killed_bridge_left_unsaid_is_judged_by_what_prod_runs() {
    let unsaid = |record: &mut Record| {
        record.lines.retain(|line| !matches!(line.what, Happened::Promoted { .. }));
    };
    assert_eq!(broken(unsaid), [""; 0]);
    let model = ("orders".to_owned(), "SELECT 1".to_owned());
    let lacks_it = |record: &mut Record| {
        unsaid(record);
        record.main.extend([model]);
    };
    assert_eq!(broken(lacks_it), ["I3"]);
}

#[test]
fn a_job_without_an_end_or_with_two_breaks_i4() {
    let lost = Happened::Published(job("deploy-2", 2));
    assert_eq!(broken(|record| record.lines.push(line(1080, lost))), ["I4"]);
    assert_eq!(broken(|record| record.waiting = 1), ["I4"]);
    assert_eq!(broken(|record| record.dead.push("no".to_owned())), ["I4"]);
    let again = JobLine { message: Some("m1".to_owned()), ..job("deploy-1", 1) };
    let dead = Happened::Settled { job: again, disposition: "dead".to_owned() };
    assert_eq!(broken(|record| record.lines.push(line(1080, dead))), ["I4"]);
}

#[test]
fn what_is_shown_twice_or_left_open_breaks_i5() {
    let twice = "2 × sticky comment".to_owned();
    assert_eq!(broken(|record| record.pulls[0].shown_twice.push(twice)), ["I5"]);
    let open = "SQLMesh - Linter".to_owned();
    assert_eq!(broken(|record| record.pulls[0].unconcluded.push(open)), ["I5"]);
}

/// A second deploy, stored before the first one when `at` is 0, and begun after it.
fn second(record: &mut Record, stored_at: usize) {
    let job = job("deploy-2", 2);
    record.lines.insert(stored_at, line(999, Happened::Publishing(job.clone())));
    record.lines.insert(stored_at + 1, line(1000, Happened::Published(job.clone())));
    record.lines.push(line(1080, Happened::Delivered(job.clone())));
    let disposition = "done".to_owned();
    record.lines.push(line(1090, Happened::Settling { job, disposition }));
}

#[test]
fn a_deploy_that_overtakes_another_breaks_i6() {
    assert_eq!(broken(|record| second(record, 2)), Vec::<&str>::new());
    assert_eq!(broken(|record| second(record, 0)), ["I6"]);
}

#[test]
fn prod_that_nobody_gets_although_it_is_free_breaks_i7() {
    let keys = vec!["warehouse/prod".to_owned()];
    let late = Happened::Granted { keys, epoch: 2, pr: 2 };
    let waits = |record: &mut Record| {
        second(record, 2);
        record.lines.push(line(60_000, late));
    };
    assert_eq!(broken(waits), ["I7"]);
    assert_eq!(broken(|record| record.leases.push("warehouse/prod Held".to_owned())), ["I7"]);
}

#[test]
fn a_bridge_that_outlives_its_worker_breaks_i9() {
    let gone = Happened::BridgeGone { bridge: 8, after_ms: 10_001 };
    assert_eq!(broken(|record| record.lines.push(line(1080, gone))), ["I9"]);
    let gone = Happened::BridgeGone { bridge: 8, after_ms: 100 };
    assert_eq!(broken(|record| record.lines.push(line(1080, gone))), Vec::<&str>::new());
}
