//! What a pull request may cost: GitHub allows 5,000 requests an hour, for all of them together.

use std::time::Duration;

use crate::town::{Setup, TAXED, Town};

#[tokio::test]
async fn the_whole_story_of_a_change_takes_at_most_15_requests() {
    let setup = Setup { report_every: Duration::from_millis(1500), ..Setup::default() };
    let town = Town::of(setup).await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    let gated = town.requests();
    assert!(gated.len() <= 8, "to open and gate it:\n{}", gated.join("\n"));
    town.carol.approves(&pr).await.unwrap();
    town.until_deployed(&pr).await;
    town.until_quiet().await;
    let all = town.requests();
    let list = all.join("\n");
    // What GitHub's history is told counts for the limit of another API.
    let (told, asked): (Vec<_>, Vec<_>) =
        all.iter().partition(|request| request.contains("/deployments"));
    assert!(asked.len() <= 15, "{} requests, {} of them to gate:\n{list}", all.len(), gated.len());
    assert_eq!(told.len(), 3, "{list}");
    // The look that finds it approved reads and says so; the deploy with its merge and its cleanup
    // is the rest. The merge's webhook reads once where it is faster than prod is given back.
    assert!(all.len() - gated.len() <= 2 + 8 + 1, "{list}");
    town.finish().await;
}

#[tokio::test]
async fn an_approval_of_a_green_head_takes_at_most_3_requests() {
    let town = Town::start().await;
    let pr = town.gated_pr("add-tax", "revenue", TAXED).await;
    // An approval that starts no deploy: the looking alone is counted.
    let before = town.requests().len();
    town.mallory.approves(&pr).await.unwrap();
    town.until_quiet().await;
    let made = &town.requests()[before..];
    assert!(made.len() <= 3, "{} requests:\n{}", made.len(), made.join("\n"));
    assert_eq!(town.warehouse.calls("open"), 1, "no Python but the gate's");
    town.finish().await;
}
