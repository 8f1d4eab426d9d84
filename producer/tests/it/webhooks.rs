//! Who is believed, what is stored, and what GitHub is told.

use std::time::Duration;

use serde_json::json;

use crate::world::{Given, HEAD, Mood, World, opened, project, sign, status};

#[tokio::test]
async fn a_signed_webhook_is_stored_before_it_is_answered() {
    let world = World::new().await;
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    assert_eq!(world.diary(), ["published approval w#7", "webhook pull_request stored"]);
    world.finish().await;
}

#[tokio::test]
async fn who_does_not_sign_is_nobody() {
    let world = World::new().await;
    let body = opened().to_string();
    let signatures = [
        None,
        Some(String::new()),
        Some("sha256=00".to_owned()),
        Some(sign("guess", &body)),
        Some(sign("", &body)),
        Some(sign("new", "{}")),
        Some(sign("new", &body).replace("sha256=", "sha1=")),
    ];
    for signature in signatures {
        let mut request = world.unsigned("d-1", "pull_request").body(body.clone());
        if let Some(signature) = &signature {
            request = request.header("X-Hub-Signature-256", signature);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{signature:?}");
        assert_eq!(response.text().await.unwrap(), "Unauthorized.");
    }
    assert_eq!(world.stored(), [""; 0]);
    assert!(world.diary().iter().all(|line| line == "webhook pull_request unsigned"));
    world.finish().await;
}

#[tokio::test]
async fn the_old_secret_counts_while_it_is_replaced() {
    let world = World::new().await;
    let body = opened().to_string();
    let signature = sign("old", &body);
    let request = world.unsigned("d-1", "pull_request").header("X-Hub-Signature-256", signature);
    assert_eq!(status(request.body(body)).await, 200);
    world.finish().await;
}

#[tokio::test]
async fn a_replayed_delivery_is_one_job() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    }
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    assert_eq!(world.diary().last().unwrap(), "webhook pull_request duplicate");
    world.finish().await;
}

#[tokio::test]
async fn copies_that_arrive_together_are_one_job() {
    let world = World::new().await;
    world.queue_is(Mood::Hangs);
    let copy = || tokio::spawn(status(world.delivery("d-1", "pull_request", &opened())));
    let copies = [copy(), copy()];
    world.asked(1).await;
    world.queue_is(Mood::Stores);
    for copy in copies {
        assert_eq!(copy.await.unwrap(), 200);
    }
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    world.finish().await;
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_mark_and_a_copy_does() {
    let world = World::new().await;
    world.deliveries_are_marked(false);
    let delivery = || world.delivery("d-1", "pull_request", &opened());
    assert_eq!(status(delivery()).await, 200);
    let mut copy = tokio::spawn(status(delivery()));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut copy).await;
    assert!(early.is_err(), "the copy did not wait for the mark of the first");
    world.deliveries_are_marked(true);
    assert_eq!(copy.await.unwrap(), 200);
    assert_eq!(world.stored(), ["approval:w:7:d-1"]);
    world.finish().await;
}

#[tokio::test]
async fn what_is_not_stored_is_not_acknowledged_and_can_be_redelivered() {
    let given = Given { projects: vec![project("a"), project("b")], ..Given::default() };
    let world = World::given(given).await;
    world.queue_is(Mood::StoresOnly(1));
    let refused = world.delivery("d-1", "pull_request", &opened()).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(!refused.text().await.unwrap().contains("pw"));
    assert_eq!(world.stored(), ["approval:a:7:d-1"]);

    world.queue_is(Mood::Stores);
    assert_eq!(status(world.delivery("d-1", "pull_request", &opened())).await, 200);
    assert_eq!(world.stored(), ["approval:a:7:d-1", "approval:a:7:d-1", "approval:b:7:d-1"]);
    world.finish().await;
}

#[tokio::test]
async fn each_event_is_its_job() {
    let world = World::new().await;
    let pull = |action: &str| {
        let mut payload = opened();
        payload["action"] = json!(action);
        payload
    };
    let repository = json!({"full_name": "acme/warehouse"});
    let comment = json!({
        "action": "created",
        "issue": {"number": 7, "pull_request": {}},
        "comment": {"node_id": "IC_1", "body": "/deploy"},
        "repository": repository,
    });
    let check = json!({
        "action": "rerequested",
        "check_run": {
            "name": "SQLMesh - Linter",
            "pull_requests": [{"number": 7, "head": {"sha": HEAD}}],
        },
        "repository": repository,
    });
    let cases = [
        ("pull_request", pull("synchronize"), "approval:w:7:d-0".to_owned()),
        ("pull_request", pull("closed"), "cleanup:w:7:d-1".to_owned()),
        ("pull_request_review", pull("submitted"), "approval:w:7:d-2".to_owned()),
        ("issue_comment", comment, "command:w:7:d-3".to_owned()),
        ("check_run", check, format!("gate:w:7:{HEAD}")),
    ];
    for (index, (event, payload, id)) in cases.iter().enumerate() {
        let delivery = world.delivery(&format!("d-{index}"), event, payload);
        assert_eq!(status(delivery).await, 200, "{event}");
        assert_eq!(world.stored().last(), Some(id));
    }
    world.finish().await;
}

#[tokio::test]
async fn what_is_not_for_us_is_accepted_and_counted() {
    let world = World::new().await;
    let star = json!({"action": "created", "repository": {"full_name": "acme/warehouse"}});
    assert_eq!(status(world.delivery("d-1", "star", &star)).await, 202);
    assert_eq!(status(world.delivery("d-2", "push", &star)).await, 202);
    let mut elsewhere = opened();
    elsewhere["repository"]["full_name"] = json!("acme/elsewhere");
    assert_eq!(status(world.delivery("d-3", "pull_request", &elsewhere)).await, 202);
    assert_eq!(
        world.diary(),
        ["webhook other ignored", "webhook push push", "webhook pull_request other_repository"]
    );
    assert_eq!(world.stored(), [""; 0]);
    world.finish().await;
}

#[tokio::test]
async fn what_github_would_not_send_is_refused() {
    let world = World::new().await;
    let bare = json!({"action": "opened", "repository": {"full_name": "acme/warehouse"}});
    assert_eq!(status(world.delivery("d-1", "pull_request", &bare)).await, 400);
    for (id, event) in [("", "pull_request"), ("a b", "pull_request"), ("d-1", "Push'")] {
        assert_eq!(status(world.delivery(id, event, &opened())).await, 400, "{id:?} {event:?}");
    }
    let long = "d".repeat(65);
    assert_eq!(status(world.delivery(&long, "pull_request", &opened())).await, 400);

    let body = "payload=%7B%7D";
    let form = world
        .client
        .post(format!("{}/webhooks/github", world.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("X-GitHub-Event", "push")
        .header("X-GitHub-Delivery", "d-1")
        .header("X-Hub-Signature-256", sign("new", body));
    assert_eq!(status(form.body(body)).await, 415);
    assert_eq!(world.get("/webhooks/github").await.0, 405);
    assert_eq!(world.stored(), [""; 0]);
    world.finish().await;
}
