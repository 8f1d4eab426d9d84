//! REST: authentication, shapes, pages, limits.

use reqwest::Method;
use serde_json::json;
use sluice_sim::World;
use sluice_sim::world::{Origin, Protection, RequestKind, Role};

use crate::town::{Town, read};

#[tokio::test]
async fn every_request_needs_a_valid_token() {
    let town = Town::new().await;
    for path in ["/repos/acme/warehouse", "/rate_limit", "/app", "/repos/no/such"] {
        let request = town.anonymous(Method::GET, path);
        let (status, body) = read(request.send().await.unwrap()).await;
        assert_eq!((status, body["message"].as_str()), (401, Some("Bad credentials")), "{path}");
        let wrong = town.anonymous(Method::GET, path).bearer_auth("wrong");
        assert_eq!(wrong.send().await.unwrap().status(), 401, "{path}");
    }
    let graphql = town.anonymous(Method::POST, "/graphql").json(&json!({"query": "{__typename}"}));
    assert_eq!(graphql.send().await.unwrap().status(), 401);
    assert_eq!(town.get("/repos/acme/warehouse").await.0, 200);
}

#[tokio::test]
async fn what_is_the_apps_own_needs_its_signature_and_no_token() {
    let town = Town::new().await;
    let paths = ["/repos/acme/warehouse/installation", "/app/installations/77/access_tokens"];
    for (method, path) in [Method::GET, Method::POST].into_iter().zip(paths) {
        assert_eq!(town.request(method, path).send().await.unwrap().status(), 401, "{path}");
    }
}

