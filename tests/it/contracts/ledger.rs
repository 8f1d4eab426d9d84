//! The contracts of `Ledger` and `Processed`: who is held to them.

use std::sync::Arc;
use std::time::Duration;

use sluice::clock::SystemClock;
use sluice::ledger::{Ledger, MemoryLedger, Processed};
use sluice::names::{DeliveryId, PrNumber, ProjectName};
use sluice_service::RecentDeliveries;

use super::contract;
use crate::redis::Corner;

/// A bound against hanging.
const PATIENCE: Duration = Duration::from_secs(30);

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
                an_event_keeps_its_number_and_the_next_has_a_higher_one,
                what_was_looked_at_is_what_was_heard_before,
                a_push_is_heard_of_and_seen_once,
                a_head_is_seen_until_another_one_is,
                a_delivery_is_processed_when_it_was_marked,
            ]
        );
    };
}

ledger!(memory, crate::contracts::ledger::Memory::new());
ledger!(redis, crate::contracts::ledger::Redis::new().await);

mod clauses {
    use sluice::names::{PrNumber, ProjectName, Sha};
    use sluice::queue::Route;

    use super::{Bench, PATIENCE, delivery};

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

    pub(super) async fn an_event_keeps_its_number_and_the_next_has_a_higher_one(
        bench: &impl Bench,
    ) {
        let ledger = bench.ledger();
        let project = ProjectName::new("lake").unwrap();
        let hear =
            async |pr, message| ledger.hear((&project, PrNumber(pr)), message, None).await.unwrap();
        let (first, lately) = hear(7, "a").await;
        assert_eq!((lately.heard, lately.looked), (first, 0));
        assert_eq!((lately.head, lately.pushes), (None, vec![]));
        let (second, lately) = hear(7, "b").await;
        assert!(second > first);
        assert_eq!(lately.heard, second);
        let (again, lately) = hear(7, "a").await;
        assert_eq!((again, lately.heard), (first, second));
        let (other, lately) = hear(70, "a").await;
        assert_eq!(lately.heard, other, "every pull request has its own");
        assert_eq!(ledger.lately(&project, PrNumber(7)).await.unwrap().heard, second);
    }

    pub(super) async fn what_was_looked_at_is_what_was_heard_before(bench: &impl Bench) {
        let ledger = bench.ledger();
        let project = ProjectName::new("lake").unwrap();
        let looked = async || ledger.lately(&project, PrNumber(7)).await.unwrap().looked;
        let hear = async |message| ledger.hear((&project, PrNumber(7)), message, None).await;
        assert_eq!(looked().await, 0);
        ledger.looked(&project, PrNumber(7), 5).await;
        assert_eq!(looked().await, 0, "nothing was heard");
        let [(first, _), (second, _)] = [hear("a").await, hear("b").await].map(Option::unwrap);
        ledger.looked(&project, PrNumber(7), second).await;
        assert_eq!(looked().await, second);
        ledger.looked(&project, PrNumber(7), first).await;
        assert_eq!(looked().await, second, "a slow look takes nothing back");
        ledger.looked(&project, PrNumber(7), second + 1_000_000).await;
        assert_eq!(looked().await, second, "nobody has heard of that");
        assert_eq!(ledger.lately(&project, PrNumber(70)).await.unwrap().looked, 0);
    }

