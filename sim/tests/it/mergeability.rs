//! Mergeability is computed after the first read, and forgotten whenever head or base move.

use serde_json::{Value, json};
use sluice_sim::world::{Protection, Role};
use sluice_sim::{Pr, PrSpec};

use crate::town::Town;

impl Town {
    async fn merge_state(&self, pr: &Pr) -> String {
        let query = r#"query ($number: Int!) { repository(owner: "acme", name: "warehouse") {
          pullRequest(number: $number) { mergeable mergeStateStatus } } }"#;
        let data = self.data(query, json!({"number": pr.number})).await;
        data["repository"]["pullRequest"]["mergeStateStatus"].as_str().unwrap().to_owned()
    }

    /// The state once it is known: the second read, since the first is what sets it off.
    async fn known_merge_state(&self, pr: &Pr) -> String {
        self.merge_state(pr).await;
        self.merge_state(pr).await
    }

    async fn protect(&self, rule: Protection) {
        let name = self.repository.clone();
        self.gh.change(move |world| world.protect(&name, "main", Some(rule))).await.unwrap();
    }
}

#[tokio::test]
async fn it_is_unknown_at_first_and_again_after_each_move() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    assert_eq!(town.merge_state(&pr).await, "UNKNOWN");
    assert_eq!(town.merge_state(&pr).await, "CLEAN");
    town.alice.pushes(&pr, &[("models/b.sql", Some("SELECT 3\n"))]).await.unwrap();
    assert_eq!(town.merge_state(&pr).await, "UNKNOWN", "the head moved");
    assert_eq!(town.merge_state(&pr).await, "CLEAN");
    let files = [("models/b.sql", Some("SELECT 4\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
    assert_eq!(town.merge_state(&pr).await, "UNKNOWN", "the base moved");
    assert_eq!(town.merge_state(&pr).await, "DIRTY");
}

#[tokio::test]
async fn rest_agrees_and_has_the_test_merge() {
    let town = Town::new().await;
    town.pr("b").await;
    let (_, first) = town.get("/repos/acme/warehouse/pulls/1").await;
    assert_eq!((&first["mergeable"], &first["mergeable_state"]), (&Value::Null, &json!("unknown")));
    let (_, second) = town.get("/repos/acme/warehouse/pulls/1").await;
    assert_eq!((&second["mergeable"], &second["mergeable_state"]), (&json!(true), &json!("clean")));
    assert!(second["merge_commit_sha"].is_string());
}

#[tokio::test]
async fn protection_blocks_until_it_is_met() {
    let town = Town::new().await;
    let rule = Protection {
        required_approvals: 1,
        required_checks: vec!["lint".to_owned()],
        ..Protection::default()
    };
    town.protect(rule).await;
    let pr = town.pr("b").await;
    town.known_merge_state(&pr).await;
    town.bob.approves(&pr).await.unwrap();
    assert_eq!(town.merge_state(&pr).await, "BLOCKED", "the check is missing");
    let check = json!({"name": "lint", "head_sha": town.head(&pr), "conclusion": "neutral"});
    town.send(reqwest::Method::POST, "/repos/acme/warehouse/check-runs", &check).await;
    assert_eq!(town.merge_state(&pr).await, "CLEAN");
    town.bob.joins(&town.repository, Role::Triage).await.unwrap();
    assert_eq!(town.merge_state(&pr).await, "BLOCKED", "approved by one who may not write");
    town.bob.joins(&town.repository, Role::Write).await.unwrap();
    let check = json!({"name": "other", "head_sha": town.head(&pr), "conclusion": "failure"});
    town.send(reqwest::Method::POST, "/repos/acme/warehouse/check-runs", &check).await;
    assert_eq!(town.merge_state(&pr).await, "UNSTABLE", "a check that is not required failed");
    town.bob.requests_changes(&pr).await.unwrap();
    assert_eq!(town.merge_state(&pr).await, "BLOCKED");
}

#[tokio::test]
async fn drafts_and_stale_branches_have_states_of_their_own() {
    let town = Town::new().await;
    town.protect(Protection { strict: true, ..Protection::default() }).await;
    let spec = PrSpec::new("b").file("b.sql", "SELECT 1\n").draft();
    let pr = town.alice.opens_pr(&town.repository, spec).await.unwrap();
    assert_eq!(town.known_merge_state(&pr).await, "DRAFT");
    town.alice.marks_ready(&pr).await.unwrap();
    assert_eq!(town.known_merge_state(&pr).await, "CLEAN");
    let files = [("other.sql", Some("SELECT 4\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
    assert_eq!(town.known_merge_state(&pr).await, "BEHIND");
}

#[tokio::test]
async fn it_can_be_stuck() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    town.gh
        .change(|world| {
            world.faults.mergeability_stuck = true;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(town.known_merge_state(&pr).await, "UNKNOWN");
}

#[tokio::test]
async fn a_push_dismisses_stale_approvals_where_the_rule_says_so() {
    let town = Town::new().await;
    town.protect(Protection { dismiss_stale: true, ..Protection::default() }).await;
    let pr = town.pr("b").await;
    town.bob.approves(&pr).await.unwrap();
    town.alice.pushes(&pr, &[("models/b.sql", Some("SELECT 3\n"))]).await.unwrap();
    let (_, reviews) = town.get("/repos/acme/warehouse/pulls/1/reviews").await;
    assert_eq!(reviews[0]["state"], "DISMISSED");
}
