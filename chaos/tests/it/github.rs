//! What people and GitHub do at the wrong moment.

use sluice_chaos::history::Happened;
use sluice_chaos::town::Town;
use sluice_sim::Pr;
use sluice_sim::faults::{Answer, Matching, MergeFault};

use crate::{arrive, finish, services, town};

const ROUNDS: usize = 20;

async fn gated(town: &Town, name: &str) -> Vec<Pr> {
    let mut pulls = Vec::new();
    for round in 0..ROUNDS {
        let model = format!("{name}_{round}");
        pulls.push(town.opens(&model, &format!("SELECT 1 AS {model}\n")).await.unwrap());
    }
    for pr in &pulls {
        town.until_gated(pr).await.unwrap();
    }
    pulls
}

/// Alice has one more thing to change.
async fn pushes(town: &Town, name: &str, round: usize, pr: &Pr) {
    let path = format!("models/{name}_{round}.sql");
    let text = format!("SELECT 2 AS {name}_{round}\n");
    // She may be too late.
    drop(town.alice.pushes(pr, &[(&path, Some(&text))]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_comes_after_the_approval_or_after_the_command() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    let approved = gated(&town, "approved").await;
    for (round, pr) in approved.iter().enumerate() {
        town.carol.approves(pr).await.unwrap();
        pushes(&town, "approved", round, pr).await;
    }
    arrive(&town, &approved).await;
    let commanded = gated(&town, "commanded").await;
    for (round, pr) in commanded.iter().enumerate() {
        town.carol.comments(pr, "/deploy").await.unwrap();
        pushes(&town, "commanded", round, pr).await;
    }
    arrive(&town, &commanded).await;
    finish(town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_comes_between_the_apply_and_the_merge() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    let pulls = gated(&town, "late").await;
    for (round, pr) in pulls.iter().enumerate() {
        // The merge is refused for a second, in which alice pushes.
        town.spoils(|faults| faults.merges = [MergeFault::BaseModified].into()).await.unwrap();
        town.carol.approves(pr).await.unwrap();
        let applied = |line: &sluice_chaos::history::Line| {
            matches!(&line.what, Happened::Promoted { apply, .. }
                if apply.environment == "prod" && apply.pr == pr.number)
        };
        town.until_line("applied", applied).await.unwrap();
        pushes(&town, "late", round, pr).await;
        arrive(&town, std::slice::from_ref(pr)).await;
    }
    finish(town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merges_are_refused_or_answered_with_an_error_after_they_happened() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    let refused = gated(&town, "refused").await;
    let conflicting = gated(&town, "conflicting").await;
    let unanswered = gated(&town, "unanswered").await;
    town.spoils(|faults| faults.merges = [MergeFault::BaseModified; ROUNDS].into()).await.unwrap();
    arrive(&town, &refused).await;
    town.spoils(|faults| faults.merges = [MergeFault::HeadModified; ROUNDS].into()).await.unwrap();
    arrive(&town, &conflicting).await;
    let merge = Matching::GraphQl("mergePullRequest".to_owned());
    let times = u32::try_from(ROUNDS).unwrap();
    let lost = Answer::StatusAfterEffect(500);
    town.spoils(move |faults| faults.answer(merge, times, lost)).await.unwrap();
    arrive(&town, &unanswered).await;
    finish(town).await;
}
