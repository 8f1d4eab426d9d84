//! Publishing: what is said to be stored is stored.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use sluice::outcome::Disposition;
use sluice::queue::amqp::AmqpSettings;
use sluice::queue::{Queue, QueueError, Route};

use super::*;

/// An unroutable message is confirmed as well, and its return may reach another's confirmation:
/// whoever believes the confirmation alone loses jobs.
#[tokio::test]
async fn what_is_said_to_be_stored_is_stored_although_queues_vanish() {
    const JOBS: u64 = 100;
    let broker = Broker::new();
    broker.queue.check().await.unwrap();
    let stranger = Stranger::beside(&broker).await;
    stranger.deletes(&Route::Approval).await;
    let jobs: Vec<_> = (1..=JOBS).map(command).collect();
    let answers = join_all(jobs.iter().map(|job| broker.queue.publish(job))).await;
    let mut said: BTreeSet<u64> =
        (1..=JOBS).zip(&answers).filter_map(|(pr, answer)| answer.is_ok().then_some(pr)).collect();
    // While a queue comes and goes a broker may refuse; a publisher then tries again.
    let one_more = async { while broker.queue.publish(&command(JOBS + 1)).await.is_err() {} };
    tokio::time::timeout(SOON, one_more).await.expect("the queue stays away");
    said.insert(JOBS + 1);

    let mut jobs = broker.queue.consume(&Route::Approval, 10).await.unwrap();
    while !said.is_empty() {
        let job = next(&mut jobs).await;
        said.remove(&pr(&*job));
        job.settle(Disposition::Done).await.unwrap();
    }
}

/// What is returned meets confirmations of what is stored: each still gets its own answer.
#[tokio::test]
async fn what_vanishes_is_not_told_the_fate_of_others() {
    const JOBS: u64 = 100;
    let broker = Broker::new();
    broker.queue.check().await.unwrap();
    let stranger = Stranger::beside(&broker).await;
    let jobs: Vec<_> = (1..=JOBS).flat_map(|pr| [command(pr), cleanup(pr)]).collect();
    for _ in 0..10 {
        stranger.deletes(&Route::Gate).await;
        let answers = join_all(jobs.iter().map(|job| broker.queue.publish(job))).await;
        let stored = jobs.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
        let said = stored.filter(|(job, _)| Route::of(&job.job) == Route::Gate).count() as u64;
        let there = broker.queue.waiting(&Route::Gate).await.unwrap().jobs;
        assert!(there >= said, "{said} were said to be stored, and {there} are");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_keeps_what_it_took() {
    let broker = Broker::with(AmqpSettings { capacity: 2, ..settings(&url()) });
    let mut stored = 0;
    let refused = loop {
        match broker.queue.publish(&command(stored + 1)).await {
            Ok(()) => stored += 1,
            Err(refused) => break refused,
        }
        assert!(stored < 100, "it is never full");
    };
    assert!(matches!(&refused, QueueError::Unavailable(why) if why.contains("no room")));
    assert_eq!(broker.queue.waiting(&Route::Approval).await.unwrap().jobs, stored);

    let mut jobs = broker.queue.consume(&Route::Approval, 1).await.unwrap();
    for expected in 1..=stored {
        let job = next(&mut jobs).await;
        assert_eq!(pr(&*job), expected);
        job.settle(Disposition::Done).await.unwrap();
    }
    broker.queue.publish(&command(1)).await.unwrap();
}

#[tokio::test]
async fn one_publish_at_a_time_is_enough_for_all() {
    let broker = Broker::with(AmqpSettings { in_flight: 1, ..settings(&url()) });
    let jobs: Vec<_> = (1..=20).map(command).collect();
    let stored = join_all(jobs.iter().map(|job| broker.queue.publish(job))).await;
    assert!(stored.iter().all(Result::is_ok), "{stored:?}");
    assert_eq!(broker.queue.waiting(&Route::Approval).await.unwrap().jobs, 20);
}

/// A webhook whose sender hung up: its publish is dropped at any point.
#[tokio::test]
async fn a_publish_that_is_given_up_leaves_the_others_alone() {
    let broker = Broker::new();
    for polls in 0..20 {
        let job = command(1);
        let mut given_up = Box::pin(broker.queue.publish(&job));
        for _ in 0..polls {
            if futures_util::poll!(&mut given_up).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(given_up);
        broker.queue.publish(&command(2)).await.unwrap();
    }
    let mut seconds = 0;
    let mut jobs = broker.queue.consume(&Route::Approval, 5).await.unwrap();
    while seconds < 20 {
        let job = next(&mut jobs).await;
        seconds += u32::from(pr(&*job) == 2);
        job.settle(Disposition::Done).await.unwrap();
    }
}
