//! One private broker, and all that befalls it: it takes a quarter of a minute to start.

use sluice::outcome::Disposition;
use sluice::queue::amqp::{AmqpQueue, AmqpSettings, Timeouts};
use sluice::queue::{Queue, QueueError, Route};
use sluice_rig::Broker as PrivateBroker;

use super::*;
use crate::contracts::queue::broker::connect;

/// Far longer than [`AT_ONCE`]: what is answered at once was not just given up.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long an answer may take that needs nobody else.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The bound of whoever is not that patient.
const BOUND: Duration = Duration::from_secs(2);

/// How long a copy is offered to a broker that could take it; an offer follows within a second.
const SETTLE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_in_trouble_is_told_apart_from_one_that_is_well() {
    let mut broker = PrivateBroker::new("").unwrap();
    let bound =
        |limit| Timeouts { connect: PATIENCE, publish: limit, request: limit, settle: PATIENCE };
    let usual = settings(&broker.url());
    let hasty = AmqpSettings { timeouts: bound(BOUND), ..usual.clone() };
    let patient = AmqpSettings { timeouts: bound(PATIENCE), ..usual };
    let gives_up_soon = Timeouts { settle: SETTLE, ..bound(PATIENCE) };
    let brief = AmqpSettings { timeouts: gives_up_soon, ..patient.clone() };
    let [hasty, patient, brief] = [hasty, patient, brief].map(connect);

    it_is_not_there(&hasty).await;
    let mut broker = blocking(move || {
        broker.start().unwrap();
        broker
    })
    .await;
    tokio::time::timeout(PATIENCE, patient.check()).await.unwrap().expect("connected by itself");

    broker = it_closes_connections(broker, &patient).await;
    broker = it_runs_out_of_patience_with_a_consumer(broker, &patient).await;
    broker = it_takes_nothing_more(broker, &patient, &brief).await;
    it_stops_answering(broker, &hasty, &patient).await;
}

/// A process starts without its broker, says so, and connects when it comes.
async fn it_is_not_there(queue: &AmqpQueue) {
    let answers = async {
        let published = queue.publish(&command(1)).await;
        (published, queue.check().await, queue.consume(&Route::Gate, 1).await.map(drop))
    };
    let (published, checked, consumed) = in_time(AT_ONCE, answers).await;
    for answer in [published, checked, consumed] {
        let Err(QueueError::Unavailable(why)) = answer else { panic!("{answer:?}") };
        assert!(why.contains("cannot be reached"), "{why}");
    }
}

async fn it_closes_connections(broker: PrivateBroker, queue: &AmqpQueue) -> PrivateBroker {
    queue.publish(&command(1)).await.unwrap();
    let mut jobs = queue.consume(&Route::Approval, 1).await.unwrap();
    let job = next(&mut jobs).await;
    let name = job.message().to_owned();
    let broker = blocking(move || {
        broker.control(&["close_all_connections", "a test"]).unwrap();
        broker
    })
    .await;
    in_time(AT_ONCE, job.lost().cancelled()).await;
    assert!(in_time(AT_ONCE, jobs.next()).await.is_none());
    assert!(matches!(job.settle(Disposition::Done).await, Err(QueueError::Lost)));
    queue.publish(&command(2)).await.expect("it connects by itself");
    let mut jobs = queue.consume(&Route::Approval, 1).await.unwrap();
    let job = next(&mut jobs).await;
    assert_eq!((job.message(), job.attempt()), (name.as_str(), 0), "it comes again");
    job.settle(Disposition::Done).await.unwrap();
    next(&mut jobs).await.settle(Disposition::Done).await.unwrap();
    broker
}

/// By default after half an hour, looked at once a minute.
async fn it_runs_out_of_patience_with_a_consumer(
    broker: PrivateBroker,
    queue: &AmqpQueue,
) -> PrivateBroker {
    let mut neighbour = queue.consume(&Route::Gate, 1).await.unwrap();
    let broker = patience_of_ms(broker, (500, 500)).await;
    queue.publish(&command(3)).await.unwrap();
    let mut jobs = queue.consume(&Route::Approval, 1).await.unwrap();
    let job = next(&mut jobs).await;
    in_time(PATIENCE, job.lost().cancelled()).await;
    assert!(in_time(AT_ONCE, jobs.next()).await.is_none());
    drop(job);
    // While the broker is that impatient, it takes it away again and again.
    let broker = patience_of_ms(broker, (1_800_000, 60_000)).await;
    let mut jobs = queue.consume(&Route::Approval, 1).await.unwrap();
    let job = next(&mut jobs).await;
    assert_eq!(pr(&*job), 3);
    job.settle(Disposition::Done).await.unwrap();
    queue.publish_bytes(&Route::Gate, b"for the neighbour".to_vec()).await.unwrap();
    next(&mut neighbour).await.settle(Disposition::Done).await.unwrap();
    broker
}

