//! Every webhook that GitHub once sent and that was recorded: none is too strange to be answered,
//! and those of our events become the jobs that BEHAVIOUR's "Events → jobs" says.

use serde_json::{Value, json};
use sluice::names::Repository;
use sluice::project::Project;
use sluice_conformance::{Coverage, Subject, payloads};

use crate::world::{Given, World, project, status};

/// What an event and its action come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// A look at the facts.
    Look,
    /// All checks, anew.
    Gate,
    Cleanup,
    /// The check of a group, by the number in its branch's name.
    Group,
    /// A gate for each pull request that a check of ours lists.
    GateOfEach,
}

/// What is not here comes to no job.
const JOBS: [(&str, &str, Job); 11] = [
    ("pull_request", "opened", Job::Look),
    ("pull_request", "synchronize", Job::Look),
    ("pull_request", "ready_for_review", Job::Look),
    ("pull_request", "reopened", Job::Gate),
    ("pull_request", "closed", Job::Cleanup),
    ("pull_request_review", "submitted", Job::Look),
    ("pull_request_review", "edited", Job::Look),
    ("pull_request_review", "dismissed", Job::Look),
    ("merge_group", "checks_requested", Job::Group),
    ("check_run", "rerequested", Job::GateOfEach),
    ("check_suite", "rerequested", Job::GateOfEach),
];

/// The ids of the jobs that a delivery has to become, in the project of its repository.
fn wanted(event: &str, delivery: &str, project: &str, payload: &Value) -> Vec<String> {
    let action = payload["action"].as_str().unwrap_or_default();
    let row = JOBS.iter().find(|row| (row.0, row.1) == (event, action));
    let pull = &payload["pull_request"];
    let (number, head) = (&pull["number"], pull["head"]["sha"].as_str().unwrap_or_default());
    match row.map(|row| row.2) {
        None => Vec::new(),
        Some(Job::Look) => vec![format!("approval:{project}:{number}:{delivery}")],
        Some(Job::Gate) => vec![format!("gate:{project}:{number}:{head}")],
        Some(Job::Cleanup) => vec![format!("cleanup:{project}:{number}:{delivery}")],
        Some(Job::Group) => {
            let branch = payload["merge_group"]["head_ref"].as_str().unwrap_or_default();
            let number = branch.split("/pr-").nth(1).and_then(|rest| rest.split('-').next());
            vec![format!("approval:{project}:{}:{delivery}", number.unwrap_or_default())]
        }
        Some(Job::GateOfEach) => {
            let name = payload["check_run"]["name"].as_str();
            let is_ours = name.is_none_or(|name| name.starts_with("SQLMesh - "));
            let listed = payload[event]["pull_requests"].as_array();
            let listed = listed.into_iter().flatten().filter(|_| is_ours);
            let gate = |pull: &Value| {
                let head = pull["head"]["sha"].as_str().unwrap();
                format!("gate:{project}:{}:{head}", pull["number"])
            };
            listed.map(gate).collect()
        }
    }
}

/// A project for each repository that anything was recorded of.
fn projects(recorded: &[(String, Value)]) -> Vec<Project> {
    let names = recorded.iter().filter_map(|(_, it)| it["repository"]["full_name"].as_str());
    let mut names: Vec<String> = names.map(str::to_lowercase).collect();
    names.sort();
    names.dedup();
    let of = |(place, name): (usize, &String)| Project {
        repository: Repository::new(name).unwrap(),
        ..project(&format!("p{place}"))
    };
    names.iter().enumerate().map(of).collect()
}

fn project_of<'a>(projects: &'a [Project], payload: &Value) -> Option<&'a str> {
    let name = payload["repository"]["full_name"].as_str()?;
    let found = projects.iter().find(|it| it.repository.as_str().eq_ignore_ascii_case(name));
    found.map(|project| project.name.as_str())
}

fn recorded() -> Vec<(String, Value)> {
    let read = |text: &str| serde_json::from_str(text).unwrap();
    payloads().iter().map(|one| (one.event.clone(), read(&one.payload))).collect()
}

/// Sends every payload; each has to become the jobs that are wanted.
async fn tell(recorded: &[(String, Value)]) -> Coverage {
    let projects = projects(recorded);
    let world = World::given(Given { projects: projects.clone(), ..Given::default() }).await;
    let mut coverage = Coverage::default();
    for (place, (event, payload)) in recorded.iter().enumerate() {
        let (delivery, before) = (format!("d-{place}"), world.stored().len());
        let answered = status(world.delivery(&delivery, event, payload)).await;
        let name = project_of(&projects, payload);
        let wanted = name.map(|name| wanted(event, &delivery, name, payload)).unwrap_or_default();
        let what = format!("{event} {} ({delivery})", payload["action"]);
        assert_eq!(world.stored()[before..], wanted[..], "{what}");
        assert_eq!(answered, if wanted.is_empty() { 202 } else { 200 }, "{what}");
        coverage.add(Subject::Recorded, event, &answered.to_string());
    }
    assert!(!world.running.is_finished(), "the producer ended");
    world.finish().await;
    coverage
}

#[tokio::test]
async fn every_recorded_webhook_is_answered_and_becomes_its_job() {
    let recorded = recorded();
    assert_eq!(recorded.len(), 329);
    let coverage = tell(&recorded).await;
    coverage.write_down().unwrap();
}

/// The recorded checks are of others, and no recorded comment is a command.
#[tokio::test]
async fn recorded_checks_and_comments_would_be_jobs_if_they_were_ours() {
    let mut checks = recorded();
    checks.retain(|(event, it)| event == "check_run" && it["action"] == "rerequested");
    let listed = json!([{"number": 7, "head": {"sha": "a".repeat(40)}}]);
    for (_, check) in &mut checks {
        check["check_run"]["name"] = json!("SQLMesh - Linter");
        check["check_run"]["pull_requests"] = listed.clone();
    }
    assert!(!checks.is_empty());
    tell(&checks).await;

    let mut comments = recorded();
    comments.retain(|(event, it)| event == "issue_comment" && it["action"] == "created");
    assert!(!comments.is_empty());
    let world = World::given(Given { projects: projects(&comments), ..Given::default() }).await;
    for (place, (event, comment)) in comments.iter_mut().enumerate() {
        comment["comment"]["body"] = json!("/deploy");
        assert_eq!(status(world.delivery(&format!("i-{place}"), event, comment)).await, 202);
        comment["issue"]["pull_request"] = json!({"url": "http://127.0.0.1/"});
        assert_eq!(status(world.delivery(&format!("d-{place}"), event, comment)).await, 200);
        let number = &comment["issue"]["number"];
        assert_eq!(world.stored().last().unwrap(), &format!("command:p0:{number}:d-{place}"));
    }
    world.finish().await;
}
