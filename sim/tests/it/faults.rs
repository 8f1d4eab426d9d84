//! Faults: each is set as a field and spoils exactly what it says.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sluice_sim::faults::{Answer, Faults, Matching, MergeFault};

use crate::town::Town;

const COMMENTS: &str = "/repos/acme/warehouse/issues/1/comments";

impl Town {
    async fn spoil(&self, spoil: impl FnOnce(&mut Faults) + Send + 'static) {
        self.gh
            .change(|world| {
                spoil(&mut world.faults);
                Ok(())
            })
            .await
            .unwrap();
    }
}

fn comments() -> Matching {
    Matching::Rest { method: "POST".to_owned(), path: "/comments".to_owned() }
}

#[tokio::test]
async fn an_answer_is_lost_before_or_after_the_effect() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let body = json!({"body": "hello"});
    town.spoil(|faults| faults.answer(comments(), 2, Answer::Status(502))).await;
    town.spoil(|faults| faults.answer(comments(), 1, Answer::StatusAfterEffect(500))).await;
    for (status, so_far) in [(502, 0), (502, 0), (500, 1), (201, 2)] {
        assert_eq!(town.send(Method::POST, COMMENTS, &body).await.0, status);
        assert_eq!(town.gh.pr(&pr).unwrap().comments.len(), so_far);
        assert_eq!(town.get(COMMENTS).await.0, 200, "only the method that was meant");
    }
}

#[tokio::test]
async fn limits_come_with_and_without_advice() {
    let town = Town::new().await;
    let limited = |status, retry_after| Answer::RateLimited { status, retry_after };
    let advice = Some(Duration::from_secs(7));
    town.spoil(move |faults| faults.answer(Matching::Any, 1, limited(429, advice))).await;
    town.spoil(move |faults| faults.answer(Matching::Any, 1, limited(403, None))).await;
    let first = town.request(Method::GET, "/repos/acme/warehouse").send().await.unwrap();
    assert_eq!(first.status(), 429);
    assert_eq!(first.headers()["retry-after"], "7");
    let second = town.request(Method::GET, "/repos/acme/warehouse").send().await.unwrap();
    assert_eq!(second.status(), 403);
    assert!(!second.headers().contains_key("retry-after"));

    let matching = Matching::GraphQl("viewer".to_owned());
    town.spoil(move |faults| faults.answer(matching, 1, Answer::GraphQlRateLimited)).await;
    let query = "query Who { viewer { login } }";
    let answer = town.graphql(query, Value::Null).await;
    assert_eq!(answer["errors"][0]["type"], "RATE_LIMITED");
    town.data(query, Value::Null).await;
}

#[tokio::test]
async fn the_hourly_budget_runs_out() {
    let town = Town::new().await;
    town.gh
        .change(|world| {
            world.rate_limit().used = 4_999;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(town.get("/repos/acme/warehouse").await.0, 200);
    let (status, body) = town.get("/repos/acme/warehouse").await;
    assert_eq!(status, 403);
    assert!(body["message"].as_str().unwrap().contains("rate limit"));
    assert_eq!(town.get("/rate_limit").await.0, 200, "asking for the limit is free");
}

#[tokio::test]
async fn a_slow_answer_is_the_right_one() {
    let town = Town::new().await;
    let slow = Answer::Slow(Duration::from_millis(200));
    town.spoil(move |faults| faults.answer(Matching::Any, 1, slow)).await;
    let request = || town.request(Method::GET, "/repos/acme/warehouse");
    let hasty = request().timeout(Duration::from_millis(20)).send().await;
    assert!(hasty.unwrap_err().is_timeout());
    town.spoil(move |faults| faults.answer(Matching::Any, 1, slow)).await;
    assert_eq!(request().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn merges_fail_for_a_moment() {
    let town = Town::new().await;
    town.pr("b").await;
    town.spoil(|faults| {
        faults.merges.extend([MergeFault::BaseModified, MergeFault::HeadModified]);
    })
    .await;
    let path = "/repos/acme/warehouse/pulls/1/merge";
    for status in [405, 409, 200] {
        assert_eq!(town.send(Method::PUT, path, &json!({})).await.0, status);
    }
}
