//! Webhooks: signed over the raw bytes, in order, once; lost, doubled, late and sent again.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use sluice_sim::faults::WebhookFault;
use sluice_sim::world::{DeliveryStatus, Protection, StatusState};
use sluice_sim::{Pr, PrSpec, Receiver, signature};
use tokio::sync::mpsc;

use crate::town::{PATIENCE, Town};

struct Received {
    event: String,
    guid: String,
    signature: String,
    body: Bytes,
}

impl Received {
    fn payload(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn name(&self) -> String {
        let action = self.payload()["action"].as_str().map(|it| format!(".{it}"));
        format!("{}{}", self.event, action.unwrap_or_default())
    }
}

/// A receiver that hands over what it gets.
struct Mailbox(mpsc::Receiver<Received>);

impl Mailbox {
    async fn open(town: &Town) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        let router =
            axum::Router::new().route("/hook", axum::routing::post(receive)).with_state(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        town.gh.deliver_to(Receiver { url, secret: "s3cret".to_owned() });
        Self(receiver)
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.0.recv()).await.unwrap().unwrap()
    }

    async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.next().await.name());
        }
        names
    }
}

async fn receive(
    State(mailbox): State<mpsc::Sender<Received>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let received = Received {
        event: header("x-github-event"),
        guid: header("x-github-delivery"),
        signature: header("x-hub-signature-256"),
        body,
    };
    mailbox.send(received).await.unwrap();
    StatusCode::ACCEPTED
}

