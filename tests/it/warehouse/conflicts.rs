//! What the bridge makes of PostgreSQL's and SQLMesh's ways to say that somebody else was there.

use sluice::engine::{EngineError, Session};
use sluice::names::Environment;
use tokio::sync::watch;

use async_trait::async_trait;
use sluice::engine::{Fence, Progress, Watch};

use super::shop::{Dance, EVENTS, Going, Shop, plan};

fn conflict(error: EngineError) -> String {
    match error {
        EngineError::Conflict(why) => why,
        other => panic!("no conflict: {other:?}"),
    }
}

#[tokio::test]
async fn two_that_record_one_snapshot_at_once_are_a_conflict() {
    let shop = Shop::new().await;
    let workers = [shop.worker(), shop.worker()];
    for worker in &workers {
        worker.writes("models/events.sql", EVENTS);
    }
    let (mut one, mut other) = tokio::join!(workers[0].loaded(), workers[1].loaded());
    let plans = [
        plan(&mut one, &Environment::new("shop_7").unwrap()).await,
        plan(&mut other, &Environment::new("shop_8").unwrap()).await,
    ];
    // Both have looked whether it is there already, and write.
    shop.database.ask(&[
        "CREATE FUNCTION public.meets() RETURNS TRIGGER LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM public.meet(); RETURN NEW; END $$",
        "CREATE TRIGGER meets BEFORE INSERT ON sqlmesh._snapshots \
         FOR EACH STATEMENT EXECUTE FUNCTION public.meets()",
    ]);
    shop.invites(2);
    let dance = Dance::before("create_snapshot_records");
    let [first, second] = dance.apply((&mut one, &plans[0]), (&mut other, &plans[1])).await;
    let (won, lost) = match (first, second) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("one wins, one loses: {both:?}"),
    };
    assert!(won.changed);
    let why = conflict(lost);
    assert!(why.contains("_snapshots_pkey"), "{why}");
}

/// Waits before a stage until it is let go, and says when it is there.
struct Held {
    stage: &'static str,
    there: watch::Sender<bool>,
    go: watch::Sender<bool>,
}

#[async_trait]
impl Watch for Held {
    async fn may_start(&self, stage: &str) -> Fence {
        if stage == self.stage {
            self.there.send_replace(true);
            self.go.subscribe().wait_for(|go| *go).await.unwrap();
        }
        Fence::Go
    }

    fn progress(&self, _: Progress) {}
}

/// The first apply stands before a stage while the second one does all of its own.
async fn overtaken_before(stage: &'static str) -> (Shop, EngineError, String) {
    let shop = Shop::new().await;
    let workers = [shop.worker(), shop.worker()];
    workers[0].writes("models/one.sql", "MODEL (name shop.one, kind FULL); SELECT 1 AS id");
    workers[1].writes("models/other.sql", "MODEL (name shop.other, kind FULL); SELECT 2 AS id");
    let mut one = workers[0].loaded().await;
    let prod = Environment::prod();
    let plan_of_one = plan(&mut one, &prod).await;
    let held = Held { stage, there: watch::Sender::new(false), go: watch::Sender::new(false) };
    let overtaking = async {
        held.there.subscribe().wait_for(|there| *there).await.unwrap();
        let mut other = workers[1].loaded().await;
        let plan_of_other = plan(&mut other, &prod).await;
        let applied = other.apply(&plan_of_other, &Going).await.unwrap();
        held.go.send_replace(true);
        applied.plan_id.unwrap()
    };
    let (overtaken, newest) = tokio::join!(one.apply(&plan_of_one, &held), overtaking);
    let state = one.environment(&prod).await.unwrap().unwrap();
    assert_eq!(state.plan_id, newest, "prod stands at the other's plan");
    (shop, overtaken.unwrap_err(), newest)
}

#[tokio::test]
async fn prod_that_changed_before_the_promotion_is_caught_before_it() {
    let (_shop, error, newest) = overtaken_before("environment_record_update").await;
    let why = conflict(error);
    assert!(why.contains(&newest) && why.contains("stopped before"), "{why}");
}

#[tokio::test]
async fn prod_that_changed_after_the_promotion_is_a_conflict_too() {
    let (_shop, error, _) = overtaken_before("finalize_environment").await;
    let why = conflict(error);
    assert!(why.starts_with("Another plan ("), "{why}");
}