    pub(super) async fn a_push_is_heard_of_and_seen_once(bench: &impl Bench) {
        let ledger = bench.ledger();
        let project = ProjectName::new("lake").unwrap();
        let pull = (&project, PrNumber(7));
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|digit| Sha::new(digit.repeat(40)).unwrap());
        let hear = async |message, head| {
            ledger.hear(pull, message, Some(head)).await.unwrap().1.pushes.len()
        };
        let see = async |head| {
            ledger.see(&project, PrNumber(7), head).await;
            ledger.lately(&project, PrNumber(7)).await.unwrap().pushes.len()
        };
        assert_eq!(hear("1", &a).await, 1);
        assert_eq!(see(&a).await, 1, "it was heard of");
        assert_eq!(hear("2", &a).await, 1, "it was seen");
        assert_eq!(hear("3", &b).await, 2);
        assert_eq!(hear("3", &b).await, 2, "it came again");
        assert_eq!(see(&c).await, 3);
        assert_eq!(hear("4", &d).await, 3, "no more are remembered");
        let pushes = ledger.lately(&project, PrNumber(7)).await.unwrap().pushes;
        assert!(pushes.is_sorted(), "the newest first: {pushes:?}");
    }

    pub(super) async fn a_head_is_seen_until_another_one_is(bench: &impl Bench) {
        let ledger = bench.ledger();
        let project = ProjectName::new("lake").unwrap();
        let [a, b] = ["a", "b"].map(|digit| Sha::new(digit.repeat(40)).unwrap());
        let seen = async || ledger.lately(&project, PrNumber(7)).await.unwrap().head.unwrap();
        ledger.see(&project, PrNumber(7), &a).await;
        let first = seen().await;
        assert_eq!(first.sha, a);
        let older = async {
            while seen().await.since <= first.since {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, older).await.expect("it grows older");
        let before = seen().await.since;
        ledger.see(&project, PrNumber(7), &a).await;
        assert!(seen().await.since >= before, "the same one is not new");
        let (_, lately) = ledger.hear((&project, PrNumber(7)), "1", Some(&b)).await.unwrap();
        assert_eq!((lately.head.unwrap().sha, lately.named), (a, Some(b.clone())));
        ledger.see(&project, PrNumber(7), &b).await;
        assert_eq!(seen().await.sha, b);
        assert_eq!(ledger.lately(&project, PrNumber(70)).await.unwrap().head, None);
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
    let project = ProjectName::new("lake").unwrap();
    redis.ledger.undertake_cleanup(&project, PrNumber(7)).await;
    for event in 0..1100 {
        redis.ledger.hear((&project, PrNumber(7)), &event.to_string(), None).await;
    }
    redis.processed.mark(&[delivery("a")]).await;
    for run in 0..100 {
        redis.ledger.begin("poison", &run.to_string()).await;
    }
    let mut connection = redis.corner.connection();
    let events = format!("{}:events:lake:7", redis.corner.settings.key_prefix);
    let events = deadpool_redis::redis::cmd("ZCARD").arg(events).query::<u64>(&mut connection);
    assert_eq!(events.unwrap(), 1000);
    let mut left = |name: &str| {
        let key = format!("{}:{name}", redis.corner.settings.key_prefix);
        deadpool_redis::redis::cmd("TTL").arg(key).query::<i64>(&mut connection).unwrap()
    };
    const DAY: i64 = 24 * 3600;
    assert!((6 * DAY..=7 * DAY).contains(&left("cleanup:lake:7")));
    assert!((2 * DAY..=3 * DAY).contains(&left("delivery:a")));
    assert!((2 * DAY..=3 * DAY).contains(&left("runs:poison")));
    assert!((DAY / 2..=DAY).contains(&left("pull:lake:7")));
    assert!((DAY / 2..=DAY).contains(&left("events:lake:7")));
    assert!(redis.ledger.begin("poison", "last").await.unwrap() <= 16, "without end");
}

#[tokio::test]
async fn a_redis_that_has_forgotten_gives_higher_numbers_all_the_same() {
    let redis = Redis::new().await;
    let project = ProjectName::new("lake").unwrap();
    let hear =
        async |message| redis.ledger.hear((&project, PrNumber(7)), message, None).await.unwrap();
    hear("a").await;
    let (before, _) = hear("b").await;
    let mut connection = redis.corner.connection();
    for name in ["pull:lake:7", "events:lake:7"] {
        let key = format!("{}:{name}", redis.corner.settings.key_prefix);
        deadpool_redis::redis::cmd("DEL").arg(key).query::<u64>(&mut connection).unwrap();
    }
    // Whoever looked before has not looked since.
    redis.ledger.looked(&project, PrNumber(7), before).await;
    let (number, lately) = hear("c").await;
    assert!(number > before, "{number} after {before}");
    assert_eq!(lately.looked, 0);
}
