//! The webhooks that the stand-in sends, out of GitHub's description.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::openapi::{components, reduced};

/// Event and action.
const WANTED: [(&str, &str); 21] = [
    ("check_run", "completed"),
    ("check_run", "created"),
    ("check_run", "requested_action"),
    ("check_run", "rerequested"),
    ("check_suite", "requested"),
    ("check_suite", "rerequested"),
    ("issue_comment", "created"),
    ("issue_comment", "deleted"),
    ("issue_comment", "edited"),
    ("merge_group", "checks_requested"),
    ("pull_request", "closed"),
    ("pull_request", "edited"),
    ("pull_request", "opened"),
    ("pull_request", "ready_for_review"),
    ("pull_request", "reopened"),
    ("pull_request", "synchronize"),
    ("pull_request_review", "dismissed"),
    ("pull_request_review", "edited"),
    ("pull_request_review", "submitted"),
    ("push", ""),
    ("status", ""),
];

/// The webhooks, and the components that they need.
pub(super) fn slice(document: &Value) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut webhooks = BTreeMap::new();
    for (event, action) in WANTED {
        let name = format!("{event} {action}").trim_end().to_owned();
        let key = name.replace(['_', ' '], "-");
        let described = &document["webhooks"][&key]["post"];
        let body = &described["requestBody"]["content"]["application/json"]["schema"];
        anyhow::ensure!(body.is_object(), "GitHub has no webhook {key}");
        let parameters = described["parameters"].as_array().context("a webhook without headers")?;
        let headers = parameters.iter().filter(|it| it["in"] == "header" && it["required"] == true);
        let headers: Vec<&Value> = headers.map(|header| &header["name"]).collect();
        webhooks.insert(name, json!({"headers": headers, "payload": reduced(body)}));
    }
    let roots: Vec<&Value> = webhooks.values().collect();
    let components = components(document, &roots)?;
    let named = components.into_iter().map(|(name, it)| (super::component(&name), it));
    Ok(webhooks.into_iter().chain(named).collect())
}
