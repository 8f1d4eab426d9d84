//! The lines of the log.

use sluice::names::JobId;
use sluice::render::checks::CheckKind;
use sluice_service::redis::StageTime;

use super::outcome::{job, outcome};
use crate::actions::progress::*;

fn stage(stage: &str, took_ms: u64) -> StageTime {
    StageTime { stage: stage.to_owned(), outcome: "ok".to_owned(), took_ms }
}

#[test]
fn everything_is_told_once() {
    let mut seen = outcome(&[(CheckKind::Linter, "queued")]);
    let mut progress = Progress::default();
    let all = progress.news(&seen);
    assert_eq!(
        all,
        ["warehouse #7  look: done", "warehouse #7  linter: queued: the title of linter"]
    );
    assert!(progress.news(&seen).is_empty());

    let mut gate = job("gate", None);
    gate.stages = vec![stage("checkout", 120)];
    gate.stage = Some("lint".to_owned());
    let id = JobId::new("gate:warehouse:7:a").unwrap();
    seen.followed.push((id, gate.clone()));
    let lines = ["gate check: checkout ok, 0.1 s", "gate check: lint …"];
    assert_eq!(progress.news(&seen), lines.map(|line| format!("warehouse #7  {line}")));
    gate.stages.push(stage("lint", 61_000));
    (gate.stage, gate.settled) = (None, Some("retry".to_owned()));
    gate.why = Some("GitHub is away".to_owned());
    seen.followed[1].1 = gate;
    let lines = ["gate check: lint ok, 1m 1s", "gate check: is tried again: GitHub is away"];
    assert_eq!(progress.news(&seen), lines.map(|line| format!("warehouse #7  {line}")));

    seen.followed[1].1 = job("gate", None);
    assert!(progress.news(&seen).is_empty(), "it has begun again");
    seen.followed[1].1.stages = vec![stage("checkout", 5)];
    assert_eq!(progress.news(&seen), ["warehouse #7  gate check: checkout ok, 0.0 s"]);
}

#[test]
fn what_is_waited_for_is_said() {
    let mut seen = outcome(&[(CheckKind::Linter, "success"), (CheckKind::Deploy, "queued")]);
    let open = "prod_environment_synced: the title of prod_environment_synced";
    assert_eq!(still(&seen), format!("warehouse #7  still waiting: {open}"));
    seen.followed.clear();
    assert_eq!(still(&seen), "warehouse #7  no worker has begun it yet");
}

#[test]
fn no_line_is_a_command_to_the_runner() {
    for evil in ["::set-output name=a::b", "  ::error::x", "\n::add-mask::y"] {
        assert!(!harmless(evil).trim_start().starts_with("::"), "{evil:?}");
    }
    let old = harmless("Failed: ##[error]x\r\n##[command]y");
    assert!(!old.contains("##[") && !old.contains(['\r', '\n']), "{old:?}");
}
