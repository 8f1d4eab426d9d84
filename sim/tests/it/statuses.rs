//! Commit statuses: who may give them, what GitHub takes, and that they count like check runs.

use reqwest::Method;
use serde_json::{Value, json};
use sluice_sim::world::{CheckConclusion, CheckRunChange, NewCheckRun, Protection};

use crate::town::{Town, read};

async fn gives(town: &Town, who: &str, sha: &str, body: Value) -> (u16, Value) {
    let path = format!("/repos/acme/warehouse/statuses/{sha}");
    read(town.request_as(who, Method::POST, &path).json(&body).send().await.unwrap()).await
}

#[tokio::test]
async fn whoever_may_push_gives_a_status_and_the_newest_of_a_name_is_shown() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let head = town.head(&pr);
    let body = json!({"state": "pending", "context": "lint", "description": "waits"});
    let (status, refused) = gives(&town, "mallory", &head, body.clone()).await;
    assert_eq!((status, &refused["message"]), (403, &json!("Must have push access to repository")));
    let (status, given) = gives(&town, "alice", &head, body).await;
    assert_eq!(
        (status, &given["state"], &given["creator"]["login"]),
        (201, &json!("pending"), &json!("alice"))
    );
    let body = json!({"state": "success", "context": "lint", "target_url": "https://ci.example/1"});
    let (_, given) = gives(&town, "Bob", &head, body).await;
    let query = r#"query { repository(owner: "acme", name: "warehouse") { pullRequest(number: 1) {
      commits(last: 1) { nodes { commit {
        status { state contexts { id context state description targetUrl createdAt
          creator { __typename login } } }
        statusCheckRollup { state }
      } } } } } }"#;
    let data = town.data(query, json!({})).await;
    let commit = &data["repository"]["pullRequest"]["commits"]["nodes"][0]["commit"];
    assert_eq!(commit["statusCheckRollup"]["state"], "SUCCESS");
    let contexts = commit["status"]["contexts"].as_array().unwrap();
    let [lint] = &contexts[..] else { panic!("{contexts:#?}") };
    assert_eq!((&lint["id"], &lint["state"]), (&given["node_id"], &json!("SUCCESS")));
    assert_eq!(lint["creator"], json!({"__typename": "User", "login": "Bob"}));
    assert_eq!(
        (&lint["description"], &lint["targetUrl"]),
        (&Value::Null, &json!("https://ci.example/1"))
    );
}

#[tokio::test]
async fn what_github_does_not_take_is_refused() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let head = town.head(&pr);
    let unknown = "d".repeat(40);
    for (sha, body, said) in [
        (&head, json!({"state": "success", "description": "x".repeat(141)}), "140 characters"),
        (&head, json!({"state": "success", "target_url": "ftp://x"}), "http(s) scheme"),
        (&unknown, json!({"state": "success"}), "No commit found"),
        (&head, json!({"state": "neutral"}), "Invalid request"),
    ] {
        let (status, answer) = gives(&town, "alice", sha, body).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(said), "{said}: {answer}");
    }
    let (name, commit) = (town.repository.clone(), sluice_sim::Oid::new(head.clone()));
    let many = move |world: &mut sluice_sim::World| {
        for _ in 0..1_000 {
            let state = sluice_sim::world::StatusState::Pending;
            world.set_status(&name, &commit, ("default", state))?;
        }
        Ok(())
    };
    town.gh.change(many).await.unwrap();
    let (status, answer) = gives(&town, "alice", &head, json!({"state": "success"})).await;
    assert!(status == 422 && answer.to_string().contains("maximum number"), "{answer}");
}

#[tokio::test]
async fn protection_wants_both_where_a_check_run_and_a_status_have_one_name() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let head = town.head(&pr);
    let rule = Protection {
        required_checks: vec!["lint".to_owned()],
        enforce_admins: true,
        ..Protection::default()
    };
    let (name, commit) = (town.repository.clone(), head.clone());
    let protect = move |world: &mut sluice_sim::World| world.protect(&name, "main", Some(rule));
    town.gh.change(protect).await.unwrap();
    town.bob.merges_by_hand(&pr).await.unwrap_err();
    gives(&town, "alice", &head, json!({"state": "failure", "context": "lint"})).await;
    let change =
        CheckRunChange { conclusion: Some(CheckConclusion::Success), ..CheckRunChange::default() };
    let run = NewCheckRun { name: "lint".to_owned(), commit, change };
    let name = town.repository.clone();
    town.gh.change(move |world| world.report_check("ci", &name, run)).await.unwrap();
    town.bob.merges_by_hand(&pr).await.unwrap_err();
    gives(&town, "alice", &head, json!({"state": "success", "context": "lint"})).await;
    town.bob.merges_by_hand(&pr).await.unwrap();
}
