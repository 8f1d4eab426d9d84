//! Deliveries: whose they are, what came from elsewhere, what the broker gave up.

use sluice::outcome::Disposition;
use sluice::queue::amqp::{AmqpSettings, DeliveryLimits};
use sluice::queue::dead::DeadLetters;
use sluice::queue::{Queue, QueueError, Route};

use super::*;

#[tokio::test]
async fn a_queue_that_is_deleted_ends_its_subscription_and_what_was_in_hand_is_lost() {
    let broker = Broker::new();
    broker.queue.publish(&command(1)).await.unwrap();
    let mut jobs = broker.queue.consume(&Route::Approval, 1).await.unwrap();
    let job = next(&mut jobs).await;
    Stranger::beside(&broker).await.deletes(&Route::Approval).await;
    tokio::time::timeout(SOON, job.lost().cancelled()).await.expect("nobody noticed");
    assert!(tokio::time::timeout(SOON, jobs.next()).await.unwrap().is_none());
    assert!(matches!(job.settle(Disposition::Done).await, Err(QueueError::Lost)));

    let mut jobs = broker.queue.consume(&Route::Approval, 1).await.unwrap();
    broker.queue.publish(&command(2)).await.unwrap();
    assert_eq!(pr(&*next(&mut jobs).await), 2);
}

#[tokio::test]
async fn what_somebody_else_left_is_named_by_what_it_says() {
    let broker = Broker::new();
    broker.queue.check().await.unwrap();
    let stranger = Stranger::beside(&broker).await;
    stranger.publishes(&Route::Gate, b"\xff no job").await;
    let mut jobs = broker.queue.consume(&Route::Gate, 1).await.unwrap();
    let job = next(&mut jobs).await;
    let name = job.message().to_owned();
    assert_eq!((job.bytes(), job.attempt()), (&b"\xff no job"[..], 0));
    assert!(!name.is_empty());
    drop(job);
    let job = next(&mut jobs).await;
    assert_eq!(job.message(), name);
    job.settle(Disposition::Retry).await.unwrap();
    let job = next(&mut jobs).await;
    assert_eq!((job.message(), job.attempt()), (name.as_str(), 1));
    assert_eq!(job.bytes(), b"\xff no job");
}

#[tokio::test]
async fn a_job_that_its_workers_die_of_becomes_a_dead_letter() {
    let deliveries = DeliveryLimits { checks: 1, deploys: 1 };
    let broker = Broker::with(AmqpSettings { deliveries, ..settings(&url()) });
    broker.queue.publish(&command(1)).await.unwrap();
    let mut jobs = broker.queue.consume(&Route::Approval, 1).await.unwrap();
    next(&mut jobs).await.settle(Disposition::Retry).await.unwrap();
    let job = next(&mut jobs).await;
    let name = job.message().to_owned();
    // The last of them gives it back; the other two die.
    drop((job, jobs));
    let stranger = Stranger::beside(&broker).await;
    stranger.dies_of_a_job(&Route::Approval).await;

    let letter = tokio::time::timeout(SOON, async {
        loop {
            match broker.queue.list(9).await.unwrap().pop() {
                Some(letter) => return letter,
                None => tokio::task::yield_now().await,
            }
        }
    });
    let letter = letter.await.expect("it is handed out for ever");
    assert!(letter.reason.contains("again and again"), "{letter:?}");
    assert_eq!((letter.queue, letter.id), (Route::Approval.queue(), name.clone()));
    assert_eq!(letter.attempt, 1);
    assert!(letter.died_ms.is_some());

    let retried = broker.queue.retry(std::slice::from_ref(&name)).await;
    assert_eq!(retried.done, [name]);
    let mut jobs = broker.queue.consume(&Route::Approval, 1).await.unwrap();
    assert_eq!(next(&mut jobs).await.attempt(), 0);
}

/// The other subscriptions of the process have channels of their own.
#[tokio::test]
async fn a_worker_that_shuts_down_gives_back_what_it_never_saw() {
    let broker = Broker::new();
    for job in 1..=5 {
        broker.queue.publish(&command(job)).await.unwrap();
    }
    let mut leaving = broker.queue.consume(&Route::Approval, 5).await.unwrap();
    let first = next(&mut leaving).await;
    drop(leaving);
    let mut staying = broker.queue.consume(&Route::Approval, 1).await.unwrap();
    let mut found = Vec::new();
    for _ in 2..=5 {
        let job = next(&mut staying).await;
        found.push(pr(&*job));
        job.settle(Disposition::Done).await.unwrap();
    }
    found.sort_unstable();
    assert_eq!(found, [2, 3, 4, 5], "although the first is still in hand");
    first.settle(Disposition::Done).await.unwrap();
    assert_eq!(broker.queue.waiting(&Route::Approval).await.unwrap().jobs, 0);
}
