//! Pull requests from forks: held, and on an approver's word tested apart.

use std::time::Duration;

use sluice::job::{Command, Envelope, GateCheck, Job, Refresh, Scope};
use sluice::names::{NodeId, PrNumber, Sha};
use sluice::outcome::Reason;
use sluice::pipeline::sweep::Sweeper;
use sluice_sim::world::{self, CheckConclusion, CheckRunChange, CheckStatus, Identity, Kind};
use sluice_sim::{Actor, Pr, PrSpec};

use crate::town::{DEPLOY, LINTER, PR_ENVIRONMENT, PROD_PLAN, Setup, TAXED, TESTS, Town};

/// Mallory opens a pull request from a fork, and it is held.
async fn held(town: &Town, sql: &str) -> Pr {
    let spec = PrSpec::new("gift").file("models/revenue.sql", sql).from_fork("mallory/warehouse");
    let pr = town.mallory.opens_pr(&town.repository, spec).await.unwrap();
    town.until_quiet().await;
    for check in [LINTER, TESTS, PR_ENVIRONMENT, PROD_PLAN] {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Skipped), "{check}");
    }
    let said = town.says(&pr, TESTS);
    assert!(said.contains(&gate_of(town, &pr)), "{said}");
    assert_eq!(opened(town), (0, 0));
    pr
}

/// The command that names the head.
fn gate_of(town: &Town, pr: &Pr) -> String {
    format!("/gate {}", town.see(pr).head)
}

/// How many sessions were opened, with what a worker has and apart from it.
fn opened(town: &Town) -> (usize, usize) {
    (town.warehouse.calls("open"), town.warehouse.calls("open apart"))
}

#[tokio::test]
async fn code_of_a_fork_does_not_run_for_an_approval_or_a_deploy() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    town.carol.approves(&pr).await.unwrap();
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert!(town.refusals(&pr).contains(&Reason::Fork), "{:?}", town.refusals(&pr));
    assert_eq!(opened(&town), (0, 0), "no session was ever opened");
    town.finish().await;
}

#[tokio::test]
async fn an_approver_has_the_code_of_a_fork_tested_apart() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    town.commands(&town.carol, &pr, &gate_of(&town, &pr)).await;
    town.until_check(&pr, TESTS, CheckConclusion::Success).await;
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, LINTER), Some(CheckConclusion::Success));
    for check in [PR_ENVIRONMENT, PROD_PLAN] {
        assert_eq!(town.conclusion(&pr, check), Some(CheckConclusion::Skipped), "{check}");
    }
    assert_eq!(opened(&town), (0, 1), "{}", town.all());
    assert_eq!(town.warehouse.calls("plan"), 0, "nothing is planned with a fork's code");
    // What was found stays there, and leads nowhere.
    town.carol.approves(&pr).await.unwrap();
    town.commands(&town.carol, &pr, "/deploy").await;
    town.until_quiet().await;
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Success));
    assert_eq!(town.conclusion(&pr, DEPLOY), Some(CheckConclusion::Skipped));
    assert!(town.refusals(&pr).contains(&Reason::Fork), "{:?}", town.refusals(&pr));
    assert_eq!((opened(&town), town.prod_applies()), ((0, 1), 0));
    // Once more, as somebody asks.
    town.commands(&town.carol, &pr, &gate_of(&town, &pr)).await;
    town.until_quiet().await;
    assert_eq!(opened(&town), (0, 2));
    town.finish().await;
}

#[tokio::test]
async fn a_forks_failing_tests_are_shown() {
    let town = Town::start().await;
    let pr = held(&town, "SELECT 2 AS revenue -- fails test\n").await;
    town.commands(&town.carol, &pr, &gate_of(&town, &pr)).await;
    town.until_check(&pr, TESTS, CheckConclusion::Failure).await;
    town.until_quiet().await;
    assert!(town.says(&pr, TESTS).contains("test_revenue"), "{}", town.says(&pr, TESTS));
    let broken = town.see(&pr).checks.into_iter().find(|check| check.conclusion.is_none());
    assert!(broken.is_none(), "a check is left open: {broken:#?}");
    town.finish().await;
}

#[tokio::test]
async fn a_stranger_does_not_have_a_forks_code_run() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    for who in [&town.mallory, &town.bob] {
        town.commands(who, &pr, &gate_of(&town, &pr)).await;
    }
    town.until_quiet().await;
    assert_eq!(opened(&town), (0, 0));
    assert!(town.refusals(&pr).contains(&Reason::MayNotGate), "{:?}", town.refusals(&pr));
    let said = town.comment(&pr);
    assert!(said.contains("may not have the code of a fork run"), "{said}");
    town.finish().await;
}

/// Workers are asked for this, whoever wrote the message.
async fn is_asked(town: &Town, job: Job) {
    let now_ms = sluice::clock::unix_ms(town.deps.clock.now());
    town.deps.queue.publish(&Envelope::new(job, "story", now_ms)).await.unwrap();
    town.until_quiet().await;
}

/// A comment that no webhook tells of.
async fn written(town: &Town, who: &Actor, pr: &Pr) -> NodeId {
    town.passes_a_second().await;
    let comment = who.quietly().comments(pr, &gate_of(town, pr)).await.unwrap();
    NodeId::new(world::NodeId::new(Kind::IssueComment, comment).to_string()).unwrap()
}

