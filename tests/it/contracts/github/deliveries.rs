//! Webhooks that GitHub could not deliver are sent again, and no others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use sluice::github::GitHub;
use sluice_sim::faults::{Answer, Matching};
use sluice_sim::world::{Delivery, DeliveryStatus};
use sluice_sim::{Receiver, StandinConfig};
use sluice_worker::github::{Auth, SecretString, Settings};
use tokio::net::TcpListener;

use super::town::{Town, settings};

const PATIENCE: Duration = Duration::from_secs(20);

async fn app_town() -> Town {
    let with = |standin: &sluice_sim::Standin| {
        let private_key = SecretString::from(standin.private_key().unwrap());
        let auth = Auth::App { id: StandinConfig::default().app.id, private_key };
        // Links lead to where the API is, behind a prefix.
        Settings { auth, ..settings(standin) }
    };
    Town::around(StandinConfig::default(), with).await
}

/// A receiver that answers so to the first webhooks, and takes the others.
async fn receive(town: &Town, refused: usize, with: StatusCode) {
    let left = Arc::new(AtomicUsize::new(refused));
    let take = move || {
        let less = |left: usize| left.checked_sub(1);
        let is_refused = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        async move { if is_refused { with } else { StatusCode::ACCEPTED } }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    town.standin.deliver_to(Receiver { url, secret: "s".to_owned() });
}

/// The GUIDs of the deliveries that are like this.
fn guids(town: &Town, like: impl Fn(&Delivery) -> bool) -> BTreeSet<String> {
    town.standin.world(|world| {
        let all = world.deliveries().all().iter();
        all.filter(|one| like(one)).map(|one| one.guid.clone()).collect()
    })
}

fn is_taken(delivery: &Delivery) -> bool {
    delivery.status == DeliveryStatus::Answered(202)
}

fn is_of_use(delivery: &Delivery) -> bool {
    matches!(delivery.event.as_str(), "pull_request" | "check_suite" | "issue_comment")
}

#[tokio::test]
async fn what_nobody_took_is_sent_again_under_its_old_id() {
    let town = app_town().await;
    receive(&town, usize::MAX, StatusCode::SERVICE_UNAVAILABLE).await;
    // More than a page of them, with the pushes, which nobody misses.
    for number in 0..30 {
        let pr = town.pr(&format!("orders{number}")).await;
        town.mallory.comments(&pr, "/deploy").await.unwrap();
    }
    town.standin.until_delivered(PATIENCE).await.unwrap();
    assert!(guids(&town, is_taken).is_empty(), "all were refused");
    assert_eq!(guids(&town, is_of_use).len(), 90);
    assert!(guids(&town, |_| true).len() > 100);
    receive(&town, 0, StatusCode::ACCEPTED).await;
    let (mut since_ms, mut again) = (0, 0);
    for _ in 0..4 {
        let (redelivered, requests) = town.counted(town.github.redeliver(since_ms)).await;
        let redelivered = redelivered.unwrap().unwrap();
        again += redelivered.again;
        assert!(redelivered.again <= 50 && requests <= 56, "{redelivered:?} in {requests}");
        since_ms = redelivered.newest_ms;
        town.standin.until_delivered(PATIENCE).await.unwrap();
    }
    assert_eq!((guids(&town, is_taken), again), (guids(&town, is_of_use), 90));
}

#[tokio::test]
async fn what_was_refused_is_not_sent_again_nor_anything_for_ever() {
    let town = app_town().await;
    receive(&town, 1, StatusCode::UNAUTHORIZED).await;
    town.pr("orders").await;
    town.standin.until_delivered(PATIENCE).await.unwrap();
    assert_eq!(town.github.redeliver(0).await.unwrap().unwrap().again, 0, "it would be again");

    receive(&town, usize::MAX, StatusCode::BAD_GATEWAY).await;
    town.pr("lines").await;
    let mut again = 0;
    for _ in 0..10 {
        town.standin.until_delivered(PATIENCE).await.unwrap();
        again += town.github.redeliver(0).await.unwrap().unwrap().again;
    }
    assert_eq!(again, 2 * 3, "each had its chances");
}

#[tokio::test]
async fn one_that_github_does_not_send_again_holds_back_no_other() {
    let town = app_town().await;
    receive(&town, usize::MAX, StatusCode::BAD_GATEWAY).await;
    town.pr("orders").await;
    town.standin.until_delivered(PATIENCE).await.unwrap();
    receive(&town, 0, StatusCode::ACCEPTED).await;
    let matching = Matching::Rest { method: "POST".to_owned(), path: "attempts".to_owned() };
    let refuse = move |world: &mut sluice_sim::World| {
        world.faults.answer(matching, 1, Answer::Status(422));
        Ok(())
    };
    town.standin.change(refuse).await.unwrap();
    let redelivered = town.github.redeliver(0).await.unwrap().unwrap();
    assert_eq!(redelivered.again, guids(&town, is_of_use).len() - 1);
}

#[tokio::test]
async fn a_token_has_no_such_log() {
    let town = Town::found().await;
    let (redelivered, requests) = town.counted(town.github.redeliver(0)).await;
    assert_eq!((redelivered.unwrap(), requests), (None, 0));
}
