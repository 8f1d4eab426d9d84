//! Everything twice: messages, webhooks, and webhooks again; and webhooks that never come.

use std::collections::BTreeSet;

use sluice_chaos::history::{self, Happened};
use sluice_chaos::ports::Published;
use sluice_chaos::town::Town;
use sluice_sim::faults::WebhookFault;

use crate::{arrive, finish, services, town};

/// How many different jobs there are to be at least.
const JOBS: usize = 200;

/// Pull requests that are on their way at the same time.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_jobs_arrive_when_everything_comes_twice_again_or_never() {
    let services = services().await;
    let town = town(&services, |setup| {
        setup.published = Published::Twice;
        setup.sweep_ms = 1500;
    });
    let town = town.await;
    let mut batch = 0;
    while jobs(&town) < JOBS {
        batch += 1;
        let faults = [WebhookFault::Duplicate, WebhookFault::Drop, WebhookFault::None];
        let faults = faults.into_iter().cycle().skip(batch).take(12 * AT_ONCE);
        let faults: Vec<_> = faults.collect();
        town.spoils(move |all| all.webhooks = faults.into()).await.unwrap();
        let mut pulls = Vec::new();
        for number in 0..AT_ONCE {
            let model = format!("model_{batch}_{number}");
            pulls.push(town.opens(&model, &format!("SELECT 1 AS {model}\n")).await.unwrap());
        }
        arrive(&town, &pulls).await;
        replay(&town).await;
    }
    finish(town).await;
}

/// Every webhook so far is sent again.
async fn replay(town: &Town) {
    let guids = |world: &sluice_sim::World| {
        world.deliveries().all().iter().map(|one| one.guid.clone()).collect::<BTreeSet<_>>()
    };
    for guid in town.github.world(guids) {
        town.github.redeliver(&guid).unwrap();
    }
    town.until_quiet().await.unwrap();
}

/// How many different jobs were stored so far.
fn jobs(town: &Town) -> usize {
    let Ok(lines) = history::read(town.folder()) else { return 0 };
    let stored = lines.into_iter().filter_map(|line| match line.what {
        Happened::Published(job) => Some(job.job),
        _ => None,
    });
    stored.collect::<BTreeSet<_>>().len()
}