#[tokio::test]
async fn a_command_speaks_of_no_head_that_came_after_it() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    let comment = written(&town, &town.carol, &pr).await;
    let other = [("models/revenue.sql", Some("SELECT 3 AS revenue\n"))];
    town.mallory.quietly().pushes(&pr, &other).await.unwrap();
    town.passes_a_second().await;
    let project = town.deps.projects[0].name.clone();
    let command = Command { project, pr: PrNumber(pr.number), comment };
    is_asked(&town, Job::Command(command)).await;
    assert!(town.refusals(&pr).contains(&Reason::CommandStale), "{}", town.all());
    assert_eq!(town.conclusion(&pr, TESTS), None, "not even announced");
    // Nor does one that names none.
    town.commands(&town.carol, &pr, "/gate").await;
    town.until_quiet().await;
    assert_eq!(opened(&town), (0, 0), "{}", town.all());
    town.finish().await;
}

#[tokio::test]
async fn a_command_that_is_gone_when_its_turn_comes_leaves_the_checks_held() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    let comment = written(&town, &town.carol, &pr).await;
    let project = town.deps.projects[0].name.clone();
    let (pr_number, head) = (PrNumber(pr.number), Sha::new(town.see(&pr).head.as_str()).unwrap());
    let command = Command { project: project.clone(), pr: pr_number, comment: comment.clone() };
    // Its gate check waits while nobody takes jobs of its sort; meanwhile it is edited.
    is_asked(&town, Job::Command(command)).await;
    assert_eq!(opened(&town), (0, 1));
    let number =
        town.see(&pr).comments.iter().find(|one| one.body.starts_with("/gate")).unwrap().id;
    town.carol.quietly().edits_comment(&pr, number, "Never mind.").await.unwrap();
    open_again(&town, &pr).await;
    let (scope, refresh, head) = (Scope::Full, Refresh::Yes, Some(head));
    let check = GateCheck { project, pr: pr_number, scope, head, refresh, command: Some(comment) };
    is_asked(&town, Job::GateCheck(check)).await;
    town.until_check(&pr, TESTS, CheckConclusion::Skipped).await;
    assert_eq!(opened(&town), (0, 1), "{}", town.all());
    town.finish().await;
}

/// The check of the tests is queued, and nobody comes.
async fn open_again(town: &Town, pr: &Pr) {
    let (repository, head) = (town.repository.clone(), town.see(pr).head);
    let queued = move |world: &mut sluice_sim::World| {
        let runs = world.repository(&repository)?.latest_runs(&head);
        let id = runs.into_iter().find(|run| run.name == TESTS).unwrap().id;
        let change = CheckRunChange {
            status: Some(CheckStatus::Queued),
            external_id: Some("gate:warehouse:1:lost".to_owned()),
            ..CheckRunChange::default()
        };
        world.quietly(|world| world.update_check_run(&Identity::App, &repository, id, change))
    };
    town.github.change(queued).await.unwrap();
}

#[tokio::test]
async fn checks_of_a_fork_that_nobody_comes_to_are_held_again() {
    let setup = Setup { left_open_after: Duration::ZERO, ..Setup::default() };
    let town = Town::of(setup).await;
    let pr = held(&town, TAXED).await;
    open_again(&town, &pr).await;
    town.passes_a_second().await;
    let mut sweeper = Sweeper::of_all(&town.deps).remove(0);
    assert_eq!(sweeper.sweep(&town.deps).await.unwrap().looks, 1);
    town.until_check(&pr, TESTS, CheckConclusion::Skipped).await;
    town.finish().await;
}

#[tokio::test]
async fn where_a_forks_code_cannot_be_run_its_tests_fail() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    town.warehouse.has_no_walls();
    town.commands(&town.carol, &pr, &gate_of(&town, &pr)).await;
    town.until_check(&pr, TESTS, CheckConclusion::Failure).await;
    assert!(town.says(&pr, TESTS).contains("no walls"), "{}", town.says(&pr, TESTS));
    town.finish().await;
}

#[tokio::test]
async fn a_fork_with_the_head_of_another_pull_request_touches_none_of_its_checks() {
    let town = Town::start().await;
    let ours = town.gated_pr("add-tax", "revenue", TAXED).await;
    let before = town.see(&ours).checks;
    // The branch is in the fork as it is here.
    let spec = PrSpec::new("add-tax").from_fork("mallory/warehouse");
    let theirs = town.mallory.opens_pr(&town.repository, spec).await.unwrap();
    assert_eq!(town.see(&theirs).head, town.see(&ours).head);
    town.commands(&town.carol, &theirs, &gate_of(&town, &theirs)).await;
    town.until_quiet().await;
    assert_eq!(format!("{:?}", town.see(&ours).checks), format!("{before:?}"));
    assert_eq!(opened(&town), (1, 0), "{}", town.all());
    town.finish().await;
}

#[tokio::test]
async fn a_forged_message_runs_no_code_of_a_fork() {
    let town = Town::start().await;
    let pr = held(&town, TAXED).await;
    let comment = written(&town, &town.mallory, &pr).await;
    for command in [None, Some(comment)] {
        let check = GateCheck {
            project: town.deps.projects[0].name.clone(),
            pr: PrNumber(pr.number),
            scope: Scope::Full,
            head: Some(Sha::new(town.see(&pr).head.as_str()).unwrap()),
            refresh: Refresh::Yes,
            command,
        };
        is_asked(&town, Job::GateCheck(check)).await;
    }
    assert_eq!(opened(&town), (0, 0), "{}", town.all());
    assert_eq!(town.conclusion(&pr, TESTS), Some(CheckConclusion::Skipped));
    town.finish().await;
}
