//! What is kept on the broker: queues, exchanges, and what they are called.
//!
//! Owns names and properties, the same on RabbitMQ 3.10 and 4. Refuses to know who publishes or
//! consumes.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::settings::{AmqpSettings, DeliveryLimits};
use crate::queue::Route;

/// What every name in the ports begins with; on the broker a prefix stands in its place.
const CANONICAL: &str = "sluice";

/// Dead letters are listed by taking them all and giving them back, which counts as a delivery.
const ENDLESS: u32 = 1_000_000_000;

/// PRECONDITION_FAILED: the queue is there, with other properties.
const MISMATCH: u16 = 406;

/// All of it.
pub(super) struct Topology {
    prefix: String,
    routes: Vec<Route>,
    delays: Vec<Duration>,
    capacity: u32,
    deliveries: DeliveryLimits,
}

/// Why it could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undeclared {
    /// Somebody has to do something.
    #[error(
        "{what} is on the broker with other properties than this version needs ({why}); stop what \
         uses it, let it run empty, delete it (rabbitmqctl delete_queue {what}), start again; or \
         choose another prefix"
    )]
    Mismatch {
        /// The queue.
        what: String,
        /// The broker's words.
        why: String,
    },
    /// The connection, most likely.
    #[error(transparent)]
    Broker(#[from] lapin::Error),
}

impl Topology {
    pub(super) fn new(settings: &AmqpSettings) -> Self {
        let deploys = settings.projects.iter().cloned().map(Route::Deploy);
        Self {
            prefix: settings.prefix.clone(),
            routes: [Route::Approval, Route::Gate].into_iter().chain(deploys).collect(),
            delays: settings.delays(),
            capacity: settings.capacity,
            deliveries: settings.deliveries,
        }
    }

    /// The queue of a route.
    pub(super) fn queue(&self, route: &Route) -> String {
        self.on_broker(&route.queue())
    }

    /// Whether a queue of the broker's is that of a route.
    pub(super) fn is_route(&self, on_broker: &str) -> bool {
        self.routes.iter().any(|route| self.queue(route) == on_broker)
    }

    /// A name of the ports, as the broker has it.
    pub(super) fn on_broker(&self, canonical: &str) -> String {
        let rest = canonical.strip_prefix(CANONICAL).unwrap_or(canonical);
        format!("{}{rest}", self.prefix)
    }

    /// A name of the broker's, as the ports have it; unchanged when it is not one of ours.
    pub(super) fn canonical(&self, on_broker: &str) -> String {
        match on_broker.strip_prefix(&self.prefix) {
            Some(rest) if rest.starts_with('.') => format!("{CANONICAL}{rest}"),
            _ => on_broker.to_owned(),
        }
    }

    /// The queue of dead letters.
    pub(super) fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    /// The exchange, and the queue, for what waits at least this long: the next longer delay there
    /// is, or the longest. What comes back too early is asked again how long it waits.
    pub(super) fn delay(&self, at_least: Duration) -> Option<String> {
        let longer = self.delays.iter().find(|delay| **delay >= at_least);
        longer.or(self.delays.last()).map(|delay| self.delay_name(*delay))
    }

    /// The queues of all delays.
    pub(super) fn delay_queues(&self) -> impl Iterator<Item = String> {
        self.delays.iter().map(|delay| self.delay_name(*delay))
    }

    /// Every queue there is.
    pub(super) fn queues(&self) -> Vec<String> {
        let routes = self.routes.iter().map(|route| self.queue(route));
        routes.chain(self.delay_queues()).chain([self.dead()]).collect()
    }

    fn delay_name(&self, delay: Duration) -> String {
        let length = match delay.subsec_millis() {
            0 => format!("{}s", delay.as_secs()),
            _ => format!("{}ms", delay.as_millis()),
        };
        format!("{}.retry.{length}", self.prefix)
    }

