//! The life of a lease, told in a time that the test owns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::lease::{Obstacle, Standing};

mod bench;
mod unheard;
use bench::{Bench, Mood, project, seconds, snapshot};

const PATIENT: Wait<'static> = Wait::UpTo { at_most: Duration::from_secs(3600), told: &|_| {} };

#[tokio::test]
async fn work_runs_under_a_standing_lease_that_is_free_afterwards() {
    let bench = Bench::new();
    let kept = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        assert!(lease.is_standing() && lease.epoch() > 0);
        assert_eq!(bench.standing().await, [Standing::Held]);
        Ok(lease.lost())
    });
    let lost = kept.await.unwrap();
    assert!(lost.is_cancelled(), "the proof outlived the hold");
    assert_eq!(bench.standing().await, []);
    assert_eq!(bench.diary(), ["warehouse/prod after 0ns", "warehouse/prod Released after 0ns"]);
}

#[tokio::test]
async fn a_lease_is_given_back_when_work_stops_and_kept_when_it_says_so() {
    let bench = Bench::new();
    let stopped = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        lease.give_back(Release::Reserve);
        Err::<(), _>(Stop::Interrupted("merge refused".to_owned()))
    });
    assert!(matches!(stopped.await, Err(Stop::Interrupted(why)) if why == "merge refused"));
    assert_eq!(bench.standing().await, [Standing::Reserved]);

    let other = hold(&bench.keeper, bench.wish(8, PATIENT), async |_| Ok(())).await;
    let Err(Stop::Later { why, .. }) = other else { panic!("a reservation was ignored") };
    assert_eq!(why, "warehouse/prod is reserved for PR #7, which is applied but not merged");

    hold(&bench.keeper, bench.wish(7, Wait::No), async |_| Ok(())).await.unwrap();
    assert_eq!(bench.standing().await, [Standing::Reserved], "nobody said that it is free");
    let freed = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        lease.give_back(Release::Free);
        Ok(())
    });
    freed.await.unwrap();
    assert_eq!(bench.standing().await, []);
}

#[tokio::test]
async fn whoever_does_not_wait_is_told_who_holds_it() {
    let bench = Bench::new();
    let holder = bench.hold_until_lost(7).await;
    let refused = hold(&bench.keeper, bench.wish(8, Wait::No), async |_| Ok(())).await;
    assert!(
        matches!(refused, Err(Stop::Later { why, .. }) if why == "warehouse/prod is held by PR #7")
    );
    holder.abort();
}

#[tokio::test]
async fn whoever_waits_is_told_once_and_starts_when_it_is_released() {
    let bench = Bench::new();
    let (go, gate) = oneshot::channel::<()>();
    let (told, mut heard) = mpsc::unbounded_channel();
    let first = hold(&bench.keeper, bench.wish(7, Wait::No), async |_| {
        gate.await.ok();
        Ok(())
    });
    let tell = |obstacle: &Obstacle| told.send(obstacle.to_string()).unwrap();
    let wait = Wait::UpTo { at_most: seconds(3600), told: &tell };
    let second = hold(&bench.keeper, bench.wish(8, wait), async |_| Ok(()));
    let story = async {
        assert_eq!(heard.recv().await.unwrap(), "is held by PR #7");
        bench.clock.advance(seconds(60)).await;
        go.send(()).unwrap();
    };
    let (first, second, ()) = tokio::join!(first, second, story);
    first.unwrap();
    second.unwrap();
    assert!(heard.try_recv().is_err(), "told again although nothing had changed");
    assert_eq!(bench.diary()[2], "warehouse/prod after 60s", "{:?}", bench.diary());
}

