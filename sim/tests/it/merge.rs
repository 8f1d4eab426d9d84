//! Merging: pinned to a head, refused by rules, real in git.

use reqwest::Method;
use serde_json::{Value, json};
use sluice_sim::world::{ActivityType, MergeMethod, Protection, Role};
use sluice_sim::{Oid, Pr};

use crate::town::Town;

const MERGE: &str = "/repos/acme/warehouse/pulls/1/merge";

impl Town {
    fn main(&self) -> Oid {
        self.gh
            .world(|world| world.repository(&self.repository).unwrap().tip("main").unwrap().clone())
    }

    fn parents(&self, commit: &Oid) -> usize {
        self.gh.world(|world| {
            world.repository(&self.repository).unwrap().parents(commit).unwrap().len()
        })
    }

    async fn refused(&self, body: Value) -> (u16, String) {
        let (status, answer) = self.send(Method::PUT, MERGE, &body).await;
        (status, answer["message"].as_str().unwrap().to_owned())
    }

    async fn pinned(&self, pr: &Pr, method: MergeMethod) -> Value {
        let body = json!({"sha": self.head(pr), "merge_method": method});
        let path = format!("/repos/acme/warehouse/pulls/{}/merge", pr.number);
        let (status, answer) = self.send(Method::PUT, &path, &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

#[tokio::test]
async fn each_method_makes_its_kind_of_commit_with_the_same_files() {
    for (method, parents) in
        [(MergeMethod::Merge, 2), (MergeMethod::Squash, 1), (MergeMethod::Rebase, 1)]
    {
        let town = Town::new().await;
        let pr = town.pr("b").await;
        let files = [("other.sql", Some("SELECT 4\n"))];
        town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
        let answer = town.pinned(&pr, method).await;
        assert_eq!(answer["sha"], town.main().as_str());
        assert_eq!(town.parents(&town.main()), parents, "{method:?}");
        let seen = town.gh.pr(&pr).unwrap();
        assert_eq!(seen.merged_as, Some(town.main()));
        let main = town.main();
        town.gh.world(|world| {
            let home = world.repository(&town.repository).unwrap();
            for path in ["models/b.sql", "other.sql", "README.md"] {
                assert!(home.file(&main, path).unwrap().is_some(), "{path}");
            }
            assert_eq!(home.activity.last().unwrap().kind, ActivityType::PrMerge);
        });
    }
}

#[tokio::test]
async fn a_merge_is_pinned_to_the_head_it_names() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let old = town.head(&pr);
    town.alice.pushes(&pr, &[("models/b.sql", Some("SELECT 3\n"))]).await.unwrap();
    let message = "Head branch was modified. Review and try the merge again.";
    assert_eq!(town.refused(json!({"sha": old})).await, (409, message.to_owned()));
    assert!(!town.gh.pr(&pr).unwrap().is_merged());
}

#[tokio::test]
async fn graphql_merges_pinned_too_and_tells_the_merged_tree() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let query =
        r#"{ repository(owner: "acme", name: "warehouse") { pullRequest(number: 1) { id } } }"#;
    let id = town.data(query, Value::Null).await["repository"]["pullRequest"]["id"].clone();
    let merge = "mutation ($input: MergePullRequestInput!) { mergePullRequest(input: $input) {
      pullRequest { merged state mergeCommit { oid tree { oid } parents(first: 2) {
        nodes { oid } } } } } }";
    let input = |head: &str| {
        json!({"input": {"pullRequestId": id, "expectedHeadOid": head, "mergeMethod": "SQUASH",
                         "commitHeadline": "deployed"}})
    };
    let answer = town.graphql(merge, input(&"a".repeat(40))).await;
    assert_eq!(answer["errors"][0]["type"], "UNPROCESSABLE");
    let data = town.data(merge, input(&town.head(&pr))).await;
    let pull = &data["mergePullRequest"]["pullRequest"];
    assert_eq!(pull["state"], "MERGED");
    assert_eq!(pull["mergeCommit"]["oid"], town.main().as_str());
    assert!(pull["mergeCommit"]["tree"]["oid"].is_string());
}

#[tokio::test]
async fn rules_refuse_with_405_and_their_reason() {
    let town = Town::new().await;
    let rule = Protection { required_approvals: 1, ..Protection::default() };
    let name = town.repository.clone();
    town.gh.change(move |world| world.protect(&name, "main", Some(rule))).await.unwrap();
    let pr = town.pr("b").await;
    let message = "At least 1 approving review is required by reviewers with write access.";
    assert_eq!(town.refused(json!({})).await, (405, message.to_owned()));
    let denied = town.request_as("mallory", Method::PUT, MERGE).json(&json!({}));
    assert_eq!(denied.send().await.unwrap().status(), 403);
    town.bob.joins(&town.repository, Role::Admin).await.unwrap();
    town.bob.merges_by_hand(&pr).await.unwrap();
    let message = "Pull Request is not mergeable";
    assert_eq!(town.refused(json!({})).await, (405, message.to_owned()), "merged already");
}

#[tokio::test]
async fn a_conflict_is_not_mergeable() {
    let town = Town::new().await;
    town.pr("b").await;
    let files = [("models/b.sql", Some("SELECT 4\n"))];
    town.bob.pushes_to_branch(&town.repository, "main", &files).await.unwrap();
    let before = town.main();
    let refused = town.refused(json!({})).await;
    assert_eq!(refused, (405, "Pull Request is not mergeable".to_owned()));
    assert_eq!(town.main(), before);
}

#[tokio::test]
async fn somebody_may_push_just_before_the_merge() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let (subject, sha) = (pr.clone(), town.head(&pr));
    town.gh
        .change(move |world| {
            world.faults.before_merge = Some(Box::new(move |world| {
                let alice = sluice_sim::world::Identity::user("alice");
                let files = vec![("late.sql".to_owned(), Some(b"SELECT 9\n".to_vec()))];
                world.push_to_pull(&alice, &subject, &files).unwrap();
            }));
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(town.refused(json!({"sha": sha})).await.0, 409);
}
