//! GitHub's answers about one pull request, as it gives them.

use serde_json::{Value, json};
use sluice::github::{Ask, Attempt, CheckStatus, CheckWrite, Report};
use sluice::names::{JobId, NodeId, PrNumber, Repository, Sha};
use sluice::outcome::Conclusion;

pub(crate) const MARKER: &str = "<!-- sluice:warehouse -->";

/// A commit's id, of one digit.
pub(crate) fn sha(digit: char) -> Sha {
    Sha::new(digit.to_string().repeat(40)).unwrap()
}

/// A node's id.
pub(crate) fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

/// What is asked in most tests.
pub(crate) fn ask() -> Ask {
    Ask {
        repository: Repository::new("acme/data").unwrap(),
        pr: PrNumber(7),
        path: "warehouse".to_owned(),
        marker: MARKER.to_owned(),
        command: None,
        files: false,
        owners: false,
        job: None,
        urgent: false,
    }
}

/// An object by its id.
pub(crate) fn object(digit: char) -> Value {
    json!({ "oid": sha(digit).as_str() })
}

/// A check suite of an App, with one run in it.
pub(crate) fn suite(slug: &str, app: u64, id: &str, external_id: &str) -> Value {
    json!({
        "app": { "slug": slug, "databaseId": app },
        "checkRuns": { "nodes": [{
            "id": id, "name": "SQLMesh - Linter", "externalId": external_id,
            "status": "COMPLETED", "conclusion": "SUCCESS",
            "title": "Linter passed", "summary": "All well.",
        }] },
    })
}

/// Contexts that are all on one page.
pub(crate) fn contexts(nodes: &Value) -> Value {
    let page_info = json!({ "hasNextPage": false, "endCursor": null });
    json!({ "contexts": { "pageInfo": page_info, "nodes": nodes } })
}

/// A comment.
pub(crate) fn comment(id: &str, body: &str, ours: bool) -> Value {
    json!({ "id": id, "body": body, "viewerDidAuthor": ours })
}

/// A conversation's oldest comments, when there are no others.
fn oldest(nodes: &Value) -> Value {
    let page_info = json!({ "hasNextPage": false, "endCursor": null });
    json!({ "totalCount": 0, "pageInfo": page_info, "nodes": nodes })
}

/// A whole answer to the facts query: open, approved by bob, no checks.
pub(crate) fn facts() -> Value {
    json!({
        "viewer": { "login": "sluice[bot]" },
        "repository": { "id": "R_1", "pullRequest": {
            "id": "PR_7", "number": 7, "title": "Add a model", "isDraft": false,
            "isCrossRepository": false, "author": { "login": "alice" },
            "headRefName": "feature/a b", "baseRefName": "main", "baseRefOid": sha('0').as_str(),
            "mergeStateStatus": "CLEAN", "reviewDecision": "APPROVED",
            "state": "OPEN", "headRefOid": sha('a').as_str(), "mergedInto": "main",
            "mergeCommit": null,
            "oldest": oldest(&json!([])), "newest": { "nodes": [] },
            "baseRef": {
                "target": {
                    "oid": sha('b').as_str(), "tree": object('1'), "folder": object('2'),
                    "config_yaml": { "oid": sha('3').as_str(), "mode": 0o100_644 },
                    "config_py": null,
                },
                "refUpdateRule": null, "rules": { "nodes": [] },
            },
            "reviews": { "nodes": [
                { "state": "APPROVED", "author": { "login": "bob" }, "commit": object('a') },
            ] },
            "commits": { "nodes": [{ "commit": {
                "oid": sha('a').as_str(), "statusCheckRollup": null, "checkSuites": { "nodes": [] },
            } }] },
        } },
    })
}

/// The pull request within that answer.
pub(crate) fn pr(facts: &mut Value) -> &mut Value {
    &mut facts["repository"]["pullRequest"]
}

/// The head commit within that answer.
pub(crate) fn head(facts: &mut Value) -> &mut Value {
    &mut pr(facts)["commits"]["nodes"][0]["commit"]
}

/// An answer to the question what was written.
pub(crate) fn written(suites: &Value, comments: &Value) -> Value {
    json!({
        "viewer": { "login": "sluice[bot]" },
        "repository": {
            "object": {
                "oid": sha('a').as_str(), "statusCheckRollup": null,
                "checkSuites": { "nodes": suites },
            },
            "pullRequest": { "oldest": oldest(comments), "newest": { "nodes": comments } },
        },
    })
}

/// A report with one check that is as `suite` has it, and nothing else.
pub(crate) fn report() -> Report {
    Report {
        ask: ask(),
        repository_id: node("R_1"),
        pr_id: node("PR_7"),
        head: sha('a'),
        checks: vec![CheckWrite {
            id: None,
            name: "SQLMesh - Linter".to_owned(),
            external_id: JobId::new("job-1").unwrap(),
            status: CheckStatus::Completed(Conclusion::Success),
            title: "Linter passed".to_owned(),
            summary: "All well.".to_owned(),
            details_url: None,
        }],
        comment: None,
        eyes: None,
        attempt: Attempt::First,
    }
}
