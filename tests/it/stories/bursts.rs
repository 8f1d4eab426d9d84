//! Several events for one pull request: the newest head wins, and what brings nothing new costs
//! nothing.

use std::time::Duration;

use sluice::job::{Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::{PrNumber, Sha};
use sluice::observe::What;
use sluice::outcome::{Disposition, Stage};
use sluice::pipeline::{Signals, perform};
use sluice_sim::world::{CheckConclusion, CheckRunChange, CheckStatus, Identity, Output};
use sluice_sim::{Oid, Pr};

use crate::town::{DEPLOY, LINTER, PATIENCE, PR_ENVIRONMENT, PROD_PLAN, Setup, TAXED, TESTS, Town};

/// Long enough for 50 pushes to count as one burst on a busy machine.
const SETTLE: Duration = Duration::from_secs(3);

/// Alice pushes another version of revenue; says what the new head is.
async fn pushes(town: &Town, pr: &Pr, version: u32) -> Oid {
    let sql = format!("SELECT {version} AS revenue\n");
    town.alice.pushes(pr, &[("models/revenue.sql", Some(&sql))]).await.unwrap()
}

/// How the check runs of a commit stand, by name.
fn standing(town: &Town, commit: &Oid, check: &str) -> Option<CheckConclusion> {
    town.github.world(|world| {
        let runs = world.repository(&town.repository).unwrap().latest_runs(commit);
        runs.into_iter().find(|run| run.name == check)?.conclusion
    })
}

/// The check runs of a commit that are not concluded.
fn open(town: &Town, commit: &Oid) -> Vec<String> {
    town.github.world(|world| {
        let runs = world.repository(&town.repository).unwrap().latest_runs(commit);
        let open = runs.into_iter().filter(|run| run.status != CheckStatus::Completed);
        open.map(|run| run.name.clone()).collect()
    })
}

/// Waits until a check of a commit that is no head any more is cancelled.
async fn until_cancelled(town: &Town, commit: &Oid, check: &str) {
    let cancelled = |world: &sluice_sim::World| {
        let runs = world.repository(&town.repository).unwrap().latest_runs(commit);
        let run = runs.into_iter().find(|run| run.name == check)?;
        (run.conclusion == Some(CheckConclusion::Cancelled)).then_some(())
    };
    let seen = town.github.until(PATIENCE, cancelled).await;
    assert!(seen.is_ok(), "{check} was not cancelled:\n{}", town.all());
}

/// A look that an event asks for.
fn look_at(town: &Town, pr: &Pr, cause: &str) -> Envelope {
    let look = GateCheck {
        project: town.deps.projects[0].name.clone(),
        pr: PrNumber(pr.number),
        scope: Scope::Approval,
        head: None,
        refresh: Refresh::No,
        command: None,
    };
    Envelope::new(Job::GateCheck(look), cause, sluice::clock::unix_ms(town.deps.clock.now()))
}

async fn performed(town: &Town, job: &Envelope) -> Disposition {
    Box::pin(perform(&town.deps, job, 0, Signals::default())).await
}

#[tokio::test]
async fn a_burst_of_50_pushes_costs_at_most_2_gates() {
    let town = Town::of(Setup { settle: SETTLE, ..Setup::default() }).await;
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    let mut heads = vec![town.see(&pr).head];
    for version in 1..=50 {
        heads.push(pushes(&town, &pr, version).await);
    }
    town.until_gated(&pr).await;
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Success));
    let model = town.warehouse.model("warehouse_1", "revenue");
    assert_eq!(model.as_deref(), Some("SELECT 50 AS revenue\n"), "the newest head was gated");
    let gates = town.warehouse.calls("open");
    assert!((1..=2).contains(&gates), "{gates} gates:\n{}", town.all());
    let newest = heads.pop().unwrap();
    assert_eq!(newest, town.see(&pr).head);
    for head in &heads {
        assert_eq!(open(&town, head), Vec::<String>::new(), "left open on {head:?}");
    }
    let requests = town.requests();
    assert!(requests.len() <= 40, "{} requests:\n{}", requests.len(), requests.join("\n"));
    town.finish().await;
}

