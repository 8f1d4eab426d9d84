//! Lists of open pull requests that are late or half.

use serde_json::{Value, json};
use sluice::github::{GitHub, OpenPulls};
use sluice::names::Repository;

use crate::canned::{sha, suite};
use crate::scripted::{Scripted, data, problem};

/// A list with one open pull request, at head `a`; its newest listed commit is another's.
fn listed(commit: char) -> Value {
    let commit = json!({
        "oid": sha(commit).as_str(),
        "checkSuites": { "nodes": [suite("sluice", 1, "CR_1", "job-1"), null] },
    });
    json!({
        "viewer": { "login": "sluice[bot]" },
        "repository": { "pullRequests": {
            "pageInfo": { "hasNextPage": false, "endCursor": "ignored" },
            "nodes": [null, {
                "number": 7, "headRefOid": sha('a').as_str(), "baseRefName": "main",
                "isDraft": false, "isCrossRepository": false, "reviews": null,
                "commits": { "nodes": [{ "commit": commit }] },
            }],
        } },
    })
}

async fn read(answer: &Value) -> OpenPulls {
    let town = Scripted::says(vec![data(answer)]).await;
    let repository = Repository::new("acme/data").unwrap();
    let page = town.github.open_pulls(&repository, None).await.unwrap();
    assert_eq!(town.finish().len(), 1);
    page
}

#[tokio::test]
async fn checks_of_the_commit_before_are_not_the_heads() {
    let page = read(&listed('a')).await;
    assert_eq!((page.pulls[0].checks.len(), page.next), (1, None));
    let check = &page.pulls[0].checks[0];
    assert_eq!((check.started_ms, check.completed_ms), (None, None), "GitHub did not say");
    assert_eq!(read(&listed('b')).await.pulls[0].checks, [], "the list lags behind a push");
}

#[tokio::test]
async fn merged_ones_that_cannot_be_listed_keep_nobody_from_the_open_ones() {
    let mut answer = listed('a');
    answer["repository"]["merged"] = Value::Null;
    let late = problem(&answer, "TIMEOUT", &["repository", "merged"], "Something went wrong");
    let town = Scripted::says(vec![late]).await;
    let repository = Repository::new("acme/data").unwrap();
    let page = town.github.open_pulls(&repository, None).await.unwrap();
    assert_eq!((page.pulls.len(), page.merged.len()), (1, 0));
    town.finish();
}
