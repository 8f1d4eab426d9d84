//! The test of the tests: without one of its guards, sluice fails them.

use std::sync::Arc;

use sluice_chaos::checker::{Violation, check};
use sluice_chaos::history::{Happened, Line};
use sluice_chaos::points::{Act, When};
use sluice_chaos::ports::Guard;
use sluice_chaos::town::{DEPLOY, Services, Town};
use sluice_sim::faults::MergeFault;
use sluice_sim::world::CheckConclusion;

use crate::{WORKER, services};

async fn town_without(services: &Services, guard: Option<Guard>) -> Town {
    let town = Town::start(services, WORKER, 2, |setup| {
        setup.without = guard;
        setup.heartbeat_ms = 1000;
        setup.lease_ms = [5000, 300, 4000, 300];
    });
    town.await.unwrap()
}

async fn breaks(town: Town, invariant: &str) {
    let record = town.finish().await.unwrap();
    let violations = check(&record, 0);
    let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
    let broken = |violation: &Violation| violation.invariant == invariant;
    assert!(violations.iter().any(broken), "{invariant} holds:\n{}", text.join("\n"));
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

/// The same model for two pull requests, built for a while.
const SAME: &str = "SELECT 1 AS same -- always takes 1000 ms\n";

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

async fn the_reservation_is_missed(services: &Services) {
    let town = town_without(services, Some(Guard::Reservation)).await;
    let a = town.gated("alpha", "SELECT 1 AS alpha\n").await.unwrap();
    let b = town.gated("beta", "SELECT 1 AS beta\n").await.unwrap();
    town.spoils(|faults| faults.merges = [MergeFault::NotMergeable; 3].into()).await.unwrap();
    town.carol.approves(&a).await.unwrap();
    town.until_applying(&a).await.unwrap();
    town.carol.approves(&b).await.unwrap();
    // It finds a prod that has what main lacks.
    let refused = |seen: &sluice_sim::PrSnapshot| {
        seen.conclusion(DEPLOY) == Some(CheckConclusion::ActionRequired)
    };
    town.until(&b, "refused", refused).await.unwrap();
    drop(town);
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
    let town = town_without(services, None).await;
    let first = "SELECT 1 AS same -- always takes 4000 ms\n";
    town.opens("same", first).await.unwrap();
    let begins = |line: &Line| matches!(line.what, Happened::ApplyBegan { .. });
    let bridge = town.until_line("an apply", begins).await.unwrap().pid;
    let worker = town.worker_of(bridge).await.unwrap();
    let seat = town.seats.all.iter().find(|seat| seat.pid() == Some(worker)).unwrap();
    let b = town.opens("also", "SELECT 1\n").await.unwrap();
    let files = [("models/same.sql", Some("SELECT 1 AS same -- always takes 4000 ms\n"))];
    town.alice.pushes(&b, &files).await.unwrap();
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