#[tokio::test]
async fn the_gate_of_an_older_head_is_killed_and_says_so() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    let older = town.see(&pr).head;
    town.warehouse.until_applying("warehouse_1").await;
    let newer = pushes(&town, &pr, 2).await;
    for check in [PR_ENVIRONMENT, PROD_PLAN, DEPLOY] {
        until_cancelled(&town, &older, check).await;
        let says = town.title_on(&older, check).unwrap();
        assert_eq!(says, format!("Superseded by {}", &newer.as_str()[..7]), "{check}");
    }
    assert_eq!(town.warehouse.calls("killed"), 1);
    for check in [LINTER, TESTS] {
        assert_eq!(standing(&town, &older, check), Some(CheckConclusion::Success), "{check}");
    }
    town.warehouse.release();
    town.until_gated(&pr).await;
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Success));
    assert_eq!(town.warehouse.calls("open"), 2, "one for each head");
    town.finish().await;
}

#[tokio::test]
async fn a_gate_check_that_was_replaced_before_it_began_says_so_too() {
    let town = Town::of(Setup { settle: SETTLE, ..Setup::default() }).await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    let second = pushes(&town, &pr, 2).await;
    town.until_says(&pr, PROD_PLAN, "Queued").await;
    pushes(&town, &pr, 3).await;
    for check in [LINTER, TESTS, PR_ENVIRONMENT, PROD_PLAN, DEPLOY] {
        until_cancelled(&town, &second, check).await;
    }
    town.warehouse.release();
    town.until_gated(&pr).await;
    assert_eq!(town.warehouse.calls("open"), 2, "the first and the last");
    town.finish().await;
}

#[tokio::test]
async fn no_gate_check_begins_while_pushes_follow_each_other() {
    let town = Town::of(Setup { settle: SETTLE, ..Setup::default() }).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    // So that the next push is the second one, however slow this machine is.
    let pull = (&town.deps.projects[0].name, PrNumber(pr.number));
    let other = Sha::new("c".repeat(40)).unwrap();
    town.deps.ledger.hear(pull, "a push", Some(&other)).await.unwrap();
    pushes(&town, &pr, 2).await;
    let waits = |what: &What| {
        let What::Settled { disposition: "later", why: Some(why) } = what else { return false };
        why.contains("the last push")
    };
    town.until_told(&pr, waits).await;
    assert_eq!(town.warehouse.calls("open"), 1, "the first head's");
    pushes(&town, &pr, 3).await;
    town.until_gated(&pr).await;
    assert_eq!(town.warehouse.calls("open"), 2, "and the last one's");
    town.finish().await;
}

#[tokio::test]
async fn a_head_that_comes_back_is_gated_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    // As it looks when a newer head was there meanwhile, and was thrown away again.
    let (repository, head) = (town.repository.clone(), town.see(&pr).head);
    let cancelled = move |world: &mut sluice_sim::World| {
        let runs = world.repository(&repository)?.latest_runs(&head);
        let id = runs.into_iter().find(|run| run.name == PROD_PLAN).map(|run| run.id).unwrap();
        let output = Output { title: Some("Superseded".to_owned()), ..Output::default() };
        let change = CheckRunChange {
            conclusion: Some(CheckConclusion::Cancelled),
            output: Some(output),
            ..CheckRunChange::default()
        };
        world.quietly(|world| world.update_check_run(&Identity::App, &repository, id, change))
    };
    town.github.change(cancelled).await.unwrap();
    assert_eq!(performed(&town, &look_at(&town, &pr, "again")).await, Disposition::Done);
    town.until_check(&pr, PROD_PLAN, CheckConclusion::Success).await;
    assert_eq!(town.warehouse.calls("open"), 2);
    town.finish().await;
}

