//! The contract of the `Queue` port: who is held to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sluice::clock::manual::ManualClock;
use sluice::queue::dead::DeadLetters;
use sluice::queue::memory::MemoryQueue;
use sluice::queue::{Queue, RetryPolicy, Route};

use super::contract;

pub(crate) mod broker;
mod clauses;

/// An adapter on the bench, with nothing in it.
#[async_trait]
trait Bench: Send + Sync {
    /// The port.
    fn queue(&self) -> &dyn Queue;
    /// How long retries wait; the first two differ.
    fn retry(&self) -> RetryPolicy;
    /// How long something that must not happen is given to happen; shorter than any retry.
    fn moment(&self) -> Duration;
    /// Lets time pass.
    async fn pass(&self, time: Duration);
    /// Stores what another program might have left.
    async fn leave(&self, route: &Route, bytes: &[u8]);
    /// What failed for good, as operators see it.
    fn letters(&self) -> &dyn DeadLetters;
}

struct Memory {
    clock: Arc<ManualClock>,
    queue: MemoryQueue,
}

impl Memory {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        Self { queue: MemoryQueue::new(clock.clone(), RetryPolicy::default()), clock }
    }
}

#[async_trait]
impl Bench for Memory {
    fn queue(&self) -> &dyn Queue {
        &self.queue
    }

    fn retry(&self) -> RetryPolicy {
        RetryPolicy::default()
    }

    fn moment(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time).await;
    }

    async fn leave(&self, route: &Route, bytes: &[u8]) {
        self.queue.publish_bytes(route, bytes.to_vec()).unwrap();
    }

    fn letters(&self) -> &dyn DeadLetters {
        &self.queue
    }
}

macro_rules! queue_contract {
    ($adapter:ident, $letters:ident, $bench:expr) => {
        contract!(
            $adapter,
            $bench,
            [
                jobs_come_in_the_order_they_were_published,
                routes_are_separate,
                consumers_share_a_route,
                prefetch_bounds_what_is_in_hand,
                a_deploy_route_hands_out_one_job_at_a_time,
                the_next_consumer_takes_over_a_deploy_route,
                a_deploy_in_hand_holds_the_line_after_its_subscription_ended,
                a_dropped_delivery_comes_back_to_the_head_uncounted,
                a_requeued_job_comes_back_to_the_head_uncounted,
                a_retry_counts_and_waits_longer_each_time,
                a_later_job_waits_and_comes_back_uncounted_at_the_tail,
                a_dead_job_keeps_its_reason_and_does_not_come_back,
                what_waits_is_counted_and_has_an_age,
                a_job_published_twice_comes_twice,
                what_is_no_job_is_delivered_as_it_is,
                what_is_too_large_is_refused,
                waiting_that_is_given_up_loses_no_job,
                a_message_keeps_its_name_and_shares_it_with_none,
                what_is_in_hand_is_not_lost,
            ]
        );
        mod $letters {
            use super::clauses::dead as clauses;
            use super::contract;

            contract!(
                $adapter,
                $bench,
                [
                    letters_are_listed_oldest_first_and_stay,
                    a_retried_letter_is_a_new_message_and_no_attempt_counts,
                    letters_are_retried_together_oldest_first,
                    a_discarded_letter_is_gone,
                ]
            );
        }
    };
}

queue_contract!(memory, dead_in_memory, crate::contracts::queue::Memory::new());
queue_contract!(rabbitmq, dead_on_rabbitmq, crate::contracts::queue::broker::Broker::new());

#[tokio::test]
async fn a_full_route_refuses_until_a_job_is_settled() {
    use sluice::outcome::Disposition;
    use sluice::queue::QueueError;
    use sluice::queue::memory::CAPACITY;

    let Memory { queue, .. } = Memory::new();
    for _ in 0..CAPACITY {
        queue.publish_bytes(&Route::Gate, b"job".to_vec()).unwrap();
    }
    let publish = || queue.publish_bytes(&Route::Gate, b"one more".to_vec());
    let mut jobs = queue.consume(&Route::Gate, 1).await.unwrap();
    let job = jobs.next().await.unwrap();
    assert!(matches!(publish(), Err(QueueError::Unavailable(_))), "jobs in hand count as well");
    job.settle(Disposition::Done).await.unwrap();
    publish().unwrap();
}

#[tokio::test]
async fn drained_waits_for_ready_delayed_and_held_jobs() {
    use futures_util::FutureExt;
    use sluice::outcome::Disposition;

    let Memory { queue, clock } = Memory::new();
    let is_drained = || queue.drained().now_or_never().is_some();
    assert!(is_drained());
    queue.publish_bytes(&Route::Gate, b"job".to_vec()).unwrap();
    assert!(!is_drained(), "a job is ready");
    let mut jobs = queue.consume(&Route::Gate, 1).await.unwrap();
    let job = jobs.next().await.unwrap();
    assert!(!is_drained(), "a job is in hand");
    job.settle(Disposition::Later(Duration::from_secs(9))).await.unwrap();
    assert!(!is_drained(), "a job is delayed");
    clock.advance(Duration::from_secs(9)).await;
    let job = jobs.next().await.unwrap();
    let (settled, ()) = tokio::join!(job.settle(Disposition::Done), queue.drained());
    settled.unwrap();
}
