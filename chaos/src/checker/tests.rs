//! Each invariant, and a record that breaks it.

use std::time::Duration;

use super::*;
use crate::town::Dead;

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
    tell(1009, Happened::Asked { job: job.job.clone() });
    tell(1010, granted("deploy-1", 1));
    tell(1020, Happened::BridgeStarted { bridge: 8, pr: 1, head: "head-1".to_owned() });
    tell(1030, Happened::ApplyBegan(apply.clone()));
    tell(1040, Happened::Promoted { apply: apply.clone(), previous: None });
    tell(1050, Happened::ApplyEnded { apply, outcome: "Applied".to_owned() });
    tell(1055, Happened::Merged { pr: 1 });
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
        merged_ms: Some(1054),
        approvals: vec![(format!("head-{number}"), 900)],
        ..PullFacts::default()
    }
}

fn granted(job: &str, pr: u64) -> Happened {
    let keys = vec!["warehouse/prod".to_owned()];
    Happened::Granted { keys, epoch: pr, job: job.to_owned(), pr }
}

fn line(at_ms: u64, what: Happened) -> Line {
    Line { at_ms, who: "worker-2".to_owned(), pid: 9, what }
}

/// Which line is like that; where there is none, the end.
fn place(record: &Record, is_it: impl Fn(&Line) -> bool) -> usize {
    record.lines.iter().position(is_it).unwrap_or(record.lines.len())
}

/// What is wrong after something was changed in a sound record.
#[track_caller]
fn broken(change: impl FnOnce(&mut Record)) -> Vec<&'static str> {
    let mut record = sound();
    assert_eq!(check(&record, &[]), []);
    change(&mut record);
    let mut broken: Vec<_> = check(&record, &[]).iter().map(|one| one.invariant).collect();
    broken.dedup();
    broken
}

#[test]
fn two_at_work_on_one_environment_or_version_break_i1() {
    let overlap = Happened::Overlap { lock: "environment prod".to_owned() };
    assert_eq!(broken(|record| record.lines.push(line(1075, overlap))), ["I1"]);
}

#[test]
fn an_apply_without_an_approval_of_its_head_breaks_i2() {
    assert_eq!(broken(|record| record.pulls[0].approvals.clear()), ["I2"]);
    let other = ("head-0".to_owned(), 900);
    assert_eq!(broken(|record| record.pulls[0].approvals = vec![other]), ["I2"]);
    let later = ("head-1".to_owned(), 1031);
    assert_eq!(broken(|record| record.pulls[0].approvals = vec![later]), ["I2"]);
    let just_before = ("head-1".to_owned(), 1030);
    assert_eq!(broken(|record| record.pulls[0].approvals = vec![just_before]), [""; 0]);
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

/// Another pull request is promoted right after the first one.
fn promoted_next(record: &mut Record) {
    let at = place(record, |line| matches!(line.what, Happened::Merged { .. }));
    let promoted = Happened::Promoted { apply: apply(2), previous: None };
    record.lines.insert(at + 1, line(1056, promoted));
    record.pulls.push(PullFacts { merged_ms: Some(1058), ..pull(2) });
}

#[test]
fn a_promotion_between_another_ones_apply_and_its_merge_breaks_i3() {
    assert_eq!(broken(promoted_next), [""; 0]);
    let merged_late = |record: &mut Record| {
        promoted_next(record);
        record.pulls[0].merged_ms = Some(1057);
    };
    assert_eq!(broken(merged_late), ["I3"]);
    let again = |record: &mut Record| {
        merged_late(record);
        let again = Happened::Promoted { apply: apply(1), previous: None };
        record.lines.push(line(1075, again));
    };
    assert_eq!(broken(again), ["I3"], "its own second apply mends nothing");
    let unsaid = |record: &mut Record| {
        promoted_next(record);
        record.lines.retain(|line| !matches!(line.what, Happened::Merged { .. }));
    };
    assert_eq!(broken(unsaid), [""; 0], "whoever merged was killed before it said so");
    let emptied = |record: &mut Record| {
        merged_late(record);
        let at = place(record, |line| matches!(line.what, Happened::Merged { .. }));
        let fault = Happened::Fault { what: "Redis is emptied".to_owned() };
        record.lines.insert(at, line(1055, fault));
    };
    assert_eq!(broken(emptied), [""; 0], "nobody knew of the reservation");
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
    let dead = Dead { message: "m9".to_owned(), reason: "no".to_owned() };
    assert_eq!(broken(|record| record.dead.push(dead)), ["I4"]);
    let lost = JobLine { message: Some("m3".to_owned()), ..job("deploy-1", 1) };
    assert_eq!(broken(|record| record.lines.push(line(1080, Happened::Delivered(lost)))), ["I4"]);
    let again = JobLine { message: Some("m1".to_owned()), ..job("deploy-1", 1) };
    let dead = Happened::Settled { job: again, disposition: "dead".to_owned() };
    assert_eq!(broken(|record| record.lines.push(line(1080, dead))), ["I4"]);
}

#[test]
fn only_what_ended_two_workers_is_poison() {
    let mut record = sound();
    let reason = "poison: it ended 2 worker processes".to_owned();
    record.dead.push(Dead { message: "m2".to_owned(), reason });
    let wrong = |record: &Record| -> Vec<String> {
        check(record, &["poison"]).into_iter().map(|one| one.what).collect()
    };
    for (deaths, worker) in [(0, 20), (1, 21)] {
        let found = wrong(&record);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("m2 ended {deaths} workers")), "{found:?}");
        let job = JobLine { message: Some("m2".to_owned()), ..job("gate-2", 2) };
        let delivered = Line { pid: worker, ..line(1080, Happened::Delivered(job)) };
        let ended = line(1081, Happened::WorkerEnded { worker });
        record.lines.extend([delivered, ended]);
    }
    assert_eq!(wrong(&record), [""; 0]);
    record.dead.clear();
    assert_eq!(wrong(&record).len(), 2, "it was to be dead, and came to no end");
}