#[tokio::test]
async fn a_late_look_that_saw_an_older_head_stops_nothing() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    let reads = || town.requests().iter().filter(|made| made.contains("\"Facts\"")).count();
    let before = reads();
    let (project, older) = (&town.deps.projects[0].name, Sha::new("c".repeat(40)).unwrap());
    town.deps.ledger.see(project, PrNumber(pr.number), &older).await;
    let asked = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while reads() == before {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("GitHub is asked");
    town.warehouse.release();
    town.until_gated(&pr).await;
    assert_eq!(town.conclusion(&pr, PROD_PLAN), Some(CheckConclusion::Success));
    assert_eq!(town.warehouse.calls("killed"), 0);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_applies_is_not_stopped_by_a_push() {
    let town = Town::start().await;
    town.warehouse.hold_apply("prod");
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;
    pushes(&town, &pr, 2).await;
    // Long enough for a gate check to be stopped: the newer head's is done.
    town.until_check(&pr, PROD_PLAN, CheckConclusion::Success).await;
    assert_eq!(town.warehouse.calls("killed"), 0);
    town.warehouse.release();
    town.until_quiet().await;
    assert_eq!(town.in_prod("revenue").as_deref(), Some(TAXED), "it went on");
    assert!(!town.see(&pr).is_merged(), "the newer head was not approved");
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert_eq!(town.warehouse.calls("killed"), 0);
    town.finish().await;
}

#[tokio::test]
async fn an_event_that_brings_nothing_new_costs_no_request() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let [heard_first, looks, heard_last] = ["a", "b", "c"].map(|cause| look_at(&town, &pr, cause));
    // Its worker stops before it gets to look.
    let stopped = Signals::default();
    stopped.cancel.cancel();
    let ended = Box::pin(perform(&town.deps, &heard_first, 0, stopped)).await;
    assert_eq!(ended, Disposition::Requeue);
    let requests = || town.requests().len();
    let before = requests();
    assert_eq!(performed(&town, &looks).await, Disposition::Done);
    let looked = requests();
    assert!(looked > before);
    assert_eq!(performed(&town, &heard_first).await, Disposition::Done);
    assert_eq!(requests(), looked, "it was heard of before the other one looked");
    assert_eq!(performed(&town, &looks).await, Disposition::Done);
    assert_eq!(requests(), looked, "it came again");
    assert_eq!(performed(&town, &heard_last).await, Disposition::Done);
    assert!(requests() > looked, "it may tell of something that happened since");
    town.finish().await;
}

#[tokio::test]
async fn an_event_whose_head_nobody_has_seen_is_looked_at_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let mut named = look_at(&town, &pr, "a push that GitHub does not show yet");
    if let Job::GateCheck(look) = &mut named.job {
        look.head = Some(Sha::new("c".repeat(40)).unwrap());
    }
    let stopped = Signals::default();
    stopped.cancel.cancel();
    assert_eq!(Box::pin(perform(&town.deps, &named, 0, stopped)).await, Disposition::Requeue);
    assert_eq!(performed(&town, &look_at(&town, &pr, "another")).await, Disposition::Done);
    let before = town.requests().len();
    assert_eq!(performed(&town, &named).await, Disposition::Done);
    assert!(town.requests().len() > before);
    town.finish().await;
}

#[tokio::test]
async fn events_that_wait_for_one_turn_are_one_look() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let before = town.requests().len();
    let looks = ["a", "b", "c", "d", "e", "f"].map(|cause| look_at(&town, &pr, cause));
    let all = futures_util::future::join_all(looks.iter().map(|look| performed(&town, look)));
    assert!(all.await.iter().all(|ended| *ended == Disposition::Done));
    let made = &town.requests()[before..];
    assert!(made.len() <= 2, "{} requests:\n{}", made.len(), made.join("\n"));
    town.finish().await;
}

#[tokio::test]
async fn a_look_that_failed_half_way_is_looked_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    let look = look_at(&town, &pr, "approved");
    town.losing.refuses_the_next();
    assert_eq!(performed(&town, &look).await, Disposition::Retry, "no deploy could be stored");
    assert_eq!(town.stages(&pr, Stage::Plan), 0);
    assert_eq!(performed(&town, &look).await, Disposition::Done);
    town.until_deployed(&pr).await;
    town.finish().await;
}
