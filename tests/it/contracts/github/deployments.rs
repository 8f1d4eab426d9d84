//! GitHub's history has each deploy once, and no deploy fails because of it.

use sluice::github::{
    Attempt, DeploymentId, DeploymentState, DeploymentWrite, GitHub, GitHubError,
};
use sluice_sim::Pr;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{Deployment, DeploymentState as State, Identity, WorldError};

use super::town::Town;

fn begins(town: &Town, pr: &Pr) -> DeploymentWrite {
    DeploymentWrite {
        ask: town.ask(pr),
        head: town.head(pr),
        environment: "prod (warehouse)".to_owned(),
        task: "deploy:warehouse".to_owned(),
        known: None,
        attempt: Attempt::First,
        state: DeploymentState::InProgress,
        description: "Applying".to_owned(),
        log_url: Some("https://sluice.example/jobs/1".to_owned()),
    }
}

/// The same deploy, by somebody who does not know its entry.
fn ends(begun: &DeploymentWrite, state: DeploymentState, description: &str) -> DeploymentWrite {
    let (attempt, description) = (Attempt::Again, description.to_owned());
    DeploymentWrite { attempt, state, description, ..begun.clone() }
}

async fn write(town: &Town, write: &DeploymentWrite) -> Option<DeploymentId> {
    town.github.deployment(write).await.unwrap()
}

fn all(town: &Town) -> Vec<Deployment> {
    town.standin.world(|world| world.repository(&town.repository).unwrap().deployments.clone())
}

fn states(town: &Town) -> Vec<Vec<State>> {
    let states = |one: &Deployment| one.statuses.iter().map(|status| status.state).collect();
    all(town).iter().map(states).collect()
}

async fn spoil(town: &Town, path: &'static str, answer: Answer) {
    let spoil = move |world: &mut sluice_sim::World| {
        let (method, path) = ("POST".to_owned(), path.to_owned());
        world.faults.answer(Matching::Rest { method, path }, 1, answer);
        Ok(())
    };
    town.standin.change(spoil).await.unwrap();
}

#[tokio::test]
async fn a_deploy_is_told_in_three_requests() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let begun = begins(&town, &pr);
    let (known, requests) = town.counted(write(&town, &begun)).await;
    assert_eq!(requests, 2);
    let description = "x".repeat(200);
    let end = DeploymentWrite { known, state: DeploymentState::Success, description, ..begun };
    let (id, requests) = town.counted(write(&town, &end)).await;
    assert_eq!((id, requests), (known, 1));
    let [one] = &all(&town)[..] else { panic!("{:#?}", all(&town)) };
    assert_eq!(Some(DeploymentId(one.id)), known);
    assert_eq!(one.commit.as_str(), town.head(&pr).as_str());
    assert_eq!(
        (one.environment.as_str(), one.task.as_str()),
        ("prod (warehouse)", "deploy:warehouse")
    );
    assert!(one.production && one.description == format!("Pull request #{}", pr.number), "{one:?}");
    assert_eq!(states(&town), [[State::InProgress, State::Success]]);
    assert_eq!(one.statuses[1].description.len(), 140);
    assert_eq!(one.statuses[1].log_url, "https://sluice.example/jobs/1");
}

#[tokio::test]
async fn an_entry_is_made_once_however_the_answer_fares() {
    for path in ["/deployments", "/statuses"] {
        for answer in [Answer::Status(502), Answer::StatusAfterEffect(502)] {
            let town = Town::found().await;
            let pr = town.pr("orders").await;
            spoil(&town, path, answer).await;
            write(&town, &begins(&town, &pr)).await.unwrap();
            assert_eq!(states(&town), [[State::InProgress]], "{path} {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_end_is_told_once_however_the_answer_fares() {
    for answer in [Answer::Status(502), Answer::StatusAfterEffect(502)] {
        for state in [DeploymentState::Success, DeploymentState::Failure] {
            let town = Town::found().await;
            let pr = town.pr("orders").await;
            let begun = begins(&town, &pr);
            let known = write(&town, &begun).await;
            spoil(&town, "/statuses", answer).await;
            write(&town, &DeploymentWrite { known, state, ..begun }).await.unwrap();
            assert_eq!(states(&town)[0].len(), 2, "{answer:?} {state:?}: {:?}", states(&town));
        }
    }
}

#[tokio::test]
async fn a_second_try_takes_up_what_the_first_one_began() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let begun = begins(&town, &pr);
    let first = write(&town, &begun).await;
    let again = DeploymentWrite { attempt: Attempt::Again, ..begun.clone() };
    assert_eq!(write(&town, &again).await, first);
    assert_eq!(states(&town), [[State::InProgress]]);
    let end = ends(&begun, DeploymentState::Success, "Deployed");
    for _ in 0..2 {
        assert_eq!(write(&town, &end).await, first);
    }
    write(&town, &ends(&begun, DeploymentState::Error, "lost")).await;
    assert_eq!(states(&town), [[State::InProgress, State::Success]], "one end");
    // What has ended is another deploy's no more.
    assert_ne!(write(&town, &again).await, first);
    assert_eq!(states(&town).len(), 2);
}

#[tokio::test]
async fn what_a_later_deploy_replaced_stays_so() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    let begun = begins(&town, &pr);
    let DeploymentId(id) = write(&town, &begun).await.unwrap();
    let name = town.repository.clone();
    let replace = move |world: &mut sluice_sim::World| {
        let said = serde_json::json!({ "state": State::Inactive });
        let said = serde_json::from_value(said).map_err(|_| WorldError::NotFound)?;
        world.tell_deployment(&Identity::App, (&name, id), said)
    };
    town.standin.change(replace).await.unwrap();
    write(&town, &ends(&begun, DeploymentState::Success, "Deployed")).await;
    assert_eq!(states(&town), [[State::InProgress, State::Inactive]]);
}

#[tokio::test]
async fn what_never_began_has_no_end() {
    let town = Town::found().await;
    let (pr, other) = (town.pr("orders").await, town.pr("lines").await);
    let begun = begins(&town, &other);
    write(&town, &begun).await;
    let theirs = DeploymentWrite { task: "deploy:finance".to_owned(), ..begins(&town, &pr) };
    write(&town, &theirs).await;
    let end = ends(&begins(&town, &pr), DeploymentState::Failure, "Not deployed");
    let (id, requests) = town.counted(write(&town, &end)).await;
    assert_eq!((id, requests), (None, 1));
    assert_eq!(states(&town), [[State::InProgress], [State::InProgress]], "others' are left alone");
}

#[tokio::test]
async fn who_may_not_is_told_so_at_once() {
    let town = Town::found().await;
    let pr = town.pr("orders").await;
    spoil(&town, "/deployments", Answer::Status(403)).await;
    let (refused, requests) = town.counted(town.github.deployment(&begins(&town, &pr))).await;
    assert!(matches!(refused, Err(GitHubError::Forbidden(_))), "{refused:?}");
    assert_eq!(requests, 1);
}