async fn patience_of_ms(broker: PrivateBroker, (patience, look): (u32, u32)) -> PrivateBroker {
    let set = format!(
        "application:set_env(rabbit, consumer_timeout, {patience}), \
         application:set_env(rabbit, channel_tick_interval, {look})."
    );
    blocking(move || {
        broker.control(&["eval", &set]).unwrap();
        broker
    })
    .await
}

/// Out of memory, or of disk: it stops reading from whoever publishes.
async fn it_takes_nothing_more(
    broker: PrivateBroker,
    queue: &AmqpQueue,
    brief: &AmqpQueue,
) -> PrivateBroker {
    queue.publish(&command(4)).await.unwrap();
    let mut jobs = queue.consume(&Route::Approval, 1).await.unwrap();
    let job = next(&mut jobs).await;
    brief.publish_bytes(&Route::Gate, b"to come later".to_vec()).await.unwrap();
    let mut waiting = brief.consume(&Route::Gate, 1).await.unwrap();
    let later = next(&mut waiting).await;
    let broker = watermark(broker, "0").await;
    // It notices a moment later.
    in_time(PATIENCE, async { while queue.publish(&command(5)).await.is_ok() {} }).await;
    for _ in 0..3 {
        let answer = in_time(AT_ONCE, queue.publish(&command(5))).await;
        assert!(matches!(answer, Err(QueueError::Unavailable(_))), "{answer:?}");
    }
    let checked = in_time(AT_ONCE, queue.check()).await;
    assert!(matches!(checked, Err(QueueError::Unavailable(_))), "{checked:?}");
    in_time(AT_ONCE, job.settle(Disposition::Done)).await.expect("it goes another way");
    let settling = tokio::spawn(later.settle(Disposition::Later(Duration::from_secs(1))));
    let again = tokio::time::timeout(SETTLE * 2, waiting.next()).await;
    assert!(again.is_err(), "it ran again, and again, while nothing could be stored");

    let broker = watermark(broker, "0.9").await;
    in_time(PATIENCE, async {
        while queue.publish(&command(6)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    in_time(PATIENCE, settling).await.unwrap().expect("its copy is stored in the end");
    next(&mut waiting).await.settle(Disposition::Done).await.unwrap();
    // The first of the refused ones was on its way, and may have been stored.
    let mut last = 0;
    while last != 6 {
        let job = next(&mut jobs).await;
        last = pr(&*job);
        job.settle(Disposition::Done).await.unwrap();
    }
    broker
}

async fn watermark(broker: PrivateBroker, fraction: &'static str) -> PrivateBroker {
    blocking(move || {
        broker.control(&["set_vm_memory_high_watermark", fraction]).unwrap();
        broker
    })
    .await
}

async fn it_stops_answering(mut broker: PrivateBroker, hasty: &AmqpQueue, patient: &AmqpQueue) {
    hasty.check().await.unwrap();
    let mut jobs = patient.consume(&Route::Gate, 1).await.unwrap();
    patient.publish_bytes(&Route::Gate, b"a job".to_vec()).await.unwrap();
    let job = next(&mut jobs).await;
    // With all that it started: the program itself is only a script.
    let group = format!("-{}", broker.process().unwrap().id());
    let stopped = std::process::Command::new("kill").args(["-STOP", "--", &group]).status();
    assert!(stopped.unwrap().success());
    for _ in 0..3 {
        let answer = in_time(BOUND + AT_ONCE, hasty.publish(&command(7))).await;
        assert!(matches!(answer, Err(QueueError::Unavailable(_))), "{answer:?}");
    }
    let checked = in_time(BOUND + AT_ONCE, hasty.check()).await;
    assert!(matches!(checked, Err(QueueError::Unavailable(_))), "{checked:?}");
    let broker = blocking(move || {
        broker.kill().unwrap();
        broker
    })
    .await;
    in_time(AT_ONCE, job.lost().cancelled()).await;
    let answer = in_time(BOUND + AT_ONCE, hasty.publish(&command(8))).await;
    assert!(matches!(answer, Err(QueueError::Unavailable(_))), "{answer:?}");
    drop(broker);
}

async fn in_time<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, what).await.expect("it takes too long")
}

/// The rig blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