    /// Makes what is not there. The channel is of no use after an error.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), Undeclared> {
        let dead = [("x-delivery-limit", number(ENDLESS)), ("x-overflow", text("reject-publish"))];
        declare_queue(channel, &self.dead(), table(dead)).await?;
        for route in &self.routes {
            self.declare_route(channel, route).await?;
        }
        for delay in &self.delays {
            self.declare_delay(channel, *delay).await?;
        }
        Ok(())
    }

    /// Makes the queue of one route.
    pub(super) async fn declare_route(
        &self,
        channel: &Channel,
        route: &Route,
    ) -> Result<(), Undeclared> {
        let limit = match route {
            Route::Deploy(_) => self.deliveries.deploys,
            Route::Approval | Route::Gate => self.deliveries.checks,
        };
        let mut properties = table([
            // 0 and -1 mean something else in each version of RabbitMQ.
            ("x-delivery-limit", number(limit.max(1))),
            ("x-dead-letter-routing-key", text(&self.dead())),
        ]);
        self.hand_on(&mut properties);
        if matches!(route, Route::Deploy(_)) {
            properties.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        }
        declare_queue(channel, &self.queue(route), properties).await
    }

    /// One delay: an exchange that keeps the routing key, which is the queue to come back to, and a
    /// queue in which everything waits equally long. What waits for different times in one queue
    /// would block each other: only its head runs out.
    async fn declare_delay(&self, channel: &Channel, delay: Duration) -> Result<(), Undeclared> {
        let name = self.delay_name(delay);
        let ttl = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        let mut properties = table([("x-message-ttl", number(ttl))]);
        self.hand_on(&mut properties);
        declare_queue(channel, &name, properties).await?;
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let exchange: ShortString = name.as_str().into();
        let declared = channel.exchange_declare(
            exchange.clone(),
            ExchangeKind::Fanout,
            options,
            FieldTable::default(),
        );
        declared.await.map_err(|error| undeclared(&name, error))?;
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(
            exchange.clone(),
            exchange,
            ShortString::default(),
            options,
            FieldTable::default(),
        );
        Ok(bound.await?)
    }

    /// What leaves a queue for another one is stored there before it is removed here. For that, the
    /// broker wants this way of being full.
    fn hand_on(&self, properties: &mut FieldTable) {
        properties.insert("x-dead-letter-exchange".into(), text(""));
        properties.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        properties.insert("x-overflow".into(), text("reject-publish"));
        properties.insert("x-max-length".into(), number(self.capacity));
    }
}

async fn declare_queue(
    channel: &Channel,
    name: &str,
    mut properties: FieldTable,
) -> Result<(), Undeclared> {
    properties.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let declared = channel.queue_declare(name.into(), options, properties).await;
    declared.map(drop).map_err(|error| undeclared(name, error))
}

fn undeclared(name: &str, error: lapin::Error) -> Undeclared {
    match error.kind() {
        ErrorKind::ProtocolError(why) if why.get_id() == MISMATCH => {
            Undeclared::Mismatch { what: name.to_owned(), why: why.get_message().to_string() }
        }
        _ => error.into(),
    }
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

fn number(value: u32) -> AMQPValue {
    AMQPValue::LongLongInt(value.into())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::config::Secret;
    use crate::queue::RetryPolicy;

    #[test]
    fn a_wait_is_never_shorter_than_asked_unless_it_is_the_longest_there_is() {
        let retry = RetryPolicy { delays: vec![Duration::from_millis(1500)] };
        let settings = AmqpSettings::new(Secret::new("amqp://broker"), Vec::new(), retry);
        let topology = Topology::new(&settings);
        let delay = |ms| topology.delay(Duration::from_millis(ms)).unwrap();
        for (asked_ms, found) in [
            (1, "sluice.retry.1s"),
            (1_000, "sluice.retry.1s"),
            (1_001, "sluice.retry.1500ms"),
            (1_501, "sluice.retry.2s"),
            (31_000, "sluice.retry.60s"),
            (3_600_000, "sluice.retry.3600s"),
            (9_000_000, "sluice.retry.3600s"),
        ] {
            assert_eq!(delay(asked_ms), found, "{asked_ms} ms");
        }
    }

    #[test]
    fn names_go_there_and_back() {
        let settings = AmqpSettings::new(Secret::new(""), Vec::new(), RetryPolicy::default());
        let topology = Topology::new(&AmqpSettings { prefix: "team-a".into(), ..settings });
        assert_eq!(topology.queue(&Route::Gate), "team-a.gate");
        assert_eq!(topology.canonical("team-a.gate"), "sluice.gate");
        assert_eq!(topology.canonical("team-abc"), "team-abc");
    }
}