impl Town {
    async fn next_webhook(&self, fault: WebhookFault) {
        self.gh
            .change(move |world| {
                world.faults.webhooks.push_back(fault);
                Ok(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_story_is_told_in_order_and_signed() {
    let town = Town::new().await;
    let mut mailbox = Mailbox::open(&town).await;
    let pr = town.pr("b").await;
    let opened = mailbox.names(3).await;
    assert_eq!(opened, ["push", "pull_request.opened", "check_suite.requested"]);
    let review = town.bob.approves(&pr).await.unwrap();
    let received = mailbox.next().await;
    assert_eq!(received.signature, signature("s3cret", &received.body));
    let payload = received.payload();
    assert_eq!(payload["review"]["state"], "approved");
    assert_eq!(payload["review"]["commit_id"], town.head(&pr));
    assert_eq!(payload["installation"]["id"], 77);
    assert_eq!(payload["sender"]["login"], "Bob");
    assert_eq!(payload["repository"]["full_name"], "acme/warehouse");

    town.bob.dismisses(&pr, review).await.unwrap();
    town.alice.pushes(&pr, &[("c.sql", Some("SELECT 1\n"))]).await.unwrap();
    town.mallory.comments(&pr, "/deploy").await.unwrap();
    town.alice.closes(&pr).await.unwrap();
    town.alice.reopens(&pr).await.unwrap();
    town.bob.merges_by_hand(&pr).await.unwrap();
    let told = mailbox.names(9).await;
    assert_eq!(
        told,
        [
            "pull_request_review.dismissed",
            "push",
            "pull_request.synchronize",
            "check_suite.requested",
            "issue_comment.created",
            "pull_request.closed",
            "pull_request.reopened",
            "push",
            "pull_request.closed",
        ]
    );
    town.gh.until_delivered(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn payloads_have_what_a_receiver_needs() {
    let town = Town::new().await;
    let mut mailbox = Mailbox::open(&town).await;
    let spec = PrSpec::new("fix").file("f.sql", "SELECT 5\n").from_fork("mallory/warehouse");
    let pr = town.mallory.opens_pr(&town.repository, spec).await.unwrap();
    let opened = mailbox.next().await.payload();
    let pull = &opened["pull_request"];
    assert_eq!(opened["number"], 1);
    assert_eq!(pull["head"]["sha"], town.head(&pr));
    assert_eq!(pull["head"]["repo"]["full_name"], "mallory/warehouse");
    assert_eq!(pull["head"]["repo"]["fork"], true);
    assert_eq!(pull["base"]["repo"]["full_name"], "acme/warehouse");
    assert!(pull["mergeable"].is_null() && pull["merged"] == false);
    assert_eq!(mailbox.next().await.name(), "check_suite.requested");
    town.mallory.comments(&pr, "/deploy").await.unwrap();
    let comment = mailbox.next().await.payload();
    assert!(comment["issue"]["pull_request"].is_object());
    assert_eq!(comment["comment"]["body"], "/deploy");
    assert!(!comment.to_string().contains(&town.head(&pr)), "it carries no SHA");
}

#[tokio::test]
async fn a_lost_webhook_is_never_repeated_unless_somebody_asks() {
    let town = Town::new().await;
    let mut mailbox = Mailbox::open(&town).await;
    let pr = town.pr("b").await;
    mailbox.names(3).await;
    town.next_webhook(WebhookFault::Drop).await;
    town.bob.comments(&pr, "lost").await.unwrap();
    town.bob.quietly().comments(&pr, "lost as well").await.unwrap();
    town.bob.comments(&pr, "heard").await.unwrap();
    assert_eq!(mailbox.next().await.payload()["comment"]["body"], "heard");
    let lost = town.gh.world(|world| {
        let mut dropped = world.deliveries().all().iter();
        let found = dropped.find(|it| it.status == DeliveryStatus::Dropped);
        found.unwrap().guid.clone()
    });
    town.gh.redeliver(&lost).unwrap();
    let again = mailbox.next().await;
    assert_eq!(again.guid, lost);
    assert_eq!(again.payload()["comment"]["body"], "lost");
}

#[tokio::test]
async fn webhooks_come_twice_and_late_when_told_to() {
    let town = Town::new().await;
    let mut mailbox = Mailbox::open(&town).await;
    let pr = town.pr("b").await;
    mailbox.names(3).await;
    town.next_webhook(WebhookFault::Duplicate).await;
    town.bob.comments(&pr, "twice").await.unwrap();
    let (first, second) = (mailbox.next().await, mailbox.next().await);
    assert_eq!((&first.guid, &first.body), (&second.guid, &second.body));

    town.next_webhook(WebhookFault::Delay(Duration::from_millis(300))).await;
    town.bob.comments(&pr, "late").await.unwrap();
    town.bob.comments(&pr, "in time").await.unwrap();
    assert_eq!(mailbox.next().await.payload()["comment"]["body"], "in time");
    assert_eq!(mailbox.next().await.payload()["comment"]["body"], "late");
}

#[tokio::test]
async fn what_waits_for_a_receiver_is_sent_when_there_is_one() {
    let town = Town::new().await;
    town.pr("b").await;
    let mut mailbox = Mailbox::open(&town).await;
    assert_eq!(mailbox.names(2).await, ["push", "pull_request.opened"]);
}

#[tokio::test]
async fn queues_reruns_and_edits_are_told_too() {
    let town = Town::new().await;
    let mut mailbox = Mailbox::open(&town).await;
    let pr = town.pr("b").await;
    let review = town.bob.approves(&pr).await.unwrap();
    mailbox.names(4).await;
    town.bob.edits_review(&pr, review, "still fine").await.unwrap();
    assert_eq!(mailbox.next().await.name(), "pull_request_review.edited");
    town.bob.reruns_checks(&pr).await.unwrap();
    assert_eq!(mailbox.next().await.name(), "check_suite.rerequested");
    let name = town.repository.clone();
    let set = move |world: &mut sluice_sim::World| {
        let required_checks = vec!["ci".to_owned()];
        world.require_queue(&name, "main")?;
        world.protect(&name, "main", Some(Protection { required_checks, ..Default::default() }))?;
        let head = world.pull(&Pr::new(name.clone(), 1))?.1.head_oid.clone();
        world.set_status(&name, &head, ("ci", StatusState::Success))
    };
    town.gh.change(set).await.unwrap();
    let group = town.bob.queues(&pr).await.unwrap();
    assert_eq!(mailbox.next().await.name(), "push");
    let asked = mailbox.next().await;
    assert_eq!(asked.name(), "merge_group.checks_requested");
    assert_eq!(asked.payload()["merge_group"]["head_sha"], group.as_str());

    let new = serde_json::json!({"name": "lint", "head_sha": town.head(&pr)});
    town.send(reqwest::Method::POST, "/repos/acme/warehouse/check-runs", &new).await;
    assert_eq!(mailbox.next().await.name(), "check_run.created");
    let (run, name) = (town.gh.pr(&pr).unwrap().checks[0].id, town.repository.clone());
    let bob = sluice_sim::world::Identity::user("Bob");
    town.gh.change(move |world| world.request_action(&bob, &name, (run, "retry"))).await.unwrap();
    let pressed = mailbox.next().await;
    assert_eq!(pressed.name(), "check_run.requested_action");
    assert_eq!(pressed.payload()["requested_action"]["identifier"], "retry");
    let (bob, name) = (sluice_sim::world::Identity::user("Bob"), town.repository.clone());
    let head = town.gh.pr(&pr).unwrap().head;
    let rerun = move |world: &mut sluice_sim::World| world.rerequest(&bob, &name, &head, Some(run));
    town.gh.change(rerun).await.unwrap();
    assert_eq!(mailbox.next().await.name(), "check_run.rerequested");
}

#[tokio::test]
async fn what_becomes_of_a_comment_is_told() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let mut mailbox = Mailbox::open(&town).await;
    mailbox.names(3).await;
    let comment = town.bob.comments(&pr, "hello").await.unwrap();
    assert_eq!(mailbox.next().await.name(), "issue_comment.created");
    town.bob.edits_comment(&pr, comment, "bye").await.unwrap();
    let edited = mailbox.next().await;
    assert_eq!(edited.name(), "issue_comment.edited");
    assert_eq!(edited.payload()["changes"]["body"]["from"], "hello");
    town.bob.deletes_comment(&pr, comment).await.unwrap();
    assert_eq!(mailbox.next().await.name(), "issue_comment.deleted");
}

#[tokio::test]
async fn retargeting_is_an_edit_that_names_the_old_base() {
    let town = Town::new().await;
    let files = [("x.sql", Some("SELECT 1\n"))];
    town.bob.pushes_to_branch(&town.repository, "next", &files).await.unwrap();
    let pr = town.pr("b").await;
    let mut mailbox = Mailbox::open(&town).await;
    mailbox.names(4).await;
    town.alice.retargets(&pr, "next").await.unwrap();
    let edited = mailbox.next().await.payload();
    assert_eq!(edited["action"], "edited");
    assert_eq!(edited["changes"]["base"]["ref"]["from"], "main");
    assert_eq!(edited["pull_request"]["base"]["ref"], "next");
}
