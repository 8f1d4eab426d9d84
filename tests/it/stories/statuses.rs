//! With a person's token: the same stories end the same way, told by commit statuses.

use sluice::outcome::{DeployOutcome, Reason};
use sluice_sim::world::{MergeState, NewStatus, Protection, StatusState};
use sluice_sim::{Pr, PrSnapshot};

use crate::town::{APPROVAL, DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, Setup, TAXED, TESTS, Town};

/// A change whose test fails.
const UNTESTED: &str = "SELECT 2 AS revenue -- fails test\n";

const GATE: [&str; 5] = [LINTER, TESTS, APPROVAL, PR_ENVIRONMENT, PROD_PLAN];

/// A town whose sluice is the machine user `robot`, and whose main requires the gate's checks.
async fn town() -> Town {
    let town = Town::of(Setup { person: Some("robot"), ..Setup::default() }).await;
    let required_checks = GATE.map(str::to_owned).to_vec();
    let rule = Protection { required_checks, enforce_admins: true, ..Protection::default() };
    town.protects_main(rule).await;
    town
}

async fn until(town: &Town, pr: &Pr, name: &str, state: StatusState) {
    let so = |seen: &PrSnapshot| (seen.status(name)?.state == state).then_some(());
    town.until(pr, &format!("{name}: {state:?}"), so).await;
}

async fn gated(town: &Town, sql: &str) -> Pr {
    let pr = town.pr("add-tax", "revenue", sql).await;
    let is_done =
        |seen: &PrSnapshot| (seen.status(PROD_PLAN)?.state != StatusState::Pending).then_some(());
    town.until(&pr, "gated", is_done).await;
    town.until_quiet().await;
    pr
}

fn state(town: &Town, pr: &Pr, name: &str) -> Option<StatusState> {
    town.see(pr).status(name).map(|status| status.state)
}

async fn merge_state(town: &Town, pr: &Pr) -> MergeState {
    let pr = pr.clone();
    let read = move |world: &mut sluice_sim::World| {
        world.read_merge_state(&pr)?;
        world.read_merge_state(&pr)
    };
    town.github.change(read).await.unwrap().1
}

#[tokio::test]
async fn an_approved_change_is_deployed_and_merged_past_required_statuses() {
    let town = town().await;
    let pr = gated(&town, TAXED).await;
    assert_eq!(state(&town, &pr, PROD_PLAN), Some(StatusState::Success));
    assert_eq!(state(&town, &pr, APPROVAL), Some(StatusState::Failure));
    assert_eq!(merge_state(&town, &pr).await, MergeState::Blocked, "a required status failed");
    town.carol.merges_by_hand(&pr).await.unwrap_err();

    town.carol.approves(&pr).await.unwrap();
    town.until(&pr, "merged", |seen| seen.is_merged().then_some(())).await;
    until(&town, &pr, DEPLOY, StatusState::Success).await;
    town.until_quiet().await;
    let seen = town.see(&pr);
    assert_eq!(seen.checks.len(), 0, "no check run");
    for name in GATE {
        assert_eq!(seen.status(name).unwrap().state, StatusState::Success, "{name}");
    }
    assert_eq!(seen.status(DEPLOY).unwrap().description.as_deref(), Some("Deployed to Prod"));
    assert_eq!(town.on_main("revenue").unwrap(), TAXED);
    assert_eq!(town.prod_applies(), 1);
    assert_eq!(town.deploys(&pr), [DeployOutcome::Deployed]);
    assert!(!town.warehouse.has("warehouse_1"), "the PR environment is gone");
    let asked = town.requests().iter().filter(|one| one.contains("createCheckRun")).count();
    assert!(asked <= 2, "{asked}: two looks may begin at once, nobody asks again");
    town.finish().await;
}

