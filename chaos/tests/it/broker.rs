//! A broker that is killed, closes connections, or loses patience with a deploy.

use sluice_chaos::history::{Happened, Line};
use sluice_chaos::town::Town;
use sluice_sim::Pr;

use crate::{count, finish, services, services_with, town};

const ROUNDS: usize = 2;

/// A deploy that is on its way to prod for a while, and one that waits.
async fn under_way(town: &Town, name: &str, takes_ms: u64) -> [Pr; 2] {
    let slow = format!("SELECT 1 AS {name} -- takes {takes_ms} ms\n");
    let a = town.gated(name, &slow).await.unwrap();
    let b = town.gated(&format!("{name}_next"), "SELECT 1 AS next\n").await.unwrap();
    town.carol.approves(&a).await.unwrap();
    town.carol.approves(&b).await.unwrap();
    town.until_applying(&a).await.unwrap();
    [a, b]
}

async fn both_arrive(town: &Town, pulls: &[Pr; 2]) {
    for pr in pulls {
        town.until_deployed(pr).await.unwrap();
    }
    town.until_quiet().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_killed_or_closes_every_connection() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    for round in 0..ROUNDS {
        let pulls = under_way(&town, &format!("killed_{round}"), 500).await;
        town.tells("the broker is killed");
        let restarting = services.broker(|broker| {
            broker.kill()?;
            broker.start()
        });
        restarting.await.unwrap();
        town.tells_end("the broker is back");
        both_arrive(&town, &pulls).await;

        let pulls = under_way(&town, &format!("closed_{round}"), 1000).await;
        town.tells("the broker closes every connection");
        let closing = services.broker(|broker| broker.control(&["close_all_connections", "chaos"]));
        closing.await.unwrap();
        both_arrive(&town, &pulls).await;
    }
    finish(town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_outlasts_the_patience_of_the_broker() {
    let impatient = "[{rabbit, [{consumer_timeout, 3000}, {channel_tick_interval, 500}]}].\n";
    let services = services_with(impatient).await;
    let town = town(&services, |_| {}).await;
    for round in 0..ROUNDS {
        let pulls = under_way(&town, &format!("long_{round}"), 2500).await;
        both_arrive(&town, &pulls).await;
        let handed_out = |line: &Line| {
            matches!(&line.what, Happened::Delivered(job)
                if job.kind == "deploy" && job.pr == pulls[0].number)
        };
        assert!(count(&town, handed_out) >= 2, "the broker never lost its patience");
        assert_eq!(town.applies(&pulls[0]).unwrap(), 1, "the copy that came back applied nothing");
    }
    finish(town).await;
}
