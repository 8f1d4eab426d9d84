//! Steps that cannot go on, and events that lead to nothing: each has a code of its own.

use std::process::{Command, Stdio};

use sluice::queue::{Queue as _, Route};
use sluice_rig::free_port;

use super::steps::until_stored;
use super::studio::{Step, Studio};
use crate::town::TAXED;

const OTHER: &str = r#"{"action": "opened", "repository": {"full_name": "acme/other"},
    "pull_request": {"number": 7, "head": {"sha": "ab00000000000000000000000000000000000001"}}}"#;

/// A configuration of stores that are not needed.
fn config() -> String {
    let port = free_port().unwrap();
    format!(
        "[queue]\nurl = \"amqp://me:hunter2@127.0.0.1:{port}/%2f\"\n\
         [lease]\nurl = \"redis://:hunter2@127.0.0.1:{port}/0\"\n\
         [[project]]\nname = \"warehouse\"\nrepository = \"acme/warehouse\"\npython = \"python3\"\n"
    )
}

fn step(event: &str, payload: &[u8], options: &[&str]) -> Step {
    let step = Step::new(&config(), options);
    let file = step.file("event.json");
    std::fs::write(&file, payload).unwrap();
    step.with("GITHUB_EVENT_NAME", event).with("GITHUB_EVENT_PATH", file.to_str().unwrap())
}

fn in_warehouse(text: &str) -> Vec<u8> {
    text.replace("acme/other", "acme/warehouse").into_bytes()
}

#[tokio::test]
async fn an_event_that_leads_to_nothing_is_fine() {
    let labeled = OTHER.replace("opened", "labeled");
    let done = step("pull_request", &in_warehouse(&labeled), &["--wait"]).runs().await;
    assert_eq!((done.code, done.outputs.len()), (Some(0), 0));
    assert!(done.said.contains("leads to nothing (ignored)"), "{}", done.said);
    let done = step("schedule", b"{\"schedule\": \"0 0 * * *\"}", &[]).runs().await;
    assert_eq!(done.code, Some(0), "{}", done.complaint);
}

#[tokio::test]
async fn a_step_that_is_used_wrongly_says_how() {
    let large = vec![b' '; (25 << 20) + 1];
    let cases: [(Step, &str); 8] = [
        (step("pull_request", OTHER.as_bytes(), &[]), "no project of the configuration"),
        (step("pull_request", b"{\"action\": ", &[]), "not a payload of this event"),
        (step("pull_request", &large, &[]), "has more than 26214400 bytes"),
        (step("pull_request", b"{}", &["--project", "lake"]), "there are: warehouse"),
        (step("pull_request", b"{}", &["--timeout", "25h"]), "nobody can say more after 24h"),
        (
            step("pull_request", b"{}", &[]).with("GITHUB_EVENT_PATH", "/nowhere"),
            "/nowhere: No such",
        ),
        (step("pull_request", b"{}", &[]).with("GITHUB_EVENT_PATH", "/"), "is not a file"),
        (
            step("pull_request", b"{}", &[]).with("GITHUB_EVENT_NAME", ""),
            "GITHUB_EVENT_NAME is not",
        ),
    ];
    for (step, why) in cases {
        let done = step.runs().await;
        assert_eq!(done.code, Some(2), "{why}: {}", done.complaint);
        assert!(done.complaint.contains(why), "{why}: {}", done.complaint);
    }
}

/// GitHub gives the workflow of a fork's pull request no secrets: the variables are there, empty.
#[tokio::test]
async fn a_forks_pull_request_has_no_secrets_and_it_is_said_so() {
    let pull = |head: u64| {
        format!(
            r#"{{"action": "opened", "repository": {{"full_name": "acme/warehouse"}},
            "pull_request": {{"number": 7, "base": {{"repo": {{"id": 1}}}},
            "head": {{"sha": "{}", "repo": {{"id": {head}}}}}}}}}"#,
            "a".repeat(40)
        )
    };
    let without_secrets = |head| {
        let step = step("pull_request", pull(head).as_bytes(), &["--wait"]);
        let config = "[[project]]\nname = \"warehouse\"\nrepository = \"acme/warehouse\"\n\
                      python = \"python3\"\n";
        std::fs::write(step.file("sluice.toml"), config).unwrap();
        step.with("SLUICE_QUEUE__URL", "").with("SLUICE_LEASE__URL", "")
    };
    let fork = without_secrets(2).runs().await;
    assert_eq!(fork.code, Some(2));
    assert!(fork.complaint.contains("GitHub gives such a workflow no secrets"), "{fork:?}");
    assert!(fork.complaint.contains("pull_request_target"), "{fork:?}");
    let own = without_secrets(1).runs().await;
    assert_eq!(own.code, Some(2));
    assert!(!own.complaint.contains("no secrets"), "{own:?}");
    assert!(own.complaint.contains("name a RabbitMQ"), "{own:?}");
}