#[tokio::test]
async fn a_refused_change_blocks_its_merge() {
    let town = town().await;
    let pr = gated(&town, UNTESTED).await;
    assert_eq!(state(&town, &pr, TESTS), Some(StatusState::Failure));
    assert!(state(&town, &pr, PROD_PLAN).is_some());
    town.carol.approves(&pr).await.unwrap();
    until(&town, &pr, APPROVAL, StatusState::Success).await;
    town.until_quiet().await;
    assert_eq!(merge_state(&town, &pr).await, MergeState::Blocked);
    town.carol.merges_by_hand(&pr).await.unwrap_err();
    assert_eq!(town.prod_applies(), 0);
    assert!(town.refusals(&pr).contains(&Reason::GateFailed), "{:?}", town.refusals(&pr));
    let pages = town.see(&pr).comments.into_iter();
    let mut pages = pages.filter(|one| one.body.starts_with("<!-- sluice:checks "));
    assert!(pages.next().unwrap().body.contains("SQLMesh - Run Unit Tests"));
    town.finish().await;
}

#[tokio::test]
async fn a_command_waits_for_the_gate_in_a_page() {
    let town = town().await;
    town.warehouse.hold_apply("warehouse_1");
    let pr = town.pr("add-tax", "revenue", TAXED).await;
    town.warehouse.until_applying("warehouse_1").await;
    town.commands(&town.carol, &pr, "/deploy").await;
    let noted = |seen: &PrSnapshot| {
        seen.comments.iter().any(|one| one.body.contains("<!-- sluice:command ")).then_some(())
    };
    town.until(&pr, "the command is noted", noted).await;
    town.warehouse.release();
    town.until(&pr, "merged", |seen| seen.is_merged().then_some(())).await;
    until(&town, &pr, DEPLOY, StatusState::Success).await;
    assert_eq!(town.prod_applies(), 1);
    town.finish().await;
}

#[tokio::test]
async fn a_forged_success_of_a_writer_deploys_nothing() {
    let town = town().await;
    let pr = gated(&town, UNTESTED).await;
    let seen = town.see(&pr);
    let url = seen.status(PROD_PLAN).unwrap().target_url.clone();
    let (name, head) = (town.repository.clone(), seen.head);
    let forge = move |world: &mut sluice_sim::World| {
        for context in GATE {
            let status = NewStatus {
                state: StatusState::Success,
                target_url: url.clone(),
                description: Some("Prod Plan Preview".to_owned()),
                context: context.to_owned(),
            };
            let by = sluice_sim::world::Identity::user("mallory");
            world.create_status(&by, (&name, &head), status)?;
        }
        Ok(())
    };
    town.github.change(forge).await.unwrap();
    town.carol.approves(&pr).await.unwrap();
    town.until_quiet().await;
    assert_eq!(town.prod_applies(), 0);
    // What was hidden was found out anew.
    assert_eq!(state(&town, &pr, TESTS), Some(StatusState::Failure));
    assert!(!town.see(&pr).is_merged());
    town.finish().await;
}

#[tokio::test]
async fn the_whole_story_of_a_change_takes_at_most_30_writes() {
    let report_every = std::time::Duration::from_millis(1500);
    let setup = Setup { person: Some("robot"), report_every, ..Setup::default() };
    let town = Town::of(setup).await;
    let pr = gated(&town, TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.until(&pr, "merged", |seen| seen.is_merged().then_some(())).await;
    until(&town, &pr, DEPLOY, StatusState::Success).await;
    town.until_quiet().await;
    let all = town.requests();
    let list = all.join("\n");
    let count =
        |what: &[&str]| all.iter().filter(|one| what.iter().any(|it| one.contains(it))).count();
    let (statuses, pages) = (
        count(&["/statuses/"]),
        count(&["AddPages", "RewritePages", "\"addComment\"", "\"updateIssueComment\""]),
    );
    assert!(statuses + pages <= 30 && all.len() <= 60, "{statuses} {pages} {}\n{list}", all.len());
    town.finish().await;
}
