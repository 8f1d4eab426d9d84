//! What no event leads anybody to: lost webhooks, jobs that went with their process.

use std::time::Duration;

use sluice::job::{Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::{PrNumber, Sha};
use sluice::outcome::Stage;
use sluice::pipeline::sweep::{Sweeper, Swept};
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{
    CheckConclusion, CheckRunChange, CheckStatus, Identity, NewCheckRun, Output,
};
use sluice_sim::{Pr, PrSpec, World};

use crate::town::{DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, Setup, TAXED, TESTS, Town};

/// A pull request whose webhook is lost.
async fn unnoticed(town: &Town) -> Pr {
    let spec = PrSpec::new("add-tax").file("models/revenue.sql", TAXED);
    town.alice.quietly().opens_pr(&town.repository, spec).await.unwrap()
}

/// Sweeps, as a process that has just begun; says how many looks it asked for.
async fn sweep(town: &Town) -> usize {
    let mut sweepers = Sweeper::of_all(&town.deps);
    assert_eq!(sweepers.len(), 1, "one repository");
    let Swept { looks, .. } = sweepers[0].sweep(&town.deps).await.unwrap();
    looks
}

/// A check run of ours that a job left open, so long ago.
async fn is_left_open(
    town: &Town,
    pr: &Pr,
    name: &str,
    (job, summary, ago): (&str, &str, Duration),
) {
    let (repository, head) = (town.repository.clone(), town.see(pr).head);
    let change = CheckRunChange {
        status: Some(CheckStatus::InProgress),
        external_id: Some(job.to_owned()),
        started_at: Some(town.deps.clock.now() - ago),
        output: Some(Output {
            title: Some("A worker is on it".to_owned()),
            summary: Some(summary.to_owned()),
            ..Output::default()
        }),
        ..CheckRunChange::default()
    };
    let name = name.to_owned();
    let leave = move |world: &mut World| {
        let runs = world.repository(&repository)?.latest_runs(&head);
        let there = runs.into_iter().find(|run| run.name == name).map(|run| run.id);
        world.quietly(|world| match there {
            Some(id) => world.update_check_run(&Identity::App, &repository, id, change),
            None => {
                let new = NewCheckRun { name, commit: head.to_string(), change };
                world.create_check_run(&Identity::App, &repository, new).map(drop)
            }
        })
    };
    town.github.change(leave).await.unwrap();
}

const HOURS: Duration = Duration::from_secs(2 * 3600);

#[tokio::test]
async fn a_pull_request_that_nobody_noticed_is_found() {
    let town = Town::start().await;
    let pr = unnoticed(&town).await;
    assert_eq!(sweep(&town).await, 1);
    town.until_gated(&pr).await;
    assert_eq!(sweep(&town).await, 0, "nothing is missing");
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert_eq!(sweep(&town).await, 0, "closed ones are not looked at");
    town.finish().await;
}

#[tokio::test]
async fn a_sweep_that_takes_longer_than_its_interval_gets_to_its_end() {
    let town = Town::of(Setup { sweep_every: Duration::from_millis(50), ..Setup::default() }).await;
    let slow = Answer::Slow(Duration::from_millis(300));
    let list = Matching::GraphQl("OpenPulls".to_owned());
    town.spoils(move |faults| faults.answer(list, 1000, slow)).await;
    let pr = unnoticed(&town).await;
    town.until_gated(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn an_approval_that_nobody_noticed_is_found_once() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    assert_eq!(sweep(&town).await, 1);
    town.until_deployed(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_review_that_changes_nothing_is_looked_at_once() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.passes_a_second().await;
    town.mallory.quietly().approves(&pr).await.unwrap();
    let mut sweepers = Sweeper::of_all(&town.deps);
    assert_eq!(
        sweepers[0].sweep(&town.deps).await.unwrap(),
        Swept { pulls: 1, looks: 1, cleanups: 0 }
    );
    town.until_quiet().await;
    assert_eq!(
        sweepers[0].sweep(&town.deps).await.unwrap(),
        Swept { pulls: 1, looks: 0, cleanups: 0 }
    );
    town.finish().await;
}

#[tokio::test]
async fn a_gate_check_that_was_left_open_is_made_anew() {
    let town = Town::start().await;
    let pr = unnoticed(&town).await;
    let young = Duration::from_secs(300);
    for check in [LINTER, TESTS, PR_ENVIRONMENT, PROD_PLAN] {
        is_left_open(&town, &pr, check, ("gone", "A worker is on it.", young)).await;
    }
    assert_eq!(sweep(&town).await, 0, "a worker may be on it");
    is_left_open(&town, &pr, PROD_PLAN, ("gone", "A worker is on it.", HOURS)).await;
    assert_eq!(sweep(&town).await, 1);
    town.until_gated(&pr).await;
    assert_eq!(town.stages(&pr, Stage::ProdPlan), 1);
    assert!(town.notes(&pr).contains("left open by somebody who is gone"), "{}", town.notes(&pr));
    assert!(!town.says(&pr, PROD_PLAN).contains("sluice:again"), "{}", town.says(&pr, PROD_PLAN));
    let open = town.see(&pr).checks.into_iter().find(|c| c.status != CheckStatus::Completed);
    assert!(open.is_none(), "a check is left open: {open:#?}");
    town.finish().await;
}

#[tokio::test]
async fn a_gate_check_that_somebody_works_on_is_left_alone() {
    let town = Town::start().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    is_left_open(&town, &pr, PROD_PLAN, ("held", "A worker is on it.", HOURS)).await;
    assert_eq!(sweep(&town).await, 0);
    // Nor does an event that leads to a look ask for another gate check.
    town.bob.comments(&pr, "/deploy").await.unwrap();
    town.until_told(&pr, |what| matches!(what, sluice::observe::What::Refused(_))).await;
    town.warehouse.release();
    town.until_gated(&pr).await;
    assert_eq!(town.stages(&pr, Stage::ProdPlan), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_gate_check_that_waits_for_its_worker_is_left_alone() {
    let town = Town::of(Setup {
        slots: sluice_worker::run::Slots { gate: 1, ..Setup::default().slots },
        ..Setup::default()
    })
    .await;
    town.warehouse.hold_apply("warehouse_1");
    let first = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    let pr = unnoticed(&town).await;
    let check = GateCheck {
        project: town.deps.projects[0].name.clone(),
        pr: PrNumber(pr.number),
        scope: Scope::Full,
        head: Some(Sha::new(town.see(&pr).head.as_str()).unwrap()),
        refresh: Refresh::No,
        command: None,
    };
    let now_ms = sluice::clock::unix_ms(town.deps.clock.now());
    let waiting = Envelope::new(Job::GateCheck(check), "story", now_ms);
    town.deps.queue.publish(&waiting).await.unwrap();
    // Hardly older than what waits: the clocks of GitHub and of the queue may differ.
    let town_is_hasty = town_with(&town, Duration::ZERO);
    is_left_open(&town, &pr, PROD_PLAN, ("waits", "", Duration::from_secs(30))).await;
    let swept = Sweeper::of_all(&town_is_hasty)[0].sweep(&town_is_hasty).await.unwrap();
    assert_eq!(swept, Swept { pulls: 2, looks: 0, cleanups: 0 });
    town.warehouse.release();
    town.until_gated(&first).await;
    town.until_gated(&pr).await;
    assert_eq!(town.stages(&pr, Stage::ProdPlan), 1);
    town.finish().await;
}

/// The same, less patient with open checks.
fn town_with(town: &Town, left_open_after: Duration) -> sluice::pipeline::Deps {
    let mut setup = Setup { left_open_after, ..Setup::default() };
    setup.retries = 0;
    sluice::pipeline::Deps { settings: setup.settings().into(), ..town.deps.clone() }
}

#[tokio::test]
async fn a_check_whose_worker_may_still_be_heard_of_is_not_left() {
    let town = Town::start().await;
    let pr = unnoticed(&town).await;
    is_left_open(&town, &pr, PROD_PLAN, ("gone", "A worker is on it.", HOURS)).await;
    let patient = Setup { dead_after: 2 * HOURS, ..Setup::default() };
    let deps = sluice::pipeline::Deps { settings: patient.settings().into(), ..town.deps.clone() };
    let swept = Sweeper::of_all(&deps)[0].sweep(&deps).await.unwrap();
    assert_eq!(swept, Swept { pulls: 1, looks: 0, cleanups: 0 });
    assert_eq!(sweep(&town).await, 1, "nobody waits for word");
    town.until_gated(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_was_lost_is_asked_for_again() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let id = format!("deploy:warehouse:{}:{}", pr.number, town.see(&pr).head);
    is_left_open(&town, &pr, DEPLOY, (&id, "Waits for its turn.", HOURS)).await;
    town.carol.quietly().approves(&pr).await.unwrap();
    assert_eq!(sweep(&town).await, 1);
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_was_just_asked_for_is_not_lost() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let id = format!("deploy:warehouse:{}:{}", pr.number, town.see(&pr).head);
    is_left_open(&town, &pr, DEPLOY, (&id, "Waits for its turn.", Duration::from_secs(60))).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!((sweep(&town).await, town.prod_applies()), (0, 0), "it counts as on its way");
    town.finish().await;
}

#[tokio::test]
async fn what_was_lost_too_often_is_given_up_in_front_of_people() {
    let town = Town::start().await;
    let pr = unnoticed(&town).await;
    let summary = "A worker is on it.\n<!-- sluice:again 3 -->";
    is_left_open(&town, &pr, PROD_PLAN, ("gone", summary, HOURS)).await;
    assert_eq!(sweep(&town).await, 1);
    town.until_check(&pr, PROD_PLAN, CheckConclusion::Failure).await;
    assert!(town.says(&pr, PROD_PLAN).contains("lost 3 times"), "{}", town.says(&pr, PROD_PLAN));
    town.until_quiet().await;
    assert_eq!(town.stages(&pr, Stage::ProdPlan), 0, "it was not asked for again");
    assert_eq!(sweep(&town).await, 0, "people have to");
    town.finish().await;
}

#[tokio::test]
async fn a_worker_sweeps_by_itself_and_of_two_only_one() {
    let every = Duration::from_millis(500);
    let town = Town::of(Setup { sweep_every: every, ..Setup::default() }).await;
    let pr = unnoticed(&town).await;
    town.until_gated(&pr).await;
    assert_ne!(town.metric(r#"sluice_sweeps_total{outcome="done"}"#).as_deref(), Some("0"));
    let rare = Setup { sweep_every: Duration::from_secs(3600), ..Setup::default() };
    let deps = sluice::pipeline::Deps { settings: rare.settings().into(), ..town.deps.clone() };
    let [one, other] = [&deps, &deps].map(|deps| Sweeper::of_all(deps).remove(0));
    // Until the lease that the worker has for half a second is over.
    let mut due = one.is_due(&deps).await.unwrap();
    while !due {
        deps.leases
            .changed(&[sluice::lease::LeaseKey::Sweep(deps.projects[0].name.clone())], every)
            .await;
        due = one.is_due(&deps).await.unwrap();
    }
    assert!(!other.is_due(&deps).await.unwrap(), "this hour's sweep is somebody's");
    town.finish().await;
}

#[tokio::test]
async fn a_look_that_was_not_stored_is_asked_for_by_the_next_sweep() {
    let town = Town::start().await;
    let pr = unnoticed(&town).await;
    let rare = Setup { sweep_every: HOURS, ..Setup::default() };
    let deps = sluice::pipeline::Deps { settings: rare.settings().into(), ..town.deps.clone() };
    let mut sweeper = Sweeper::of_all(&deps).remove(0);
    town.losing.refuses_the_next();
    sweeper.sweep(&deps).await.unwrap_err();
    assert_eq!(sweeper.sweep(&deps).await.unwrap().looks, 1, "nobody was asked yet");
    assert_eq!(sweeper.sweep(&deps).await.unwrap().looks, 0, "it was asked just now");
    town.until_gated(&pr).await;
    town.finish().await;
}

#[tokio::test]
async fn a_sweep_that_fails_is_counted_and_stops_nothing() {
    let town = Town::start().await;
    let broken = Answer::Status(502);
    town.spoils(move |faults| faults.answer(Matching::GraphQl("OpenPulls".to_owned()), 3, broken))
        .await;
    let pr = unnoticed(&town).await;
    let mut sweeper = Sweeper::of_all(&town.deps).remove(0);
    sweeper.sweep(&town.deps).await.unwrap_err();
    assert_eq!(town.metric(r#"sluice_sweeps_total{outcome="failed"}"#).as_deref(), Some("1"));
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 1);
    town.until_gated(&pr).await;
    town.finish().await;
}
