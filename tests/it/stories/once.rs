//! Many events at once about one pull request, and one answer to all of them.

use std::time::Duration;

use sluice::job::{Deploy, Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::{PrNumber, Sha};
use sluice::outcome::{Disposition, Reason, Stage};
use sluice::pipeline::{Signals, perform};
use sluice::render;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{CheckConclusion, CheckRunChange, CheckStatus, Identity, Output};
use sluice_sim::{Pr, PrSpec};

use crate::town::{DEPLOY, TAXED, Town};

#[tokio::test]
async fn two_events_at_once_show_everything_once() {
    let town = Town::start().await;
    let slow = Answer::Slow(Duration::from_millis(150));
    town.spoils(move |faults| faults.answer(Matching::GraphQl("Facts".to_owned()), 40, slow)).await;
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

/// Asks for the full gate check of the head, twice, as two deliveries that came to two producers.
async fn gate_is_asked_for_twice(town: &Town, pr: &Pr, refresh: Refresh) {
    for cause in ["one", "other"] {
        let check = GateCheck {
            project: town.deps.projects[0].name.clone(),
            pr: PrNumber(pr.number),
            scope: Scope::Full,
            head: Some(Sha::new(town.see(pr).head.as_str()).unwrap()),
            refresh,
            command: None,
        };
        let now_ms = sluice::clock::unix_ms(town.deps.clock.now());
        let envelope = Envelope::new(Job::GateCheck(check), cause, now_ms);
        town.deps.queue.publish(&envelope).await.unwrap();
    }
    town.until_quiet().await;
    let open = town.see(pr).checks.into_iter().find(|c| c.status != CheckStatus::Completed);
    assert!(open.is_none(), "a check is left open: {open:#?}");
}

#[tokio::test]
async fn a_gate_that_is_asked_for_twice_at_once_runs_once() {
    let town = Town::start().await;
    let spec = PrSpec::new("add-tax").file("models/revenue.sql", TAXED);
    let pr = town.alice.quietly().opens_pr(&town.repository, spec).await.unwrap();
    gate_is_asked_for_twice(&town, &pr, Refresh::No).await;
    for stage in [Stage::Test, Stage::PrEnvironment, Stage::ProdPlan] {
        assert_eq!(town.stages(&pr, stage), 1, "{stage}");
    }
    gate_is_asked_for_twice(&town, &pr, Refresh::Yes).await;
    for stage in [Stage::Test, Stage::PrEnvironment, Stage::ProdPlan] {
        assert_eq!(town.stages(&pr, stage), 2, "once more, for both: {stage}");
    }
    town.finish().await;
}

#[tokio::test]
async fn an_environment_that_cannot_be_removed_takes_no_deploy_back() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", "SELECT 2 -- cannot be removed\n").await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    assert!(town.warehouse.has("warehouse_1"), "it could not be removed");
    assert!(town.says(&pr, crate::town::DEPLOY).starts_with("Deployed to Prod"));
    assert!(town.notes(&pr).contains("could not be removed"), "{}", town.notes(&pr));
    assert_eq!(town.warehouse.calls("open"), 2, "the gate's session and the deploy's, no third");
    assert_eq!(town.deploys(&pr), [sluice::outcome::DeployOutcome::Deployed]);
    town.finish().await;
}

#[tokio::test]
async fn a_copy_that_waited_while_the_first_one_merged_does_not_talk_over_it() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.warehouse.hold_apply("prod");
    town.carol.approves(&pr).await.unwrap();
    town.warehouse.until_applying("prod").await;

    let now_ms = sluice::clock::unix_ms(town.deps.clock.now());
    let deploy = Job::Deploy(Deploy {
        project: town.deps.projects[0].name.clone(),
        pr: PrNumber(pr.number),
        head: Sha::new(town.see(&pr).head.as_str()).unwrap(),
        command: None,
        signalled_ms: now_ms,
    });
    let (deps, copy) = (town.deps.clone(), Envelope::new(deploy, "a copy", now_ms));
    let copy =
        tokio::spawn(async move { Box::pin(perform(&deps, &copy, 0, Signals::default())).await });
    town.until_says(&pr, DEPLOY, "Waiting").await;

    town.warehouse.release();
    town.until_deployed(&pr).await;
    assert_eq!(copy.await.unwrap(), Disposition::Done);
    assert!(town.says(&pr, DEPLOY).starts_with("Deployed to Prod"), "{}", town.says(&pr, DEPLOY));
    assert!(!town.refusals(&pr).contains(&Reason::AlreadyMerged));
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_deploy_that_comes_again_does_not_talk_over_its_success() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    let said = town.says(&pr, DEPLOY);
    // Prod lacks what main gets now: that is not this deploy's.
    let other = [("models/orders.sql", Some("SELECT 1 AS id\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &other).await.unwrap();
    let head = town.head(&pr);
    town.is_asked_to_deploy(&pr, &head).await;
    assert_eq!(town.says(&pr, DEPLOY), said);
    assert!(!town.refusals(&pr).contains(&Reason::AlreadyMerged), "{:?}", town.refusals(&pr));
    assert_eq!(town.deploys(&pr), [sluice::outcome::DeployOutcome::Deployed]);

    // What protection rules want to see before the merge is not the end.
    is_being_merged(&town, &pr).await;
    town.is_asked_to_deploy(&pr, &head).await;
    assert!(town.says(&pr, DEPLOY).contains("Merged as"), "{}", town.says(&pr, DEPLOY));
    town.finish().await;
}

/// The deploy's check says again what it said before the merge.
pub(super) async fn is_being_merged(town: &Town, pr: &Pr) {
    let (repository, seen) = (town.repository.clone(), town.see(pr));
    let merging = render::deploy::merging(&town.head(pr));
    let change = move |world: &mut sluice_sim::World| {
        let runs = world.repository(&repository)?.latest_runs(&seen.head);
        let id = runs.into_iter().find(|run| run.name == DEPLOY).map(|run| run.id).unwrap();
        let (title, summary) = (Some(merging.title), Some(merging.summary));
        let change = CheckRunChange {
            status: Some(CheckStatus::Completed),
            conclusion: Some(CheckConclusion::Success),
            output: Some(Output { title, summary, ..Output::default() }),
            ..CheckRunChange::default()
        };
        world.quietly(|world| world.update_check_run(&Identity::App, &repository, id, change))
    };
    town.github.change(change).await.unwrap();
}