#[tokio::test]
async fn the_second_page_is_an_absolute_link_by_repository_id_that_needs_the_token_too() {
    let town = Town::new().await;
    for branch in ["one", "two", "three"] {
        town.pr(branch).await;
    }
    let path = "/repos/acme/warehouse/pulls?state=open&per_page=2";
    let first = town.request(Method::GET, path).send().await.unwrap();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    let next = link.split(['<', '>']).nth(1).unwrap().to_owned();
    assert!(link.contains("rel=\"next\"") && link.contains("rel=\"last\""), "{link}");
    assert!(next.starts_with(town.gh.url()) && next.contains("/repositories/"), "{next}");
    assert_eq!(read(first).await.1.as_array().unwrap().len(), 2);

    let (status, second) = town.get(&next).await;
    assert_eq!((status, second.as_array().unwrap().len()), (200, 1));
    assert_eq!(second[0]["number"], 1, "newest first");
    let anonymous = town.anonymous(Method::GET, &next).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

#[tokio::test]
async fn a_role_is_exact_only_in_role_name() {
    let town = Town::new().await;
    town.mallory.joins(&town.repository, Role::Triage).await.unwrap();
    for (login, role, permission) in
        [("bob", "maintain", "write"), ("alice", "write", "write"), ("mallory", "triage", "read")]
    {
        let path = format!("/repos/acme/warehouse/collaborators/{login}/permission");
        let (_, body) = town.get(&path).await;
        assert_eq!(body["role_name"], role);
        assert_eq!(body["permission"], permission);
    }
}

#[tokio::test]
async fn reviews_are_listed_oldest_first_and_a_deleted_reviewer_is_null() {
    let town = Town::new().await;
    let pr = town.pr("a").await;
    town.bob.approves(&pr).await.unwrap();
    town.mallory.requests_changes(&pr).await.unwrap();
    town.mallory.leaves_github().await.unwrap();
    let (_, reviews) = town.get("/repos/acme/warehouse/pulls/1/reviews").await;
    assert_eq!(reviews[0]["state"], "APPROVED");
    assert_eq!(reviews[0]["user"]["login"], "Bob");
    assert_eq!(reviews[0]["commit_id"], town.head(&pr));
    assert_eq!(reviews[1]["state"], "CHANGES_REQUESTED");
    assert!(reviews[1]["user"].is_null());
}

#[tokio::test]
async fn check_runs_belong_to_apps_and_keep_the_limits() {
    let town = Town::new().await;
    let pr = town.pr("a").await;
    let path = "/repos/acme/warehouse/check-runs";
    let new = json!({"name": "lint", "head_sha": town.head(&pr), "status": "in_progress"});
    let as_user = town.request_as("alice", Method::POST, path).json(&new).send().await.unwrap();
    assert_eq!(as_user.status(), 403);

    let (status, run) = town.send(Method::POST, path, &new).await;
    assert_eq!((status, run["status"].as_str()), (201, Some("in_progress")));
    let run = format!("{path}/{}", run["id"]);
    let long = "x".repeat(65_536);
    for refused in [
        json!({"status": "completed"}),
        json!({"output": {"title": "t", "summary": long}}),
        json!({"output": {"title": "t", "summary": "", "annotations": vec![json!({}); 51]}}),
        json!({"actions": [{"label": "x".repeat(21), "description": "", "identifier": ""}]}),
    ] {
        assert_eq!(town.send(Method::PATCH, &run, &refused).await.0, 422, "{refused}");
    }
    let (status, done) = town.send(Method::PATCH, &run, &json!({"conclusion": "success"})).await;
    assert_eq!((status, done["status"].as_str()), (200, Some("completed")));
    assert_eq!(town.get(&run).await.1["id"], done["id"]);
    let (_, listed) =
        town.get(&format!("/repos/acme/warehouse/commits/{}/check-runs", town.head(&pr))).await;
    assert_eq!(listed["total_count"], 1);
    assert_eq!(listed["check_runs"][0]["conclusion"], "success");
    let unknown = json!({"name": "lint", "head_sha": "0".repeat(40)});
    assert_eq!(town.send(Method::POST, path, &unknown).await.0, 422);
}

#[tokio::test]
async fn comments_have_a_longest_body_and_reactions_are_made_once() {
    let town = Town::new().await;
    town.pr("a").await;
    let path = "/repos/acme/warehouse/issues/1/comments";
    let body = |length: usize| json!({"body": "ä".repeat(length)});
    assert_eq!(town.send(Method::POST, path, &body(65_537)).await.0, 422);
    let (status, comment) = town.send(Method::POST, path, &body(65_536)).await;
    assert_eq!((status, comment["user"]["login"].as_str()), (201, Some("sluice[bot]")));

    let one = format!("/repos/acme/warehouse/issues/comments/{}", comment["id"]);
    let eyes = json!({"content": "eyes"});
    assert_eq!(town.send(Method::POST, &format!("{one}/reactions"), &eyes).await.0, 201);
    assert_eq!(town.send(Method::POST, &format!("{one}/reactions"), &eyes).await.0, 200);
    let (_, edited) = town.send(Method::PATCH, &one, &json!({"body": "short"})).await;
    assert_eq!(edited["body"], "short");
}

#[tokio::test]
async fn a_push_is_dated_by_the_activity_of_its_branch() {
    let town = Town::new().await;
    let pr = town.pr("a").await;
    let before = town.head(&pr);
    town.alice.pushes(&pr, &[("models/a.sql", Some("SELECT 3\n"))]).await.unwrap();
    let path = "/repos/acme/warehouse/activity?ref=refs/heads/a&per_page=1";
    let (_, activity) = town.get(path).await;
    assert_eq!(activity[0]["before"], before);
    assert_eq!(activity[0]["after"], town.head(&pr));
    assert_eq!(activity[0]["activity_type"], "push");
    assert_eq!(activity[0]["actor"]["login"], "alice");
}

#[tokio::test]
async fn files_say_what_happened_to_them() {
    let town = Town::new().await;
    let pr = town.pr("a").await;
    let files = [("README.md", None), ("models/a.sql", Some("SELECT 1\nFROM t\n"))];
    town.alice.pushes(&pr, &files).await.unwrap();
    let (_, files) = town.get("/repos/acme/warehouse/pulls/1/files").await;
    let told: Vec<_> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["filename"].as_str().unwrap(), file["status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("README.md", "removed"), ("models/a.sql", "modified")]);
}

#[tokio::test]
async fn requests_are_logged_and_counted_against_the_budget() {
    let town = Town::new().await;
    let answer = town.request(Method::GET, "/repos/acme/warehouse").send().await.unwrap();
    assert_eq!(answer.headers()["x-ratelimit-remaining"], "4999");
    let query = json!({"query": "query Facts { viewer { login } }"});
    town.send(Method::POST, "/api/graphql", &query).await;
    let log = town.gh.requests();
    assert_eq!(log[0].path, "/repos/acme/warehouse");
    assert_eq!(log[0].identity.as_deref(), Some("sluice[bot]"));
    assert_eq!(log[1].kind, RequestKind::GraphQl);
    assert_eq!(log[1].operations, ["Facts", "viewer"]);
    town.gh.world(|world| assert_eq!(world.requests().api_count(), 2));
}

#[tokio::test]
async fn a_branch_has_its_classic_rule_and_rulesets_have_rules_of_their_own() {
    let town = Town::new().await;
    let branch = "/repos/acme/warehouse/branches/main";
    let rules = "/repos/acme/warehouse/rules/branches/main";
    let (_, bare) = town.get(branch).await;
    assert_eq!((&bare["name"], &bare["protected"]), (&json!("main"), &json!(false)));
    assert_eq!(town.get(rules).await, (200, json!([])));
    for origin in [Origin::Classic, Origin::Ruleset] {
        let required_checks = vec!["lint".to_owned()];
        let rule = Protection { origin, required_checks, ..Protection::default() };
        let repository = town.repository.clone();
        let protect = move |world: &mut World| world.protect(&repository, "main", Some(rule));
        town.gh.change(protect).await.unwrap();
        let (_, shown) = town.get(branch).await;
        let contexts = &shown["protection"]["required_status_checks"]["contexts"];
        let (_, ruled) = town.get(rules).await;
        let is_classic = origin == Origin::Classic;
        assert_eq!(contexts.to_string().contains("lint"), is_classic, "{shown}");
        assert_eq!(ruled.to_string().contains("lint"), !is_classic, "{ruled}");
        assert_eq!(shown["protected"], true);
    }
    assert_eq!(town.get("/repos/acme/warehouse/branches/gone").await.0, 404);
}

#[tokio::test]
async fn everything_else_that_is_there_can_be_read() {
    let town = Town::new().await;
    let pr = town.pr("a").await;
    let home = "/repos/acme/warehouse";
    let (_, user) =
        read(town.request_as("alice", Method::GET, "/user").send().await.unwrap()).await;
    assert_eq!(user["login"], "alice");
    assert_eq!(town.get("/user").await.0, 403, "the App is no user");
    let (status, limits) = town.get("/rate_limit").await;
    assert_eq!((status, &limits["rate"]["limit"]), (200, &json!(5000)));
    let head = town.head(&pr);
    let (_, commit) = town.get(&format!("{home}/commits/{head}")).await;
    assert_eq!(commit["sha"], head);
    let (_, suites) = town.get(&format!("{home}/commits/{head}/check-suites")).await;
    assert_eq!(suites["check_suites"][0]["head_commit"]["id"], head);
    let (_, file) = town.get(&format!("{home}/contents/models/a.sql?ref=main")).await;
    assert_eq!(file["path"], "models/a.sql");
    let (_, listed) = town.get(&format!("{home}/pulls?state=all&base=main")).await;
    assert_eq!(listed[0]["number"], 1);
    let (_, said) = town
        .send(Method::POST, &format!("{home}/issues/1/comments"), &json!({"body": "hello"}))
        .await;
    let comment = format!("{home}/issues/comments/{}", said["id"]);
    assert_eq!(town.get(&comment).await.1["body"], "hello");
    let (_, edited) = town.send(Method::PATCH, &comment, &json!({"body": "bye"})).await;
    assert_eq!(edited["body"], "bye");
    let listed = town.get(&format!("{home}/issues/1/comments")).await.1;
    assert_eq!(listed[0]["body"], "bye");
    let eyes = json!({"content": "eyes"});
    let (_, reaction) = town.send(Method::POST, &format!("{home}/issues/1/reactions"), &eyes).await;
    assert_eq!(reaction["content"], "eyes");
    let gone = town.request(Method::DELETE, &comment).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(town.get(&comment).await.0, 404);
}
