//! A store that is killed, emptied, or does not answer.

use std::sync::Arc;
use std::time::Duration;

use sluice_chaos::history::{self, Happened, Line};
use sluice_chaos::town::{Services, Town};
use sluice_sim::Pr;

use crate::{count, finish, passes, services, town};

const ROUNDS: usize = 3;

/// A deploy that is on its way to prod, and one that waits.
async fn under_way(town: &Town, name: &str, stage_ms: u64) -> [Pr; 2] {
    let slow = format!("SELECT 1 AS {name} -- takes {stage_ms} ms\n");
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
async fn redis_is_killed_and_comes_back_with_its_data_or_without() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    for round in 0..ROUNDS {
        for empty in ["kept", "emptied"] {
            let pulls = under_way(&town, &format!("{empty}_{round}"), 300).await;
            town.tells(format!("Redis is killed, its data {empty}"));
            restart(&services, empty).await;
            town.tells_end("Redis is back");
            both_arrive(&town, &pulls).await;
        }
    }
    finish(town).await;
}

async fn restart(services: &Arc<Services>, data: &'static str) {
    let restarting = services.redis(move |redis| {
        redis.kill()?;
        if data == "emptied" {
            redis.empty()?;
        }
        redis.start()
    });
    restarting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_does_not_answer_for_half_the_fence_time_or_longer_than_it() {
    let services = services().await;
    let town = town(&services, |setup| setup.lease_ms = [4000, 300, 2000, 300]).await;
    for round in 0..ROUNDS {
        // The apply takes four stages: less than the fence, and more than it.
        for (name, silence_ms, stage_ms) in [("half", 1000, 300), ("longer", 3000, 900)] {
            let pulls = under_way(&town, &format!("{name}_{round}"), stage_ms).await;
            town.tells(format!("Redis is silent for {silence_ms} ms"));
            services.redis(|redis| redis.process()?.stop()).await.unwrap();
            passes(Duration::from_millis(silence_ms)).await;
            services.redis(|redis| redis.process()?.go_on()).await.unwrap();
            town.tells_end("Redis answers again");
            both_arrive(&town, &pulls).await;
            match name {
                "half" => assert_eq!(town.applies(&pulls[0]).unwrap(), 1, "it went on"),
                _ => was_fenced(&town, &pulls[0]),
            }
        }
    }
    finish(town).await;
}

/// Its worker gave prod up and ended the bridge, and the deploy was begun once more.
fn was_fenced(town: &Town, pr: &Pr) {
    let lost = |line: &Line| {
        matches!(&line.what, Happened::LeaseLost { key, pr: of, .. }
            if key.ends_with("/prod") && *of == pr.number)
    };
    assert!(count(town, lost) >= 1, "prod was never lost");
    assert!(town.applies(pr).unwrap() >= 2, "it was not fenced");
    let lines = history::read(town.folder()).unwrap();
    let mut bridges = lines.iter().filter_map(|line| match &line.what {
        Happened::ApplyBegan(apply) if apply.environment == "prod" && apply.pr == pr.number => {
            Some(line.pid)
        }
        _ => None,
    });
    let first = bridges.next().unwrap();
    let gone =
        |line: &Line| matches!(&line.what, Happened::BridgeGone { bridge, .. } if *bridge == first);
    assert_eq!(count(town, gone), 1, "nobody watched its bridge");
}
