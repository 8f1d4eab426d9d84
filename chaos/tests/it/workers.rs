//! Workers that stand still, and bridges that are lost without their worker.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sluice_chaos::points::Act;
use sluice_chaos::town::Town;
use sluice_sim::Pr;

use crate::{finish, promotes, services, town};

const ROUNDS: usize = 5;

/// Two approved pull requests, of which the first takes its time in prod.
async fn two(town: &Town, round: usize, takes_ms: u64) -> [Pr; 2] {
    let (a, b) = (format!("a_{round}"), format!("b_{round}"));
    let slow = format!("SELECT 1 AS a -- takes {takes_ms} ms\n");
    let (a, b) = tokio::join!(town.gated(&a, &slow), town.gated(&b, "SELECT 1 AS b\n"));
    let pulls = [a.unwrap(), b.unwrap()];
    for pr in &pulls {
        town.carol.approves(pr).await.unwrap();
    }
    pulls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stands_still_for_longer_than_its_lease_while_another_deploy_waits() {
    let services = services().await;
    // The broker gives up on a worker that stands still, and hands its deploy to the next one.
    let town = town(&services, |setup| setup.heartbeat_ms = 1000).await;
    for round in 0..ROUNDS {
        let [a, b] = two(&town, round, 1200).await;
        let (_, worker) = town.until_applying(&a).await.unwrap();
        let seat = town.seats.all.iter().find(|seat| seat.pid() == Some(worker)).unwrap();
        town.tells(format!("{} stands still", seat.name));
        seat.with(|process| process.stop()).unwrap();
        // Somebody else takes it over, and has prod, while this one stands still.
        let applied = town.applies(&a).unwrap();
        town.until_line("taken over", |line| promotes(line, &a)).await.unwrap();
        assert!(town.applies(&a).unwrap() > applied, "by another one");
        town.tells_end(format!("{} goes on", seat.name));
        seat.with(|process| process.go_on()).unwrap();
        for pr in [&a, &b] {
            town.until_deployed(pr).await.unwrap();
        }
        town.until_quiet().await.unwrap();
    }
    finish(town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_alone_is_killed_or_stands_still() {
    let services = services().await;
    let town = town(&services, |setup| setup.deploy_ms = 6000).await;
    for round in 0..ROUNDS {
        for act in [Act::Die, Act::Freeze] {
            let [a, b] = two(&town, 10 * round + act as usize, 500).await;
            let (bridge, _) = town.until_applying(&a).await.unwrap();
            town.tells(format!("bridge {bridge}: {act:?}"));
            let signal = if act == Act::Die { Signal::SIGKILL } else { Signal::SIGSTOP };
            kill(Pid::from_raw(i32::try_from(bridge).unwrap()), signal).unwrap();
            for pr in [&a, &b] {
                town.until_deployed(pr).await.unwrap();
            }
        }
    }
    finish(town).await;
}
