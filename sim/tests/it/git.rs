//! Git over HTTP, spoken in git's own protocol (version 2): what is advertised, what can be
//! fetched, and that nothing can be without credentials or pushed at all.

use reqwest::{Method, Response, StatusCode};
use sluice_sim::PrSpec;

use crate::town::Town;

const REPOSITORY: &str = "/acme/warehouse.git";

impl Town {
    /// Sends a command of protocol version 2, authenticated as git clients are: a password.
    async fn git(&self, token: &str, lines: &[String]) -> Response {
        let packets: String = lines.iter().map(|line| packet(line)).collect();
        self.anonymous(Method::POST, &format!("{REPOSITORY}/git-upload-pack"))
            .basic_auth("x-access-token", Some(token))
            .header("content-type", "application/x-git-upload-pack-request")
            .header("git-protocol", "version=2")
            .body(packets + "0000")
            .send()
            .await
            .unwrap()
    }

    async fn pack_with(&self, oid: &str) -> Vec<u8> {
        let want = ["command=fetch", "", &format!("want {oid}"), "done"].map(str::to_owned);
        let answer = self.git(self.gh.token(), &want).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.unwrap().to_vec()
    }
}

/// A line in git's framing; an empty one is the delimiter.
fn packet(line: &str) -> String {
    if line.is_empty() { "0001".to_owned() } else { format!("{:04x}{line}\n", line.len() + 5) }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn heads_of_pull_requests_are_advertised_and_fetched_by_commit() {
    let town = Town::new().await;
    let pr = town.pr("b").await;
    let old = town.head(&pr);
    town.alice.pushes(&pr, &[("b.sql", Some("SELECT 2\n"))]).await.unwrap();
    let spec = PrSpec::new("fix").file("f.sql", "SELECT 5\n").from_fork("mallory/warehouse");
    let fork = town.mallory.opens_pr(&town.repository, spec).await.unwrap();

    let listed = town.git(town.gh.token(), &["command=ls-refs".to_owned()]).await;
    let listed = listed.text().await.unwrap();
    assert!(listed.contains(&format!("{} refs/heads/b", town.head(&pr))), "{listed}");
    assert!(listed.contains(&format!("{} refs/pull/2/head", town.head(&fork))), "{listed}");
    assert!(!listed.contains("refs/forks"), "{listed}");
    for oid in [old, town.head(&pr), town.head(&fork)] {
        assert!(contains(&town.pack_with(&oid).await, b"PACK"), "{oid}");
    }
    assert!(!contains(&town.pack_with(&"a".repeat(40)).await, b"PACK"), "there is no such commit");
}

#[tokio::test]
async fn nobody_fetches_without_a_valid_token_and_nobody_pushes() {
    let town = Town::new().await;
    let refused = town.git("wrong", &["command=ls-refs".to_owned()]).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(
        refused.headers().contains_key("www-authenticate"),
        "git asks for a password only then"
    );
    let push = format!("{REPOSITORY}/info/refs?service=git-receive-pack");
    let refused = town.request(Method::GET, &push).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let unknown = "/acme/nothing.git/info/refs?service=git-upload-pack";
    let missing = town.request(Method::GET, unknown).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}
