//! The App's log of webhooks: newest first, page by page with a cursor, and what is sent again.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::Reply;
use crate::shape;
use crate::world::{Delivery, DeliveryStatus, World, WorldError};

/// GitHub's page sizes.
const DEFAULT_PER_PAGE: usize = 30;
const MOST_PER_PAGE: usize = 100;

pub(super) fn list(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let per_page = call.query("per_page").and_then(|text| text.parse().ok());
    let per_page = per_page.unwrap_or(DEFAULT_PER_PAGE).clamp(1, MOST_PER_PAGE);
    let before = match call.query("cursor").map(|cursor| cursor.strip_prefix("v1_")) {
        None => u64::MAX,
        Some(cursor) => {
            let cursor = cursor.and_then(|cursor| cursor.parse().ok());
            cursor.ok_or_else(|| WorldError::Unprocessable("cursor".to_owned()))?
        }
    };
    let sent = |one: &&Delivery| {
        matches!(one.status, DeliveryStatus::Answered(_) | DeliveryStatus::Failed(_))
            && one.sequence < before
    };
    let mut page: Vec<&Delivery> =
        world.deliveries().all().iter().rev().filter(sent).take(per_page + 1).collect();
    let more = page.len() > per_page;
    page.truncate(per_page);
    let next = page.last().filter(|_| more).map(|last| {
        let url = world.url();
        let cursor = last.sequence;
        format!("<{url}/app/hook/deliveries?per_page={per_page}&cursor=v1_{cursor}>; rel=\"next\"")
    });
    Ok(Reply::ok(page.into_iter().map(|one| entry(world, one)).collect()).with_link(next))
}

pub(super) fn send_again(world: &mut World, call: &Call) -> Result<Reply, WorldError> {
    let (delivery, now) = (call.number("delivery")?, world.now());
    world.deliveries_mut().attempt_again(delivery, now)?;
    Ok(Reply::accepted(json!({})))
}

fn entry(world: &World, delivery: &Delivery) -> Value {
    let payload: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
    let (code, status) = match &delivery.status {
        DeliveryStatus::Answered(code) if *code < 300 => (*code, "OK".to_owned()),
        DeliveryStatus::Answered(code) => (*code, format!("Invalid HTTP Response: {code}")),
        _ => (0, "failed to connect to host".to_owned()),
    };
    let installation = payload["installation"]["id"].as_u64();
    json!({
        "id": delivery.sequence,
        "guid": delivery.guid,
        "delivered_at": shape::time(delivery.at),
        "redelivery": delivery.redelivery,
        "duration": 0.1,
        "status": status,
        "status_code": code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": installation.unwrap_or(world.app().installation),
        "repository_id": payload["repository"]["id"],
        "throttled_at": null,
    })
}