#[tokio::test]
async fn waiting_ends_by_its_bound_and_by_cancellation() {
    let bench = Bench::new();
    let holder = bench.hold_until_lost(7).await;
    let wait = Wait::UpTo { at_most: seconds(30), told: &|_| {} };
    let waiting = hold(&bench.keeper, bench.wish(8, wait), async |_| Ok(()));
    let (late, ()) = tokio::join!(waiting, bench.clock.advance(seconds(30)));
    assert!(matches!(late, Err(Stop::Later { .. })), "{late:?}");

    let waiting = hold(&bench.keeper, bench.wish(8, PATIENT), async |_| Ok(()));
    let (stopped, ()) = tokio::join!(waiting, async { bench.cancel.cancel() });
    assert!(matches!(stopped, Err(Stop::Interrupted(_))), "{stopped:?}");
    holder.abort();
}

#[tokio::test]
async fn what_is_granted_to_a_cancelled_job_goes_back_as_it_was() {
    for was in [Release::Free, Release::Reserve] {
        let bench = Bench::new();
        let before = hold(&bench.keeper, bench.wish(8, Wait::No), async |lease| {
            lease.give_back(was);
            Ok(())
        });
        before.await.unwrap();
        let standing = bench.standing().await;
        bench.store.cancels_while_it_grants(&bench.cancel);
        let stopped = hold(&bench.keeper, bench.wish(8, Wait::No), async |_| Ok(())).await;
        assert!(matches!(stopped, Err(Stop::Interrupted(_))), "{stopped:?}");
        assert_eq!(bench.standing().await, standing, "{was:?}");
    }
}

#[tokio::test]
async fn a_cancelled_job_asks_for_nothing() {
    let bench = Bench::new();
    bench.cancel.cancel();
    let stopped = hold(&bench.keeper, bench.wish(8, Wait::No), async |_| Ok(())).await;
    assert!(matches!(stopped, Err(Stop::Interrupted(_))), "{stopped:?}");
    assert_eq!(bench.store.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn renewals_keep_a_lease_for_hours_and_carry_the_phase() {
    let bench = Bench::new();
    let (go, gate) = oneshot::channel::<()>();
    let long = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        lease.phase("apply");
        gate.await.ok();
        assert!(lease.is_standing());
        Ok(())
    });
    let story = async {
        bench.clock.sleepers(1).await;
        bench.clock.advance(seconds(2 * 3600)).await;
        assert_eq!(bench.store.inspect(&project()).await.unwrap()[0].phase, "apply");
        go.send(()).unwrap();
    };
    let (done, ()) = tokio::join!(long, story);
    done.unwrap();
}

#[tokio::test]
async fn the_store_knows_at_once_how_a_lease_goes_back() {
    let bench = Bench::new();
    let told = async || bench.store.inspect(&project()).await.unwrap()[0].give_back;
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        for (count, release) in
            [Release::Reserve, Release::Free, Release::Reserve].iter().enumerate()
        {
            lease.give_back(*release);
            bench.store.until_renewed(count + 1).await;
            assert_eq!(told().await, *release);
        }
        std::future::pending::<Result<(), Stop>>().await
    });
    // The process dies in the middle of its work.
    let dead = tokio::time::timeout(Duration::from_secs(5), bench.store.until_renewed(3));
    tokio::select! {
        _ = work => panic!("it had not ended"),
        told = dead => told.expect("the store was not told"),
    }
    bench.clock.advance(seconds(120 + 30)).await;
    assert_eq!(bench.standing().await, [Standing::Reserved], "main may lack what prod runs");
}

#[tokio::test]
async fn a_holder_without_renewals_fences_itself_in_time() {
    for mood in [Mood::Away, Mood::Silent] {
        let bench = Bench::new();
        let holder = bench.hold_until_lost(7).await;
        bench.clock.sleepers(1).await;
        bench.clock.advance(seconds(10)).await;
        bench.store.mood(mood);
        bench.clock.advance(seconds(59)).await;
        assert!(!holder.is_finished(), "fenced before 60 s after the last good renewal's sending");
        bench.clock.advance(seconds(1)).await;
        let result = holder.await.unwrap();
        assert!(matches!(result, Err(Stop::Interrupted(_))), "{result:?}");
        assert_eq!(bench.diary()[1], "warehouse/prod Lost after 70s");
        assert_eq!(bench.standing().await, [Standing::Held], "a lost lease was released as clean");
    }
}

