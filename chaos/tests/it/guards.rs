//! The test of the tests: without one of its guards, sluice fails them.

use std::sync::Arc;

use sluice_chaos::checker::check;
use sluice_chaos::history::{Happened, Line};
use sluice_chaos::points::{Act, When};
use sluice_chaos::ports::Guard;
use sluice_chaos::town::{DEPLOY, Services, Town};
use sluice_sim::PrSnapshot;
use sluice_sim::faults::MergeFault;
use sluice_sim::world::CheckConclusion;

use crate::{WORKER, approves_again, arrives, promotes, services};

async fn town_without(services: &Services, guard: Option<Guard>) -> Town {
    let town = Town::start(services, WORKER, 2, |setup| {
        setup.without = guard;
        setup.heartbeat_ms = 1000;
        setup.lease_ms = [5000, 300, 4000, 300];
    });
    town.await.unwrap()
}

/// Ends a town in which something is to be found that begins so.
async fn breaks(town: Town, what: &str) {
    let record = town.finish().await.unwrap();
    let violations = check(&record, &[]);
    let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
    let is_found = text.iter().any(|text| text.starts_with(what));
    assert!(is_found, "{what}: not found:\n{}", text.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_guard_is_missed() {
    let services = services().await;
    leases_are_missed(&services).await;
    adoption_is_missed(&services).await;
    the_reservation_is_missed(&services).await;
    redelivery_is_missed(&services).await;
    the_fence_is_missed(&services).await;
    the_boot_marker_is_missed(&services).await;
}

/// The same model for two pull requests, built for long enough that both are seen to build it,
/// however slow the machine is.
const SAME: &str = "SELECT 1 AS same -- always takes 20000 ms\n";

async fn leases_are_missed(services: &Services) {
    let town = town_without(services, Some(Guard::Lease)).await;
    town.opens("same", SAME).await.unwrap();
    let b = town.opens("also", "SELECT 1\n").await.unwrap();
    town.alice.pushes(&b, &[("models/same.sql", Some(SAME))]).await.unwrap();
    let overlaps = |line: &Line| matches!(line.what, Happened::Overlap { .. });
    town.until_line("an overlap", overlaps).await.unwrap();
    drop(town);
}

async fn adoption_is_missed(services: &Services) {
    let town = town_without(services, Some(Guard::Adoption)).await;
    let pr = town.gated("alpha", "SELECT 1 AS alpha\n").await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await.unwrap();
    breaks(town, "I5").await;
}

/// The merge of one is refused for as long as it takes another one to come in between: it finds a
/// prod that has what main lacks, and people approve that it takes that back.
async fn the_reservation_is_missed(services: &Services) {
    let town = town_without(services, Some(Guard::Reservation)).await;
    let a = town.gated("alpha", "SELECT 1 AS alpha\n").await.unwrap();
    let b = town.gated("beta", "SELECT 1 AS beta\n").await.unwrap();
    town.spoils(|faults| faults.merges = [MergeFault::NotMergeable; 100].into()).await.unwrap();
    town.carol.approves(&a).await.unwrap();
    town.until_line("applied", |line| promotes(line, &a)).await.unwrap();
    town.carol.approves(&b).await.unwrap();
    let insisting = async {
        loop {
            let refused = |seen: &PrSnapshot| {
                seen.conclusion(DEPLOY) == Some(CheckConclusion::ActionRequired)
            };
            town.until(&b, "refused", refused).await.unwrap();
            approves_again(&town, &b).await;
        }
    };
    tokio::select! {
        line = town.until_line("in between", |line| promotes(line, &b)) => drop(line.unwrap()),
        () = insisting => {}
    }
    town.spoils(|faults| faults.merges.clear()).await.unwrap();
    for pr in [&a, &b] {
        arrives(&town, pr).await;
    }
    let between = format!("I3: #{} was promoted while main lacked #{}", b.number, a.number);
    breaks(town, &between).await;
}

async fn redelivery_is_missed(services: &Services) {
    let town = town_without(services, Some(Guard::Redelivery)).await;
    let pr = town.gated("alpha", "SELECT 1 AS alpha\n").await.unwrap();
    town.points.arm("engine.stage.promote", When::After, Act::Die, 0).unwrap();
    town.carol.approves(&pr).await.unwrap();
    town.until_applying(&pr).await.unwrap();
    breaks(town, "I4").await;
}

async fn the_fence_is_missed(services: &Services) {
    let town = town_without(services, Some(Guard::Fence)).await;
    let pr = town.gated("alpha", "SELECT 1 AS alpha -- takes 1500 ms\n").await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    let (_, worker) = town.until_applying(&pr).await.unwrap();
    let seat = town.seats.all.iter().find(|seat| seat.pid() == Some(worker)).unwrap();
    seat.with(|process| process.stop()).unwrap();
    let overlaps = |line: &Line| matches!(line.what, Happened::Overlap { .. });
    town.until_line("an overlap", overlaps).await.unwrap();
    seat.with(|process| process.go_on()).unwrap();
    drop(town);
}

async fn the_boot_marker_is_missed(services: &Arc<Services>) {
    // A bridge that hears nothing of its worker goes on for 13 s: that others come between is to be
    // seen however slow the machine is.
    let town = Town::start(services, WORKER, 2, |setup| {
        setup.heartbeat_ms = 1000;
        setup.lease_ms = [30_000, 300, 4000, 300];
    });
    let town = town.await.unwrap();
    town.opens("same", SAME).await.unwrap();
    let begins = |line: &Line| matches!(line.what, Happened::ApplyBegan { .. });
    let bridge = town.until_line("an apply", begins).await.unwrap().pid;
    let worker = town.worker_of(bridge).await.unwrap();
    let seat = town.seats.all.iter().find(|seat| seat.pid() == Some(worker)).unwrap();
    let b = town.opens("also", "SELECT 1\n").await.unwrap();
    town.alice.pushes(&b, &[("models/same.sql", Some(SAME))]).await.unwrap();
    let comes_again = |line: &Line| {
        matches!(&line.what, Happened::Settled { job, disposition }
            if job.pr == b.number && job.kind == "gate" && disposition == "later")
    };
    town.until_line("it waits", comes_again).await.unwrap();
    seat.with(|process| process.stop()).unwrap();
    services
        .redis(|redis| {
            redis.kill()?;
            redis.empty()?;
            redis.start()
        })
        .await
        .unwrap();
    town.setup.store().unwrap().thaw().await.unwrap();
    let overlaps = |line: &Line| matches!(line.what, Happened::Overlap { .. });
    town.until_line("an overlap", overlaps).await.unwrap();
    seat.with(|process| process.go_on()).unwrap();
    drop(town);
}
