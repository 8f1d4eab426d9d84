//! One channel on which many publishes are under way.
//!
//! Owns telling each publish its own fate. The client hands a returned message to whichever
//! confirmation comes next, and numbers publishes as they are begun: so one task begins all of them
//! and reads all confirmations, and tells a fate only when it has seen everything that was said
//! before it. Refuses to know what is published, and what is done about a failure.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::future::poll_fn;
use futures_util::stream::FuturesUnordered;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};

use super::publish::Letter;

/// What became of a publish.
#[derive(Debug)]
pub(super) enum Fate {
    Stored,
    /// The queue is full, or does not work.
    Refused,
    /// There is no such queue.
    Unroutable,
    /// Another's returned message came with its confirmation, so its own may be under way still.
    Unclear,
    /// The channel or the connection is gone, and nobody knows.
    Broke(lapin::Error),
}

/// A channel and the task that publishes on it; both end when nobody has it any more.
#[derive(Clone)]
pub(super) struct Press {
    channel: Channel,
    orders: mpsc::UnboundedSender<Order>,
}

struct Order {
    name: Name,
    bytes: Vec<u8>,
    properties: BasicProperties,
    told: oneshot::Sender<Fate>,
}

/// What tells a message from others: two that share all of it share their fate.
#[derive(Clone, PartialEq, Eq)]
struct Name {
    exchange: String,
    routing_key: String,
    id: Option<String>,
}

impl Press {
    /// Publishes on this channel. As many are under way as callers: it is theirs to be few.
    pub(super) async fn on(channel: Channel) -> Result<Self, lapin::Error> {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (orders, coming) = mpsc::unbounded_channel();
        let work = Work { channel: channel.clone(), under_way: FuturesUnordered::new() };
        tokio::spawn(work.run(coming));
        Ok(Self { channel, orders })
    }

    /// Whether it is of use still.
    pub(super) fn is_sound(&self) -> bool {
        self.channel.status().connected() && !self.orders.is_closed()
    }

    /// Publishes, and says what became of it. Whoever does not wait leaves the others alone.
    pub(super) async fn publish(&self, letter: &Letter<'_>) -> Fate {
        let (told, fate) = oneshot::channel();
        let properties = letter.properties.clone();
        let name = Name::new(letter.exchange, letter.routing_key, &properties);
        let order = Order { name, bytes: letter.bytes.to_vec(), properties, told };
        // The task ends with the runtime, or after all who could order: then nobody knows.
        match self.orders.send(order) {
            Ok(()) => fate.await.unwrap_or(Fate::Unclear),
            Err(_) => Fate::Unclear,
        }
    }
}

type Confirming = Pin<Box<dyn Future<Output = Result<Confirmation, lapin::Error>> + Send>>;

/// A publish that is under way: a future that ends with what was said of it.
struct UnderWay {
    /// What is left of it when it has ended.
    publish: Option<Publish>,
    confirming: Confirming,
}

struct Publish {
    name: Name,
    told: oneshot::Sender<Fate>,
    is_returned: bool,
}

/// A publish, and what was said of it.
type Said = (Publish, Result<Confirmation, lapin::Error>);

impl Future for UnderWay {
    type Output = Option<Said>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let said = std::task::ready!(self.confirming.as_mut().poll(cx));
        Poll::Ready(self.publish.take().map(|publish| (publish, said)))
    }
}

struct Work {
    channel: Channel,
    /// Polls those that something was said of: many of them cost no more than one.
    under_way: FuturesUnordered<UnderWay>,
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(said) = poll_fn(|cx| self.poll(cx, &mut orders)).await {
            tell(said, &mut self.under_way);
        }
    }

    /// Ready with all that was said; `None` when nobody is left.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Poll<Option<Vec<Said>>> {
        let is_closed = loop {
            match orders.poll_recv(cx) {
                Poll::Ready(Some(order)) => self.begin(order),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        let all = hear(&mut self.under_way, cx);
        match all.is_empty() {
            false => Poll::Ready(Some(all)),
            true if is_closed && self.under_way.is_empty() => Poll::Ready(None),
            true => Poll::Pending,
        }
    }

    fn begin(&mut self, Order { name, bytes, properties, told }: Order) {
        let (channel, to) = (self.channel.clone(), name.clone());
        let confirming = Box::pin(async move {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let (exchange, routing_key) = (to.exchange.into(), to.routing_key.into());
            let sent = channel.basic_publish(exchange, routing_key, options, &bytes, properties);
            sent.await?.await
        });
        let publish = Some(Publish { name, told, is_returned: false });
        self.under_way.push(UnderWay { publish, confirming });
    }
}

/// All that was said. The client wakes each publish as it hears of it, one after the other: when
/// one is found to be confirmed, what was said before is in line to be polled.
fn hear(under_way: &mut FuturesUnordered<UnderWay>, cx: &mut Context<'_>) -> Vec<Said> {
    let mut all = Vec::new();
    // It says "pending" early as well: when two that it polled woke themselves meanwhile.
    for _ in 0..=under_way.len() / 2 {
        while let Poll::Ready(Some(said)) = under_way.poll_next_unpin(cx) {
            all.extend(said);
        }
        if all.is_empty() {
            break;
        }
    }
    all
}