#[tokio::test]
async fn a_short_outage_is_outlived() {
    let bench = Bench::new();
    let holder = bench.hold_until_lost(7).await;
    bench.clock.sleepers(1).await;
    bench.store.mood(Mood::Silent);
    bench.clock.advance(seconds(45)).await;
    bench.store.mood(Mood::Well);
    bench.clock.advance(seconds(600)).await;
    assert!(!holder.is_finished());
    holder.abort();
}

#[tokio::test]
async fn a_lease_taken_away_interrupts_the_work() {
    let bench = Bench::new();
    let holder = bench.hold_until_lost(7).await;
    bench.take_away_prod().await;
    bench.clock.sleepers(1).await;
    bench.clock.advance(seconds(10)).await;
    assert!(matches!(holder.await.unwrap(), Err(Stop::Interrupted(_))));
}

#[tokio::test]
async fn work_that_ignores_the_loss_is_dropped_before_anybody_else_may_begin() {
    let bench = Bench::new();
    bench.store.mood(Mood::Well);
    let stubborn = hold(&bench.keeper, bench.wish(7, Wait::No), async |_| {
        std::future::pending::<Result<(), Stop>>().await
    });
    let story = async {
        bench.clock.sleepers(1).await;
        bench.store.mood(Mood::Away);
        bench.clock.advance(seconds(120)).await;
    };
    let (result, ()) = tokio::join!(stubborn, story);
    assert!(matches!(result, Err(Stop::Interrupted(_))), "{result:?}");
    assert_eq!(bench.diary()[1], "warehouse/prod Lost after 120s");
}

#[tokio::test]
async fn the_proof_fails_by_the_clock_even_when_no_task_says_so() {
    let bench = Bench::new();
    let (checked, check) = oneshot::channel();
    let (go, gate) = oneshot::channel::<()>();
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        gate.await.ok();
        checked.send(lease.is_standing()).unwrap();
        Ok(())
    });
    let story = async {
        bench.clock.sleepers(1).await;
        go.send(()).unwrap();
        bench.clock.leap(seconds(60));
        assert!(!check.await.unwrap(), "a suspended holder believed in its lease");
    };
    let (_, ()) = tokio::join!(work, story);
}

#[tokio::test]
async fn a_panic_in_the_work_ends_the_renewal() {
    let bench = Bench::new();
    let (keeper, wish) = (bench.keeper.clone(), bench.wish(7, Wait::No));
    let task = tokio::spawn(async move {
        hold(&keeper, wish, async |_| -> Result<(), Stop> { panic!("a fault in a stage") }).await
    });
    assert!(task.await.unwrap_err().is_panic());
    bench.clock.advance(seconds(121)).await;
    assert_eq!(bench.store.renewals.load(Ordering::SeqCst), 0);
    assert_eq!(bench.standing().await, [Standing::Resting { left: seconds(29) }]);
}

#[tokio::test]
async fn snapshots_are_held_within_the_environment_and_lost_with_it() {
    let bench = Bench::new();
    let result = hold(&bench.keeper, bench.wish(7, Wait::No), async |outer| {
        let versions = vec!["orders@1".to_owned(), "customers@2".to_owned()];
        let inner = Wish::snapshots(outer, versions, Wait::No);
        hold(&bench.keeper, inner, async |lease| {
            assert_eq!(bench.standing().await, [Standing::Held; 3]);
            bench.take_away_prod().await;
            bench.clock.advance(seconds(10)).await;
            assert!(!lease.is_standing(), "the snapshots outlived their environment's lease");
            lease.lost().cancelled().await;
            Ok(())
        })
        .await
    });
    assert!(matches!(result.await, Err(Stop::Interrupted(_))));
}

