//! Addresses and queues that do not fit.

use sluice::config::Secret;
use sluice::queue::amqp::{AmqpQueue, AmqpSettings, Timeouts};
use sluice::queue::{Queue, QueueError};

use super::*;
use crate::contracts::queue::broker::connect;

#[tokio::test]
async fn a_queue_with_other_properties_is_named_with_what_to_do() {
    let broker = Broker::new();
    broker.queue.check().await.unwrap();
    let other = AmqpSettings { capacity: 7, ..broker.settings.clone() };
    let queue = connect(other);
    let Err(QueueError::Unavailable(why)) = queue.check().await else { panic!("it fits") };
    assert!(why.contains(&format!("{}.approval", broker.settings.prefix)), "{why}");
    assert!(why.contains("x-max-length") && why.contains("delete"), "{why}");
    let Err(QueueError::Unavailable(same)) = queue.publish(&command(1)).await else {
        panic!("it is stored")
    };
    assert_eq!(same, why);
}

#[tokio::test]
async fn a_subscription_that_is_given_up_on_the_way_leaves_no_consumer() {
    let broker = Broker::new();
    broker.queue.check().await.unwrap();
    let route = Route::Deploy(ProjectName::new("warehouse").unwrap());
    for tenths_of_ms in (0..300).step_by(3) {
        let within = Duration::from_micros(100 * tenths_of_ms);
        // In time or not: it is dropped in either case.
        drop(tokio::time::timeout(within, broker.queue.consume(&route, 1)).await);
    }
    let head = sluice::names::Sha::new("a".repeat(40)).unwrap();
    let (project, pr) = (ProjectName::new("warehouse").unwrap(), PrNumber(7));
    let deploy = sluice::job::Deploy { project, pr, head, command: None, signalled_ms: 0 };
    broker.queue.publish(&Envelope::new(Job::Deploy(deploy), "a test", 0)).await.unwrap();
    let mut jobs = broker.queue.consume(&route, 1).await.unwrap();
    let job = next(&mut jobs).await;
    assert_eq!(self::pr(job.as_ref()), 7);
    job.settle(sluice::outcome::Disposition::Done).await.unwrap();
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let real = url();
    let address = real.rsplit_once('@').unwrap().1;
    let addresses = [
        format!("amqp://guest:hush-hush@127.0.0.1:{port}/%2f"),
        format!("amqp://guest:hush-hush@{address}"),
        "amqp://guest:hush-hush@127.0.0.1:not-a-port".to_owned(),
    ];
    let request = Duration::from_secs(1);
    for address in addresses {
        let timeouts = Timeouts { request, ..Timeouts::default() };
        let settings = settings(&address);
        let settings = AmqpSettings { url: Secret::new(address), timeouts, ..settings };
        assert!(!format!("{settings:?}").contains("hush"));
        let clock = std::sync::Arc::new(sluice::clock::SystemClock);
        let error = match AmqpQueue::connect(settings, clock) {
            Ok(queue) => queue.check().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
