//! The contract of the `Leases` port: who is held to it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sluice::clock::manual::ManualClock;
use sluice::lease::Leases;
use sluice::lease::memory::MemoryLeases;

use super::contract;

use crate::redis::Corner;

mod clauses;
mod model;

/// An adapter on the bench, with nothing held.
#[async_trait]
trait Bench: Send + Sync {
    /// The port.
    fn leases(&self) -> Arc<dyn Leases>;
    /// What times are multiples of: long enough that the adapter answers much faster.
    fn unit(&self) -> Duration;
    /// Lets time pass.
    async fn pass(&self, time: Duration);
}

struct Memory {
    clock: Arc<ManualClock>,
    leases: Arc<MemoryLeases>,
}

impl Memory {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        Self { leases: Arc::new(MemoryLeases::new(clock.clone())), clock }
    }
}

#[async_trait]
impl Bench for Memory {
    fn leases(&self) -> Arc<dyn Leases> {
        self.leases.clone()
    }

    fn unit(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time).await;
    }
}

/// Leases in Redis, where time is its own.
struct Redis {
    leases: Arc<dyn Leases>,
    _corner: Corner,
}

impl Redis {
    async fn new() -> Self {
        let corner = Corner::new();
        Self { leases: Arc::new(corner.store().await.leases()), _corner: corner }
    }
}

#[async_trait]
impl Bench for Redis {
    fn leases(&self) -> Arc<dyn Leases> {
        self.leases.clone()
    }

    fn unit(&self) -> Duration {
        Duration::from_millis(250)
    }

    async fn pass(&self, time: Duration) {
        drop(tokio::time::timeout(time, pending::<()>()).await);
    }
}

/// Every clause, for one adapter.
macro_rules! leases {
    ($adapter:ident, $bench:expr) => {
        contract!(
            $adapter,
            $bench,
            [
                a_set_is_given_whole_or_not_at_all,
                disjoint_sets_do_not_wait_for_each_other,
                no_key_at_all_is_granted,
                of_many_who_ask_at_once_one_gets_it,
                epochs_rise_through_every_way_of_ending,
                a_repeated_question_gets_the_same_grant_prolonged,
                a_second_copy_of_a_job_is_busy,
                a_renewal_prolongs_all_keys_and_notes_the_phase,
                a_late_renewal_is_lost,
                a_stale_grant_can_neither_renew_nor_release,
                a_grant_lost_in_part_is_lost_and_prolongs_nothing,
                a_clean_release_needs_no_lock_delay,
                an_unclean_loss_rests_for_the_lock_delay,
                a_reservation_is_for_its_pull_request_only_and_does_not_expire,
                a_reservation_is_freed_by_its_own_grant,
                what_was_reserved_goes_back_reserved,
                what_was_reserved_is_reserved_again_when_its_holder_is_lost,
                a_holder_that_meant_to_reserve_has_reserved_when_it_is_lost,
                what_its_holder_said_last_counts_when_it_is_lost,
                waiting_ends_when_a_lost_lease_becomes_reserved,
                a_reserved_lease_cannot_be_renewed,
                a_reservation_remembers_its_head_until_another_reserves,
                a_release_wakes_those_who_wait,
                waiting_for_what_is_free_ends_at_once,
                waiting_is_bounded,
                waiting_ends_when_a_lost_lease_has_rested,
                inspection_shows_one_project_in_the_order_of_its_keys,
                inspection_shows_what_rests_and_for_how_long,
                what_is_held_rests_as_if_lost_when_it_is_revoked,
                what_is_reserved_is_free_when_it_is_revoked,
                what_rests_rests_to_the_end_when_it_is_revoked,
                revoking_touches_one_key_and_nothing_that_is_free,
                a_store_that_is_there_says_so,
            ]
        );
    };
}

leases!(memory, crate::contracts::leases::Memory::new());
leases!(redis, crate::contracts::leases::Redis::new().await);
