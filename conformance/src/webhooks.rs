//! Webhooks, held against GitHub's OpenAPI description: headers and payloads.

use std::sync::LazyLock;

use serde_json::Value;
use sluice_sim::Webhook;

use crate::described::Described;
use crate::schema::problems;

/// What is described of webhooks.
pub(crate) static DESCRIBED: LazyLock<Described> =
    LazyLock::new(|| Described::new(include_str!("../descriptions/webhooks.txt")));

/// The event with its action, and what is wrong with the webhook.
pub(crate) fn judge(webhook: &Webhook<'_>) -> (String, Vec<String>) {
    let payload: Value = match serde_json::from_slice(webhook.payload) {
        Ok(payload) => payload,
        Err(error) => return (webhook.event.to_owned(), vec![error.to_string()]),
    };
    let action = payload["action"].as_str().unwrap_or_default();
    let name = format!("{} {action}", webhook.event).trim_end().to_owned();
    let Some(described) = DESCRIBED.get(&name) else {
        return (name, vec!["GitHub has no such webhook (that we describe)".to_owned()]);
    };
    let headers = described["headers"].as_array().into_iter().flatten();
    let is_missing = |name: &&str| !webhook.headers.contains_key(*name);
    let missing = headers.filter_map(Value::as_str).filter(is_missing);
    let mut found: Vec<String> = missing.map(|it| format!("the header {it} is missing")).collect();
    found.extend(problems(&DESCRIBED, &described["payload"], &payload));
    (name, found)
}
