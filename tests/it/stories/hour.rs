//! An hour of a large monorepo: what 2,000 events may cost, of the 5,000 requests that GitHub
//! allows and of the 500 that create content. An approval, a gate check and a deploy each have
//! their bound in [`budget`](super::budget); here is what they come to.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice::clock::Clock as _;
use sluice::pipeline::sweep::Sweeper;
use sluice_sim::world::{
    CheckConclusion, CheckRunChange, CheckStatus, Identity, NewCheckRun, RequestKind, RequestRecord,
};
use sluice_sim::{Pr, PrSpec};
use sluice_worker::github::WriteLimits;

use crate::town::{LINTER, PROD_PLAN, Setup, Town};

/// Open pull requests in 50 projects.
const PULLS: usize = 500;

/// Those of `p0`: each is approved and deployed, one with every 80th event.
const TO_PROD: usize = EVENTS / 80;

/// Those that are pushed to and reviewed. What happens to the others is that people talk.
const AT_WORK: usize = 40;

const EVENTS: usize = 2_000;
const HOUR: Duration = Duration::from_secs(3600);

/// So many happen within the same moment.
const AT_ONCE: usize = 20;

/// A sweep every five minutes.
const SWEEPS: usize = 12;

fn project(number: usize) -> String {
    if number < TO_PROD { "p0".to_owned() } else { format!("p{}", 1 + number % 49) }
}

/// The model that a pull request adds to its project: no two are in each other's way.
fn model(number: usize) -> String {
    format!("{}/models/m{number}.sql", project(number))
}

fn change(number: usize) -> PrSpec {
    PrSpec::new(&format!("change-{number}")).file(&model(number), "SELECT 1 AS one\n")
}

/// Opens a pull request, and waits until it is gated.
async fn opens(town: &Town, number: usize) -> Pr {
    town.alice.opens_pr(&town.repository, change(number)).await.unwrap()
}

/// A pull request that was gated long ago.
async fn was_gated(town: &Town, number: usize) -> Pr {
    let pr = town.alice.quietly().opens_pr(&town.repository, change(number)).await.unwrap();
    let change = CheckRunChange {
        status: Some(CheckStatus::Completed),
        conclusion: Some(CheckConclusion::Success),
        ..CheckRunChange::default()
    };
    let name = format!("{PROD_PLAN} ({})", project(number));
    let run = NewCheckRun { name, commit: town.see(&pr).head.to_string(), change };
    let repository = town.repository.clone();
    let gated = move |world: &mut sluice_sim::World| {
        world.quietly(|world| world.create_check_run(&Identity::App, &repository, run))
    };
    town.github.change(gated).await.unwrap();
    pr
}

/// Of 80 events three are pushes, 12 are reviews, one approves a change for production, now and
/// then one opens a pull request, and the rest is talk.
async fn happens(town: &Town, pulls: &mut Vec<Pr>, event: usize) {
    let place = TO_PROD + event / 5 % (AT_WORK - TO_PROD);
    match event % 80 {
        10 | 35 | 60 => {
            let sql = format!("SELECT {event} AS one\n");
            let files = [(&*model(place), Some(&*sql))];
            town.alice.pushes(&pulls[place], &files).await.unwrap();
        }
        1 if event % 3 == 1 => pulls.push(opens(town, pulls.len()).await),
        2 => _ = town.carol.approves(&pulls[event / 80]).await.unwrap(),
        nth if nth % 6 == 3 && nth < 75 => {
            _ = town.mallory.approves(&pulls[place]).await.unwrap();
        }
        _ => {
            let anywhere = &pulls[TO_PROD + event * 7 % (PULLS - TO_PROD)];
            town.bob.comments(anywhere, "Nice; what of the nulls?").await.unwrap();
        }
    }
}

fn creates_content(request: &RequestRecord) -> bool {
    match request.kind {
        RequestKind::Rest => request.method != "GET",
        RequestKind::GraphQl => {
            request.operations.iter().any(|name| name == "Report" || name == "Merge")
        }
        RequestKind::Git => false,
    }
}

/// The requests by what they are, for people.
fn table(requests: &[RequestRecord]) -> String {
    let mut kinds = BTreeMap::<String, usize>::new();
    for request in requests {
        let path = request.path.split('?').next().unwrap_or_default();
        let is_number = |part: &&str| part.starts_with(char::is_numeric);
        let path: Vec<&str> =
            path.split('/').map(|part| if is_number(&part) { "N" } else { part }).collect();
        let first = request.operations.first().map(String::as_str).unwrap_or_default();
        *kinds.entry(format!("{} {} {first}", request.method, path.join("/"))).or_default() += 1;
    }
    kinds.iter().map(|(kind, times)| format!("{times:5} {kind}\n")).collect()
}

#[tokio::test]
async fn two_thousand_events_take_less_than_3000_requests_and_500_that_create_content() {
    let setup = Setup {
        limits: WriteLimits::default(),
        report_every: Duration::from_secs(5),
        ..Setup::large_monorepo()
    };
    let town = Town::of(setup).await;
    let mut pulls = Vec::new();
    for number in 0..PULLS {
        if number < AT_WORK {
            pulls.push(opens(&town, number).await);
            // At the pace that GitHub's limits allow.
            town.passes(town.clock.instant() + HOUR / 120).await;
        } else {
            pulls.push(was_gated(&town, number).await);
        }
    }
    town.until_all_is_done().await;
    town.leaps(HOUR).await;

    let before = town.github.requests().len();
    let start = town.clock.instant();
    let mut sweeper = Sweeper::of_all(&town.deps).remove(0);
    for event in 0..EVENTS {
        if event % AT_ONCE == 0 {
            town.passes(start + HOUR * event as u32 / EVENTS as u32).await;
        }
        if event % (EVENTS / SWEEPS) == 0 {
            sweeper.sweep(&town.deps).await.unwrap();
        }
        happens(&town, &mut pulls, event).await;
    }
    town.until_all_is_done().await;

    let mut made = town.github.requests().split_off(before);
    made.retain(|request| request.kind != RequestKind::Git);
    let writes = made.iter().filter(|request| creates_content(request)).count();
    let table = table(&made);
    assert!(
        made.len() < 3_000 && writes < 500,
        "{} requests, {writes} writes:\n{table}",
        made.len()
    );
    let pages = made.iter().filter(|one| one.operations.iter().any(|name| name == "OpenPulls"));
    assert!(pages.count() <= SWEEPS * pulls.len().div_ceil(50), "one for each 50:\n{table}");
    for pr in &pulls[..TO_PROD] {
        assert!(town.see(pr).is_merged(), "{pr:?} is not deployed");
    }
    for pr in pulls[TO_PROD..AT_WORK].iter().chain(&pulls[PULLS..]) {
        let seen = town.see(pr);
        let is_gated = |check: &str| {
            let mut of_project = seen.checks.iter().filter(|one| one.name.starts_with(check));
            of_project.any(|one| one.conclusion == Some(CheckConclusion::Success))
        };
        assert!(is_gated(LINTER) && is_gated(PROD_PLAN), "{seen:#?}");
    }
    town.finish().await;
}