/// What a step is given is no file of ours: the variables say everything.
#[tokio::test]
async fn a_step_needs_no_file_and_no_secret_but_the_addresses() {
    let mut step = step("schedule", b"{}", &[]);
    std::fs::remove_file(step.file("sluice.toml")).unwrap();
    let mut command = Command::new(step.command.get_program());
    command.arg("actions").current_dir(step.file(""));
    for (name, value) in step.command.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("SLUICE_QUEUE__URL", "amqp://127.0.0.1:9/%2f");
    command.env("SLUICE_LEASE__URL", "redis://127.0.0.1:9/0");
    command.env("SLUICE_PROJECT__0__NAME", "warehouse");
    command.env("SLUICE_PROJECT__0__REPOSITORY", "acme/warehouse");
    command.env("SLUICE_PROJECT__0__PYTHON", "python3");
    step.command = command;
    let done = step.runs().await;
    assert_eq!(done.code, Some(0), "{}", done.complaint);
}

#[tokio::test]
async fn nothing_is_stored_while_the_queue_is_away() {
    let done = step("pull_request", &in_warehouse(OTHER), &["--wait"]).runs().await;
    assert_eq!(done.code, Some(4));
    assert!(done.complaint.contains("error: "), "{}", done.complaint);
    let all = format!("{}{}{}", done.said, done.complaint, done.summary);
    assert!(!all.contains("hunter2"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_jobs_are_stored_and_nobody_sees_what_becomes_of_them() {
    let studio = Studio::without_a_worker().await;
    studio.town.pr("tax", "revenue", TAXED).await;
    let nobody = format!("redis://127.0.0.1:{}/0", free_port().unwrap());
    let step = studio.step("pull_request", &["--wait", "--timeout", "3s"]);
    let done = step.with("SLUICE_LEASE__URL", &nobody).runs().await;
    assert_eq!(done.code, Some(5), "{}", done.complaint);
    assert!(done.said.contains("it cannot be seen what becomes of them"), "{}", done.said);
    assert!(done.outputs.contains_key("jobs"));
    until_stored(&studio, 1).await;
    studio.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_waiting_and_one_whose_time_is_over_leave_their_jobs_in_line() {
    let studio = Studio::without_a_worker().await;
    studio.town.pr("tax", "revenue", TAXED).await;
    let done = studio.step("pull_request", &[]).runs().await;
    assert_eq!((done.code, done.outputs.len()), (Some(0), 1), "{done:#?}");
    until_stored(&studio, 1).await;
    let step = studio.step("pull_request", &["--wait", "--timeout", "2s"]);
    let done = step.with("GITHUB_OUTPUT", "").with("GITHUB_STEP_SUMMARY", "").runs().await;
    assert_eq!(done.code, Some(3), "{}", done.complaint);
    for said in ["the time limit of 2s is over", "GITHUB_OUTPUT is not set; the outputs are:"] {
        assert!(done.said.contains(said), "{said}: {}", done.said);
    }
    until_stored(&studio, 2).await;
    studio.close().await;
}

/// GitHub cancels a step with SIGINT, and with SIGTERM when that was not enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_cancelled_leaves_its_job_in_line() {
    for signal in ["-INT", "-TERM"] {
        let studio = Studio::without_a_worker().await;
        studio.town.pr("tax", "revenue", TAXED).await;
        let mut step = studio.step("pull_request", &["--wait"]);
        let pipes = step.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = pipes.spawn().unwrap();
        until_stored(&studio, 1).await;
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let ended = move || step.done(child.wait_with_output().unwrap());
        let done = tokio::task::spawn_blocking(ended).await.unwrap();
        assert_eq!(done.code, Some(3), "{signal}: {done:#?}");
        let told = format!("{}{}", done.said, done.complaint);
        assert!(told.contains("told to stop"), "{signal}: {told}");
        assert_eq!(studio.broker.queue.waiting(&Route::Approval).await.unwrap().jobs, 1);
        studio.close().await;
    }
}
