//! The contracts of `Ledger` and `Processed`: who is held to them.

use std::sync::Arc;

use sluice::clock::SystemClock;
use sluice::ledger::{Ledger, MemoryLedger, Processed};
use sluice::names::DeliveryId;
use sluice_service::RecentDeliveries;

use super::contract;
use crate::redis::Corner;

/// Adapters that remember nothing yet.
trait Bench {
    fn ledger(&self) -> &dyn Ledger;
    fn processed(&self) -> &dyn Processed;
}

struct Memory {
    ledger: MemoryLedger,
    processed: RecentDeliveries,
}

impl Memory {
    fn new() -> Self {
        let processed = RecentDeliveries::new(Arc::new(SystemClock));
        Self { ledger: MemoryLedger::default(), processed }
    }
}

impl Bench for Memory {
    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    fn processed(&self) -> &dyn Processed {
        &self.processed
    }
}

struct Redis {
    ledger: sluice_store::RedisLedger,
    processed: sluice_store::RedisProcessed,
    corner: Corner,
}

impl Redis {
    async fn new() -> Self {
        let corner = Corner::new();
        let store = corner.store().await;
        Self { ledger: store.ledger(), processed: store.processed(), corner }
    }
}

impl Bench for Redis {
    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    fn processed(&self) -> &dyn Processed {
        &self.processed
    }
}

macro_rules! ledger {
    ($adapter:ident, $bench:expr) => {
        contract!(
            $adapter,
            $bench,
            [
                a_cleanup_is_undertaken_until_it_is_withdrawn,
                runs_that_ended_are_no_deaths,
                nothing_waits_where_nothing_was_published,
                a_delivery_is_processed_when_it_was_marked,
            ]
        );
    };
}

ledger!(memory, crate::contracts::ledger::Memory::new());
ledger!(redis, crate::contracts::ledger::Redis::new().await);

mod clauses {
    use sluice::names::{PrNumber, ProjectName};
    use sluice::queue::Route;

    use super::{Bench, delivery};

    pub(super) async fn a_cleanup_is_undertaken_until_it_is_withdrawn(bench: &impl Bench) {
        let ledger = bench.ledger();
        let [lake, warehouse] = ["lake", "warehouse"].map(|name| ProjectName::new(name).unwrap());
        ledger.undertake_cleanup(&lake, PrNumber(7)).await;
        ledger.undertake_cleanup(&lake, PrNumber(7)).await;
        assert!(ledger.is_cleanup_undertaken(&lake, PrNumber(7)).await);
        assert!(!ledger.is_cleanup_undertaken(&lake, PrNumber(70)).await);
        assert!(!ledger.is_cleanup_undertaken(&warehouse, PrNumber(7)).await);
        ledger.withdraw_cleanup(&lake, PrNumber(7)).await;
        assert!(!ledger.is_cleanup_undertaken(&lake, PrNumber(7)).await);
    }

    pub(super) async fn runs_that_ended_are_no_deaths(bench: &impl Bench) {
        let ledger = bench.ledger();
        for run in ["a", "b", "c"] {
            assert_eq!(ledger.begin("message", run).await, Some(0));
            ledger.end("message", run).await;
        }
        ledger.end("message", "never began").await;
        assert_eq!(ledger.begin("message", "d").await, Some(0));
    }

    pub(super) async fn nothing_waits_where_nothing_was_published(bench: &impl Bench) {
        assert_eq!(bench.ledger().oldest(&Route::Gate).await, None);
    }

    pub(super) async fn a_delivery_is_processed_when_it_was_marked(bench: &impl Bench) {
        let processed = bench.processed();
        assert!(!processed.contains(&delivery("a")).await);
        processed.mark(&[]).await;
        processed.mark(&["a", "b"].map(delivery)).await;
        processed.mark(&[delivery("a")]).await;
        assert!(processed.contains(&delivery("a")).await);
        assert!(processed.contains(&delivery("b")).await);
        assert!(!processed.contains(&delivery("c")).await);
    }
}

fn delivery(id: &str) -> DeliveryId {
    DeliveryId::new(id).unwrap()
}

#[tokio::test]
async fn what_died_is_counted_and_what_ended_or_lost_its_message_is_not() {
    let redis = Redis::new().await;
    let ledger = redis.ledger();
    // Two processes die with the message; what happens to another message is another's.
    assert_eq!(ledger.begin("poison", "first").await, Some(0));
    assert_eq!(ledger.begin("other", "first").await, Some(0));
    assert_eq!(ledger.begin("poison", "second").await, Some(1));
    // A third loses it to a fourth, and says so; its process lives.
    assert_eq!(ledger.begin("poison", "third").await, Some(2));
    ledger.end("poison", "third").await;
    assert_eq!(ledger.begin("poison", "fourth").await, Some(2));
    assert_eq!(ledger.begin("poison", "fourth").await, Some(2), "the same run is not another");
    ledger.end("poison", "fourth").await;
    assert_eq!(ledger.begin("other", "fifth").await, Some(1));
}

#[tokio::test]
async fn nothing_that_is_remembered_stays_for_ever() {
    let redis = Redis::new().await;
    let project = sluice::names::ProjectName::new("lake").unwrap();
    redis.ledger.undertake_cleanup(&project, sluice::names::PrNumber(7)).await;
    redis.processed.mark(&[delivery("a")]).await;
    for run in 0..100 {
        redis.ledger.begin("poison", &run.to_string()).await;
    }
    let mut connection = redis.corner.connection();
    let mut left = |name: &str| {
        let key = format!("{}:{name}", redis.corner.settings.key_prefix);
        deadpool_redis::redis::cmd("TTL").arg(key).query::<i64>(&mut connection).unwrap()
    };
    const DAY: i64 = 24 * 3600;
    assert!((6 * DAY..=7 * DAY).contains(&left("cleanup:lake:7")));
    assert!((2 * DAY..=3 * DAY).contains(&left("delivery:a")));
    assert!((2 * DAY..=3 * DAY).contains(&left("runs:poison")));
    assert!(redis.ledger.begin("poison", "last").await.unwrap() <= 16, "without end");
}
