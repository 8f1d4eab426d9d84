//! The chaos suite in its short form: one file per sort of fault, one test per row of the table of
//! what is done to the cluster.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

mod broker;
mod github;
mod guards;
mod points;
mod poison;
mod redis;
mod repeats;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use sluice_chaos::checker::check;
use sluice_chaos::history::{self, Happened, Line};
use sluice_chaos::setup::Setup;
use sluice_chaos::town::{DEPLOY, Record, Services, Town};
use sluice_sim::{Pr, PrSnapshot};

/// The program of a worker process.
const WORKER: &str = env!("CARGO_BIN_EXE_sluice-chaos-worker");

/// A broker and a store with nothing special about them.
async fn services() -> Arc<Services> {
    services_with("").await
}

/// The same, with an `advanced.config` for the broker.
async fn services_with(broker: &'static str) -> Arc<Services> {
    // What the stand-in and the producer say is shown with a failure.
    let told = tracing_subscriber::fmt().with_test_writer().with_env_filter("warn").try_init();
    drop(told);
    Services::start(("", broker)).await.unwrap()
}

/// A town with two workers.
async fn town(services: &Services, tweak: impl FnOnce(&mut Setup)) -> Town {
    Town::start(services, WORKER, 2, tweak).await.unwrap()
}

/// The end of a town: quiet, with nothing to object to.
async fn finish(town: Town) {
    finish_with(town, &[]).await;
}

/// The end of a town in which messages fail for good whose reasons begin so. Hands out what is left
/// of it.
async fn finish_with(town: Town, dead: &[&str]) -> Record {
    let record = town.finish().await.unwrap();
    let violations = check(&record, dead);
    let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), text.join("\n"));
    record
}

/// How many lines of a town's history so far are like that.
fn count(town: &Town, is_it: impl Fn(&Line) -> bool) -> usize {
    let lines = history::read(town.folder()).unwrap();
    lines.iter().filter(|line| is_it(line)).count()
}

/// Whether a line says that prod stands at what a pull request brought.
fn promotes(line: &Line, pr: &Pr) -> bool {
    matches!(&line.what, Happened::Promoted { apply, .. }
        if apply.environment == "prod" && apply.pr == pr.number)
}

/// Waits, because something is to last so long.
async fn passes(time: Duration) {
    let mut ticks = tokio::time::interval(time);
    ticks.tick().await;
    ticks.tick().await;
}

/// Carol approves whatever is there and needs it, until all of it is merged. One that was previewed
/// while another one was between apply and merge is refused, previewed again, and approved again.
async fn arrive(town: &Town, pulls: &[Pr]) {
    for pr in pulls {
        town.until_gated(pr).await.unwrap();
        town.carol.approves(pr).await.unwrap();
    }
    for pr in pulls {
        arrives(town, pr).await;
    }
    town.until_quiet().await.unwrap();
}

/// One that is approved arrives, and is approved again as often as it needs it.
async fn arrives(town: &Town, pr: &Pr) {
    loop {
        let ends = |seen: &PrSnapshot| seen.conclusion(DEPLOY).is_some();
        town.until(pr, "deployed or refused", ends).await.unwrap();
        if town.github.pr(pr).unwrap().merged_as.is_some() {
            break;
        }
        approves_again(town, pr).await;
    }
    town.until_deployed(pr).await.unwrap();
}

/// Carol approves what was refused, once she is shown what it does now.
async fn approves_again(town: &Town, pr: &Pr) {
    town.until_gated(pr).await.unwrap();
    // An approval counts for what was shown before its second.
    passes(Duration::from_millis(1100)).await;
    // It may be merged by now.
    drop(town.carol.approves(pr).await);
}