#[tokio::test]
async fn waiting_for_snapshots_ends_with_the_environments_lease() {
    let bench = Bench::new();
    let elsewhere = Wish { keys: vec![snapshot()], ..bench.wish(8, Wait::No) };
    hold(&bench.keeper, elsewhere, async |_| {
        let result = hold(&bench.keeper, bench.wish(7, Wait::No), async |outer| {
            let inner = Wish::snapshots(outer, vec!["orders@1".to_owned()], PATIENT);
            let waiting = hold(&bench.keeper, inner, async |_| Ok(()));
            let story = async {
                bench.take_away_prod().await;
                bench.clock.advance(seconds(10)).await;
            };
            let (result, ()) = tokio::join!(waiting, story);
            assert!(matches!(result, Err(Stop::Interrupted(_))), "{result:?}");
            result
        });
        assert!(matches!(result.await, Err(Stop::Interrupted(_))));
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn while_the_store_is_away_nothing_starts() {
    let bench = Bench::new();
    bench.store.mood(Mood::Away);
    let now = hold(&bench.keeper, bench.wish(7, Wait::No), async |_| Ok(())).await;
    assert!(matches!(now, Err(Stop::Later { .. })), "{now:?}");

    let waiting = hold(&bench.keeper, bench.wish(7, PATIENT), async |_| Ok(()));
    let story = async {
        bench.clock.sleepers(1).await;
        bench.store.mood(Mood::Well);
        bench.clock.advance(seconds(10)).await;
    };
    tokio::join!(waiting, story).0.unwrap();
}

#[tokio::test]
async fn a_reservation_counts_when_the_store_has_heard_it() {
    let bench = Bench::new();
    bench.store.mood(Mood::Well);
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        bench.store.mood(Mood::Away);
        let (reserved, ()) = tokio::join!(lease.reserve(), async {
            bench.clock.sleepers(1).await;
            assert_eq!(bench.given_back().await, Release::Free, "nobody was told yet");
            bench.store.mood(Mood::Well);
            bench.clock.advance(seconds(10)).await;
        });
        reserved.unwrap();
        assert_eq!(bench.given_back().await, Release::Reserve);
        Ok(())
    });
    work.await.unwrap();
    assert_eq!(bench.standing().await, [Standing::Reserved]);
}

#[tokio::test]
async fn a_reservation_that_the_store_does_not_hear_is_none() {
    let bench = Bench::new();
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        bench.store.mood(Mood::Away);
        lease.reserve().await
    });
    let story = async {
        bench.clock.sleepers(1).await;
        bench.clock.advance(seconds(61)).await;
    };
    let (result, ()) = tokio::join!(work, story);
    assert!(matches!(result, Err(Stop::Interrupted(_))), "{result:?}");
}

#[tokio::test]
async fn what_cannot_be_given_back_at_once_is_given_back_a_little_later() {
    let bench = Bench::new();
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |_| {
        bench.store.mood(Mood::Away);
        Ok(())
    });
    let story = async {
        bench.store.until_refused().await;
        bench.store.mood(Mood::Well);
        loop {
            bench.clock.advance(seconds(1)).await;
        }
    };
    tokio::select! {
        result = work => result.unwrap(),
        () = story => {}
    }
    assert_eq!(bench.standing().await, []);
}

#[tokio::test]
async fn a_job_that_could_not_free_its_reservation_is_not_done() {
    let bench = Bench::new();
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        lease.reserve().await?;
        bench.store.mood(Mood::Away);
        lease.give_back(Release::Free);
        Ok(())
    });
    let story = async {
        bench.clock.sleepers(1).await;
        bench.clock.advance(seconds(200)).await;
    };
    let (result, ()) = tokio::join!(work, story);
    assert!(
        matches!(&result, Err(Stop::Interrupted(why)) if why.contains("stays reserved")),
        "{result:?}"
    );
    bench.store.mood(Mood::Well);
    assert_eq!(bench.standing().await, [Standing::Reserved]);
}
