//! What people and GitHub do at the wrong moment.

use std::ops::Range;

use sluice_chaos::town::{Services, Town};
use sluice_sim::faults::{Answer, Faults, Matching, MergeFault};
use sluice_sim::world::WorldError;
use sluice_sim::{Pr, SimError};

use crate::{arrive, arrives, finish, promotes, services, town};

const ROUNDS: usize = 20;

/// How many gates run at the same time where several towns are at work.
const AT_ONCE: usize = 5;

async fn gated(town: &Town, name: &str, rounds: Range<usize>) -> Vec<Pr> {
    let mut pulls = Vec::new();
    for round in rounds {
        let model = format!("{name}_{round}");
        pulls.push(town.opens(&model, &format!("SELECT 1 AS {model}\n")).await.unwrap());
    }
    for pr in &pulls {
        town.until_gated(pr).await.unwrap();
    }
    pulls
}

/// Alice has one more thing to change; says whether she was in time, before the merge.
async fn pushes(town: &Town, name: &str, round: usize, pr: &Pr) -> bool {
    let path = format!("models/{name}_{round}.sql");
    let text = format!("SELECT 2 AS {name}_{round}\n");
    match town.alice.pushes(pr, &[(&path, Some(&text))]).await {
        Ok(_) => true,
        Err(SimError::World(WorldError::Unprocessable(why))) if why.contains("not open") => false,
        Err(error) => panic!("{error}"),
    }
}

/// Most of them, on any machine: each push is a matter of milliseconds.
fn were_in_time(in_time: usize) {
    assert!(in_time >= ROUNDS * 4 / 5, "only {in_time} of {ROUNDS} pushes were in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_comes_after_the_approval_or_after_the_command() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    let (approved, mut in_time) = (gated(&town, "approved", 0..ROUNDS).await, 0);
    for (round, pr) in approved.iter().enumerate() {
        town.carol.approves(pr).await.unwrap();
        in_time += usize::from(pushes(&town, "approved", round, pr).await);
    }
    were_in_time(in_time);
    arrive(&town, &approved).await;
    let (commanded, mut in_time) = (gated(&town, "commanded", 0..ROUNDS).await, 0);
    for (round, pr) in commanded.iter().enumerate() {
        town.carol.comments(pr, "/deploy").await.unwrap();
        in_time += usize::from(pushes(&town, "commanded", round, pr).await);
    }
    were_in_time(in_time);
    arrive(&town, &commanded).await;
    finish(town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_comes_between_the_apply_and_the_merge() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    let (pulls, mut in_time) = (gated(&town, "late", 0..ROUNDS).await, 0);
    for (round, pr) in pulls.iter().enumerate() {
        // The merge is refused for a second, in which alice pushes.
        town.spoils(|faults| faults.merges = [MergeFault::BaseModified].into()).await.unwrap();
        town.carol.approves(pr).await.unwrap();
        town.until_line("applied", |line| promotes(line, pr)).await.unwrap();
        in_time += usize::from(pushes(&town, "late", round, pr).await);
        arrive(&town, std::slice::from_ref(pr)).await;
    }
    were_in_time(in_time);
    finish(town).await;
}

/// What GitHub says to a merge, once in every round.
#[derive(Debug, Clone, Copy)]
enum Spoiled {
    /// 405, in one round for a moment, in the next one without a word of that.
    NotAllowed,
    /// 409.
    Conflict,
    /// 500, after it merged.
    Unanswered,
}

impl Spoiled {
    async fn prepare(self, town: &Town, round: usize) {
        let merge = Matching::GraphQl("mergePullRequest".to_owned());
        let spoil = move |faults: &mut Faults| match self {
            Self::NotAllowed if round.is_multiple_of(2) => {
                faults.merges.push_back(MergeFault::BaseModified);
            }
            Self::NotAllowed => faults.merges.push_back(MergeFault::NotMergeable),
            Self::Conflict => faults.merges.push_back(MergeFault::HeadModified),
            Self::Unanswered => faults.answer(merge, 1, Answer::StatusAfterEffect(500)),
        };
        town.spoils(spoil).await.unwrap();
    }
}

/// As many pull requests, each of which gets that answer to its merge, and is merged all the same.
async fn each_is_merged(services: &Services, name: &str, spoiled: Spoiled) {
    let town = town(services, |_| {}).await;
    for first in (0..ROUNDS).step_by(AT_ONCE) {
        for (round, pr) in gated(&town, name, first..first + AT_ONCE).await.iter().enumerate() {
            spoiled.prepare(&town, round).await;
            town.carol.approves(pr).await.unwrap();
            arrives(&town, pr).await;
            let left =
                town.github.world(|world| world.faults.merges.len() + world.faults.responses.len());
            assert_eq!(left, 0, "{spoiled:?} #{}: the merge was not answered so", pr.number);
        }
    }
    finish(town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_are_refused_or_answered_with_an_error_after_they_happened() {
    let services = services().await;
    tokio::join!(
        each_is_merged(&services, "refused", Spoiled::NotAllowed),
        each_is_merged(&services, "conflicting", Spoiled::Conflict),
        each_is_merged(&services, "unanswered", Spoiled::Unanswered),
    );
}