#[test]
fn a_worker_that_stands_still_when_its_message_is_buried_cannot_be_told_from_a_dead_one() {
    let mut record = sound();
    let reason = "poison: it ended 2 worker processes".to_owned();
    record.dead.push(Dead { message: "m2".to_owned(), reason });
    let job = || JobLine { message: Some("m2".to_owned()), ..job("gate-2", 2) };
    let of = |pid: u32, what| Line { pid, who: format!("worker-{pid}"), ..line(1080, what) };
    let handed_to = |pid: u32| of(pid, Happened::Delivered(job()));
    let buried_by = |pid: u32| {
        let dead = Happened::Settling { job: job(), disposition: "dead".to_owned() };
        vec![handed_to(pid), of(pid, dead)]
    };
    let is_poison = |lines: [Vec<Line>; 3]| {
        let mut record = record.clone();
        record.lines.extend(lines.concat());
        check(&record, &["poison"]).is_empty()
    };
    let died = || vec![handed_to(20), line(1081, Happened::WorkerEnded { worker: 20 })];
    let tells = |what: &str| line(1082, Happened::Fault { what: what.to_owned() });
    let over = |what: &str| line(1083, Happened::Over { what: what.to_owned() });
    let (still, on) = ("a worker stands still: worker-21", "it goes on: worker-21");
    let later = |lines: Vec<Line>| -> Vec<Line> {
        lines.into_iter().map(|line| Line { at_ms: 9000, ..line }).collect()
    };
    let stands = |what: &str| vec![handed_to(21), tells(what)];
    assert!(is_poison([died(), stands(still), buried_by(22)]));
    assert!(!is_poison([died(), stands("a worker stands still: worker-9"), buried_by(22)]));
    assert!(!is_poison([died(), stands(still), vec![]]), "nobody else got it");
    let just_now = [stands(still), vec![over(on)]].concat();
    assert!(is_poison([died(), just_now.clone(), buried_by(22)]), "it had no time to say so");
    assert!(!is_poison([died(), just_now, later(buried_by(22))]), "it went on before");
    let meanwhile = [stands(still), vec![handed_to(22), over(on)]].concat();
    assert!(!is_poison([died(), meanwhile, later(buried_by(23))]), "it went on before");
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

/// The second deploy is stored first and handed out first, and the first one has prod before it;
/// `meanwhile` is when both are in hand.
fn prod_first(record: &mut Record, meanwhile: Vec<Happened>) {
    second(record, 0);
    let handed_out =
        |line: &Line| matches!(&line.what, Happened::Delivered(job) if job.job == "deploy-2");
    let at = place(record, handed_out);
    let delivered = record.lines.remove(at);
    record.lines.insert(4, delivered);
    let meanwhile = meanwhile.into_iter().map(|what| line(1003, what)).rev();
    meanwhile.for_each(|line| record.lines.insert(5, line));
    let end = record.lines.len() - 1;
    record.lines.insert(end, line(1085, granted("deploy-2", 2)));
}

#[test]
fn a_deploy_that_has_prod_before_one_that_was_stored_earlier_breaks_i6() {
    assert_eq!(broken(|record| prod_first(record, Vec::new())), ["I6"]);
    let settled = |disposition: &str| {
        let (job, disposition) = (job("deploy-2", 2), disposition.to_owned());
        let settling = Happened::Settling { job: job.clone(), disposition: disposition.clone() };
        vec![settling, Happened::Settled { job, disposition }]
    };
    // It is at the end of the line since.
    assert_eq!(broken(|record| prod_first(record, settled("retry"))), [""; 0]);
    assert_eq!(broken(|record| prod_first(record, settled("requeue"))), ["I6"]);
}

#[test]
fn a_deploy_that_may_stand_in_line_twice_has_no_place() {
    let (job, disposition) = (job("deploy-2", 2), "later".to_owned());
    let delivered = Happened::Delivered(job.clone());
    let settling = Happened::Settling { job: job.clone(), disposition: disposition.clone() };
    let settled = Happened::Settled { job: job.clone(), disposition };
    let before = [Happened::Publishing(job.clone()), Happened::Published(job), delivered.clone()];
    let back = [delivered.clone(), settling.clone(), settled.clone(), delivered];
    let overtakes = |record: &mut Record, first: &[Happened]| {
        let first_is_stored = place(
            record,
            |line| matches!(&line.what, Happened::Published(job) if job.job == "deploy-1"),
        );
        let after = first_is_stored + 1;
        record.lines.splice(after..after, back.iter().cloned().map(|what| line(1001, what)));
        let first = before.iter().chain(first).cloned().map(|what| line(999, what));
        record.lines.splice(0..0, first.collect::<Vec<_>>());
    };
    let confirmed = [settling.clone(), settled];
    assert_eq!(broken(|record| overtakes(record, &confirmed)), ["I4", "I6"]);
    assert_eq!(broken(|record| overtakes(record, &[settling])), ["I4"], "it may be there twice");
}

#[test]
fn a_deploy_that_is_tried_again_goes_to_the_end_of_the_line() {
    let overtakes = |record: &mut Record| {
        let (job, disposition) = (job("deploy-2", 2), "retry".to_owned());
        let told = [
            Happened::Publishing(job.clone()),
            Happened::Published(job.clone()),
            Happened::Delivered(job.clone()),
            Happened::Settling { job: job.clone(), disposition: disposition.clone() },
            Happened::Settled { job: job.clone(), disposition },
        ];
        // It was there before, and comes back after the first one was stored.
        let before = told.map(|what| line(999, what));
        record.lines.splice(0..0, before);
        let back = line(1001, Happened::Delivered(job.clone()));
        let stored = place(
            record,
            |line| matches!(&line.what, Happened::Published(job) if job.job == "deploy-1"),
        );
        record.lines.insert(stored + 1, back);
        let disposition = "done".to_owned();
        record.lines.push(line(1090, Happened::Settling { job, disposition }));
    };
    assert_eq!(broken(overtakes), [""; 0], "nobody was stored before it was put back");
}

/// The second deploy asks for prod at once, and gets it so late.
fn waits(record: &mut Record, got_ms: u64) {
    second(record, 2);
    record.lines.push(line(1081, Happened::Asked { job: "deploy-2".to_owned() }));
    record.lines.push(line(got_ms, granted("deploy-2", 2)));
}

#[test]
fn prod_that_nobody_gets_although_it_is_free_breaks_i7() {
    assert_eq!(broken(|record| waits(record, 4000)), [""; 0]);
    assert_eq!(broken(|record| waits(record, 4100)), ["I7"], "nobody woke it");
    let shaken = |record: &mut Record, got_ms| {
        waits(record, got_ms);
        let fault = Happened::Fault { what: "something".to_owned() };
        record.lines.insert(0, line(500, fault));
    };
    assert_eq!(broken(|record| shaken(record, 20_000)), [""; 0], "it asked again by itself");
    assert_eq!(broken(|record| shaken(record, 60_000)), ["I7"]);
    assert_eq!(broken(|record| record.leases.push("warehouse/prod Held".to_owned())), ["I7"]);
}

#[test]
fn a_bridge_that_outlives_its_worker_breaks_i9() {
    let gone = Happened::BridgeGone { bridge: 8, after_ms: 10_001 };
    assert_eq!(broken(|record| record.lines.push(line(1080, gone))), ["I9"]);
    let gone = Happened::BridgeGone { bridge: 8, after_ms: 100 };
    assert_eq!(broken(|record| record.lines.push(line(1080, gone))), Vec::<&str>::new());
}
