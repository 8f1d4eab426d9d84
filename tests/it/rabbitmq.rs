//! What the adapter for RabbitMQ promises beyond the contract of its port: that it notices what a
//! broker does, and answers in time.

use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use sluice::job::{Cleanup, Command, Envelope, Job};
use sluice::names::{NodeId, PrNumber, ProjectName};
use sluice::queue::{Deliveries, Delivery, Route};

use crate::contracts::queue::broker::{Broker, settings, url};

mod broker_in_trouble;
mod publishing;
mod settling;
mod topology;

/// How long something that must happen is waited for.
const SOON: Duration = Duration::from_secs(10);

fn command(pr: u64) -> Envelope {
    let (project, pr) = (ProjectName::new("warehouse").unwrap(), PrNumber(pr));
    let comment = NodeId::new("IC_1").unwrap();
    Envelope::new(Job::Command(Command { project, pr, comment }), "a test", 0)
}

fn cleanup(pr: u64) -> Envelope {
    let (project, pr) = (ProjectName::new("warehouse").unwrap(), PrNumber(pr));
    Envelope::new(Job::Cleanup(Cleanup { project, pr }), "a test", 0)
}

/// The next job, soon.
async fn next(jobs: &mut Box<dyn Deliveries>) -> Box<dyn Delivery> {
    let next = tokio::time::timeout(SOON, jobs.next()).await.expect("no job came");
    next.expect("the subscription ended")
}

fn pr(job: &dyn Delivery) -> u64 {
    Envelope::from_bytes(job.bytes()).unwrap().job.pr().0
}

/// Somebody else on the broker.
struct Stranger {
    channel: Channel,
    prefix: String,
    connection: Connection,
}

impl Stranger {
    async fn beside(broker: &Broker) -> Self {
        let (url, usual) = (url(), ConnectionProperties::default());
        let connection = Connection::connect(&url, usual).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { channel, prefix: broker.settings.prefix.clone(), connection }
    }

    fn queue(&self, route: &Route) -> String {
        route.queue().replacen("sluice", &self.prefix, 1)
    }

    async fn deletes(&self, route: &Route) {
        let queue = self.queue(route).into();
        self.channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
    }

    async fn publishes(&self, route: &Route, bytes: &[u8]) {
        let (queue, options) = (self.queue(route).into(), BasicPublishOptions::default());
        let nothing = BasicProperties::default();
        let sent = self.channel.basic_publish("".into(), queue, options, bytes, nothing).await;
        sent.unwrap().await.unwrap();
    }

    /// Takes a job and dies of it.
    async fn dies_of_a_job(&self, route: &Route) {
        use futures_util::StreamExt;

        let channel = self.connection.create_channel().await.unwrap();
        let (queue, options) = (self.queue(route).into(), BasicConsumeOptions::default());
        let taken = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await;
        let mut taken = taken.unwrap();
        tokio::time::timeout(SOON, taken.next()).await.expect("no job").unwrap().unwrap();
        channel.close(200, "dead".into()).await.unwrap();
    }
}
