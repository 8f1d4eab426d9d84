//! Messages that no worker can run, and one that kills whoever runs it.

use sluice::queue::Route;
use sluice_chaos::history::{Happened, Line};

use crate::{count, finish_with, services, town};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_run_is_put_aside_and_the_rest_goes_on() {
    let services = services().await;
    let town = town(&services, |_| {}).await;
    for bytes in [&b"{not json"[..], br#"{"v": 2, "job": "from the future"}"#] {
        town.queue.publish_bytes(&Route::Gate, bytes.to_vec()).await.unwrap();
    }
    let poison = town.opens("poison", "SELECT 1 -- kills its worker\n").await.unwrap();
    let other = town.gated("other", "SELECT 1 AS other\n").await.unwrap();
    town.carol.approves(&other).await.unwrap();
    town.until_deployed(&other).await.unwrap();
    town.until_quiet().await.unwrap();
    assert!(town.github.pr(&poison).unwrap().merged_as.is_none());
    let ended = |line: &Line| matches!(line.what, Happened::WorkerEnded { .. });
    assert_eq!(count(&town, ended), 2, "it ended two workers, and no third one");
    let reasons =
        ["not a job", "message version 2 is not 1", "poison: it ended 2 worker processes"];
    finish_with(town, &reasons).await;
}