/// Tells everybody of whom something was said.
fn tell(mut all: Vec<Said>, under_way: &mut FuturesUnordered<UnderWay>) {
    let returned: Vec<Name> =
        all.iter().filter_map(|(_, said)| carried(said)).map(Name::of).collect();
    if !returned.is_empty() {
        let still = under_way.iter_mut().filter_map(|one| one.publish.as_mut());
        for publish in all.iter_mut().map(|(publish, _)| publish).chain(still) {
            publish.is_returned |= returned.contains(&publish.name);
        }
    }
    for (publish, said) in all {
        // Nobody to tell: it was given up.
        drop(publish.told.send(fate(said, publish.is_returned)));
    }
}

/// The returned message that came with a confirmation: anybody's.
fn carried(said: &Result<Confirmation, lapin::Error>) -> Option<&BasicReturnMessage> {
    match said.as_ref().ok()? {
        Confirmation::Ack(carried) | Confirmation::Nack(carried) => carried.as_ref(),
        Confirmation::NotRequested => None,
    }
}

impl Name {
    fn new(exchange: &str, routing_key: &str, properties: &BasicProperties) -> Self {
        let id = properties.message_id().as_ref().map(ToString::to_string);
        Self { exchange: exchange.to_owned(), routing_key: routing_key.to_owned(), id }
    }

    fn of(returned: &BasicReturnMessage) -> Self {
        let message = &returned.delivery;
        Self::new(message.exchange.as_str(), message.routing_key.as_str(), &message.properties)
    }
}

fn fate(said: Result<Confirmation, lapin::Error>, is_returned: bool) -> Fate {
    match said {
        Err(error) => Fate::Broke(error),
        // "Nobody wants it" is confirmed as well.
        Ok(_) if is_returned => Fate::Unroutable,
        Ok(Confirmation::Ack(None)) => Fate::Stored,
        Ok(Confirmation::Ack(Some(_))) => Fate::Unclear,
        Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => Fate::Refused,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lapin::message::Delivery;

    use super::*;

    type Says = oneshot::Sender<Confirmation>;

    /// A publish to that queue, what the broker is to say of it, and what it is told.
    fn publish(queue: &str) -> (UnderWay, Says, oneshot::Receiver<Fate>) {
        let (says, said) = oneshot::channel();
        let (told, fate) = oneshot::channel();
        let name = Name::new("", queue, &BasicProperties::default());
        let publish = Some(Publish { name, told, is_returned: false });
        let confirming = Box::pin(async move { Ok(said.await.unwrap()) });
        (UnderWay { publish, confirming }, says, fate)
    }

    fn stored_with_the_return_of(queue: &str) -> Confirmation {
        let delivery = Delivery::mock(0, "".into(), queue.into(), false, Vec::new());
        let (reply_code, reply_text) = (312, "NO_ROUTE".into());
        Confirmation::Ack(Some(BasicReturnMessage { delivery, reply_code, reply_text }))
    }

    fn round(under_way: &mut FuturesUnordered<UnderWay>) {
        let all = hear(under_way, &mut Context::from_waker(std::task::Waker::noop()));
        tell(all, under_way);
    }

    #[test]
    fn a_return_that_another_brings_is_remembered() {
        let (gone, gone_says, mut gone_told) = publish("gone");
        let (there, there_says, mut there_told) = publish("there");
        let mut under_way = FuturesUnordered::from_iter([gone, there]);
        round(&mut under_way);
        there_says.send(stored_with_the_return_of("gone")).unwrap();
        round(&mut under_way);
        let fate = there_told.try_recv().unwrap();
        assert!(matches!(fate, Fate::Unclear), "its own return may come: {fate:?}");
        gone_says.send(Confirmation::Ack(None)).unwrap();
        round(&mut under_way);
        let fate = gone_told.try_recv().unwrap();
        assert!(matches!(fate, Fate::Unroutable), "{fate:?}");
    }

    #[test]
    fn nobody_is_told_before_all_that_was_said_is_heard() {
        let (gone, gone_says, mut gone_told) = publish("gone");
        let (there, there_says, _there_told) = publish("there");
        there_says.send(stored_with_the_return_of("gone")).unwrap();
        gone_says.send(Confirmation::Ack(None)).unwrap();
        let mut under_way = FuturesUnordered::from_iter([gone, there]);
        round(&mut under_way);
        let fate = gone_told.try_recv().unwrap();
        assert!(matches!(fate, Fate::Unroutable), "{fate:?}");
    }

    #[test]
    fn those_that_wake_themselves_keep_nothing_from_being_heard() {
        let (gone, gone_says, mut gone_told) = publish("gone");
        let (there, there_says, _there_told) = publish("there");
        let restless = || {
            let (mut restless, ..) = publish("restless");
            restless.confirming = Box::pin(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::Pending
            }));
            restless
        };
        there_says.send(stored_with_the_return_of("gone")).unwrap();
        gone_says.send(Confirmation::Ack(None)).unwrap();
        let mut under_way = FuturesUnordered::from_iter([gone, restless(), restless(), there]);
        round(&mut under_way);
        let fate = gone_told.try_recv().unwrap();
        assert!(matches!(fate, Fate::Unroutable), "{fate:?}");
    }
}
