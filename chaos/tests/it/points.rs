//! Workers that are killed before and after every effect, and that nothing is left out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use sluice_chaos::history::{self, Happened};
use sluice_chaos::points::{Act, EFFECTS, WHENS, When};
use sluice_chaos::town::{PATIENCE, Town};

use crate::{finish, services, town};

/// How many rounds there are per point.
const ROUNDS: u32 = 2;

/// Towns that work through the rounds at the same time.
const TOWNS: usize = 3;

/// Effects that a pull request has more than once: the second round is for the second time.
const OFTEN: [&str; 8] = [
    "queue.settle.approval",
    "lease.acquire.turn",
    "lease.renew",
    "lease.release.turn",
    "github.report",
    "engine.open",
    "ledger.begin",
    "ledger.end",
];

/// What comes by chance only, and so is no point to die at: a sweep asks for a cleanup when it
/// comes between a merge and the end of the lease of a worker that died of it.
const BY_CHANCE: &str = "queue.publish.cleanup";

/// A round: a worker dies at that point, after it was passed so many times.
type Round = (&'static str, When, u32);

fn rounds() -> VecDeque<Round> {
    let of_effect = |effect: &'static str| {
        let passes = move |round: u32| if OFTEN.contains(&effect) { round } else { 0 };
        WHENS
            .into_iter()
            .flat_map(move |when| (0..ROUNDS).map(move |round| (effect, when, passes(round))))
    };
    EFFECTS.iter().copied().flat_map(of_effect).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_killed_before_and_after_every_effect() {
    let services = services().await;
    let rounds = Mutex::new(rounds());
    let passed = Mutex::new(BTreeSet::new());
    let working = |_| async {
        let town = town(&services, |setup| setup.sweep_ms = 2000).await;
        let mut number = 0;
        loop {
            let Some(next) = rounds.lock().unwrap().pop_front() else { break };
            number += 1;
            round(&town, next, number).await;
        }
        passed.lock().unwrap().extend(sorts(&town));
        finish(town).await;
    };
    let towns: [usize; TOWNS] = std::array::from_fn(|number| number);
    let [a, b, c] = towns.map(working);
    tokio::join!(a, b, c);
    let mut passed = passed.into_inner().unwrap();
    passed.remove(BY_CHANCE);
    let named: BTreeSet<String> = EFFECTS.iter().map(|effect| (*effect).to_owned()).collect();
    assert_eq!(passed, named, "the sorts of effects that workers have");
}

/// The sorts of effects that the workers of a town came by.
fn sorts(town: &Town) -> BTreeSet<String> {
    let lines = history::read(town.folder()).unwrap().into_iter();
    let of_workers = lines.filter(|line| line.who.starts_with("worker"));
    let sorts = of_workers.filter_map(|line| match line.what {
        Happened::Passed { effect } => Some(effect),
        _ => None,
    });
    sorts.collect()
}

/// One pull request, from its opening to the end of its cleanup; somebody dies on the way.
async fn round(town: &Town, (effect, when, passes): Round, number: usize) {
    town.points.arm(effect, when, Act::Die, passes).unwrap();
    let model = format!("model_{number}");
    let takes = if effect == "lease.renew" { "-- takes 300 ms" } else { "" };
    let text = format!("SELECT 1 AS {model} {takes}\n");
    let pr = match effect {
        // Only a sweep asks for it.
        "queue.publish.approval" => town.opens_quietly(&model, &text).await.unwrap(),
        _ => town.opens(&model, &text).await.unwrap(),
    };
    let said = format!("{effect} {when:?} after {passes}");
    town.until_gated(&pr).await.unwrap_or_else(|error| panic!("{said}: {error:#}"));
    match effect {
        "queue.settle.command" => {
            // GitHub counts in whole seconds: one that may be older than the head is refused.
            crate::passes(Duration::from_secs(1)).await;
            town.carol.comments(&pr, "/deploy").await.unwrap();
        }
        _ => drop(town.carol.approves(&pr).await.unwrap()),
    }
    town.until_deployed(&pr).await.unwrap_or_else(|error| panic!("{said}: {error:#}"));
    if effect == "lease.acquire.sweep" {
        // It comes by itself.
        let reached = async {
            while town.points.is_armed(effect, when) {
                crate::passes(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    }
    town.until_quiet().await.unwrap_or_else(|error| panic!("{said}: {error:#}"));
    assert!(!town.points.is_armed(effect, when), "never reached: {said}");
}

/// The verbs of the ports that change nothing, and so have no points.
const LOOKS: [&str; 25] = [
    "consume",
    "waiting",
    "dead_letters",
    "delayed",
    "check",
    "next",
    "inspect",
    "changed",
    "facts",
    "checks",
    "role",
    "open_pulls",
    "policy",
    "load",
    "lint",
    "test",
    "plan",
    "environment",
    "close",
    "may_start",
    "is_cleanup_undertaken",
    "oldest",
    "lately",
    "contains",
    "list",
];

/// Those that a pull request's way to prod does not have.
const ASIDE: [&str; 4] = ["revoke", "withdraw_cleanup", "mark", "redeliver"];

#[test]
fn every_effect_of_every_port_has_its_points() {
    let ports = [
        include_str!("../../../src/queue/mod.rs"),
        include_str!("../../../src/lease/mod.rs"),
        include_str!("../../../src/github/mod.rs"),
        include_str!("../../../src/engine.rs"),
        include_str!("../../../src/ledger.rs"),
    ];
    let named: BTreeSet<&str> = EFFECTS.iter().filter_map(|e| e.split('.').nth(1)).collect();
    let verbs = ports.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let rest = line.strip_prefix("    async fn ")?;
        rest.split(['(', '<']).next()
    });
    let verbs: BTreeSet<&str> = verbs.collect();
    assert!(verbs.len() > 30, "the traits were not found: {verbs:?}");
    let missing: Vec<_> = verbs
        .iter()
        .filter(|verb| !named.contains(**verb) && !LOOKS.contains(verb) && !ASIDE.contains(verb))
        .collect();
    assert_eq!(missing, Vec::<&&str>::new(), "effects without points");
}
