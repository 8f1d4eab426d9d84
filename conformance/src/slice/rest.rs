//! The REST operations that we use, or that the stand-in has, out of GitHub's description.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::openapi::{closed, components, followed, reduced};

/// Method and path, as the description has them.
const WANTED: [&str; 38] = [
    "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "GET /app",
    "GET /app/hook/deliveries",
    "GET /orgs/{org}/teams/{team_slug}/members",
    "GET /rate_limit",
    "GET /repos/{owner}/{repo}",
    "GET /repos/{owner}/{repo}/activity",
    "GET /repos/{owner}/{repo}/branches/{branch}",
    "GET /repos/{owner}/{repo}/check-runs/{check_run_id}",
    "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
    "GET /repos/{owner}/{repo}/commits/{ref}",
    "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
    "GET /repos/{owner}/{repo}/commits/{ref}/check-suites",
    "GET /repos/{owner}/{repo}/contents/{path}",
    "GET /repos/{owner}/{repo}/deployments",
    "GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    "GET /repos/{owner}/{repo}/git/blobs/{file_sha}",
    "GET /repos/{owner}/{repo}/installation",
    "GET /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "GET /repos/{owner}/{repo}/pulls",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/files",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "GET /repos/{owner}/{repo}/rules/branches/{branch}",
    "GET /user",
    "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
    "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "POST /app/hook/deliveries/{delivery_id}/attempts",
    "POST /app/installations/{installation_id}/access_tokens",
    "POST /repos/{owner}/{repo}/check-runs",
    "POST /repos/{owner}/{repo}/deployments",
    "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/reactions",
    "POST /repos/{owner}/{repo}/statuses/{sha}",
    "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
];

/// The operations, and the components that they need.
pub(super) fn slice(document: &Value) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut operations = BTreeMap::new();
    for wanted in WANTED {
        let operation =
            operation(document, wanted).with_context(|| format!("cannot slice {wanted}"))?;
        operations.insert(wanted.to_owned(), operation);
    }
    // What a failure is answered with, where no operation says so.
    let failure = json!({"$ref": "#/$defs/basic-error"});
    let roots: Vec<&Value> = operations.values().chain([&failure]).collect();
    let components = components(document, &roots)?;
    let named = components.into_iter().map(|(name, it)| (super::component(&name), it));
    Ok(operations.into_iter().chain(named).collect())
}

/// `{id, parameters, body, answers}`.
fn operation(document: &Value, wanted: &str) -> anyhow::Result<Value> {
    let (method, path) = wanted.split_once(' ').context("no method")?;
    let described = &document["paths"][path];
    let operation = described.get(method.to_lowercase()).context("GitHub has no such operation")?;
    let shared = [described, operation].into_iter().flat_map(|it| it["parameters"].as_array());
    let parameters = shared.flatten().map(|parameter| {
        let parameter = followed(document, parameter)?;
        Ok(json!({
            "name": parameter["name"],
            "in": parameter["in"],
            "required": parameter["required"] == true,
            "schema": reduced(&parameter["schema"]),
        }))
    });
    let parameters: Vec<Value> = parameters.collect::<anyhow::Result<_>>()?;
    let body = operation.get("requestBody").map(|body| {
        let body = followed(document, body)?;
        let schema = closed(reduced(schema(body).context("a body without a schema")?));
        anyhow::Ok(json!({"required": body["required"] == true, "schema": schema}))
    });
    let mut answers = serde_json::Map::new();
    for (status, answer) in operation["responses"].as_object().context("no answers")? {
        let answer = followed(document, answer)?;
        answers.insert(status.clone(), schema(answer).map_or(Value::Null, reduced));
    }
    let id = &operation["operationId"];
    let body = body.transpose()?;
    Ok(json!({"id": id, "parameters": parameters, "body": body, "answers": answers}))
}

/// The JSON schema of a body or an answer.
fn schema(described: &Value) -> Option<&Value> {
    described["content"]["application/json"].get("schema")
}
