//! One channel on which many publishes are under way.
//!
//! Owns telling each publish its own fate. The client hands a returned message to whichever
//! confirmation comes next, and numbers publishes as they are begun: so one task begins all of them
//! and reads all confirmations, and tells a fate only when it has seen everything that was said
//! before it. Refuses to know what is published, and what is done about a failure.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::poll_fn;
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
        tokio::spawn(Work { channel: channel.clone(), under_way: Vec::new() }.run(coming));
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

/// A publish that is under way.
struct UnderWay {
    name: Name,
    confirming: Confirming,
    told: oneshot::Sender<Fate>,
    said: Option<Result<Confirmation, lapin::Error>>,
    is_returned: bool,
}

struct Work {
    channel: Channel,
    under_way: Vec<UnderWay>,
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while poll_fn(|cx| self.poll(cx, &mut orders)).await {
            self.tell();
        }
    }

    /// Ready when something was said; `false` when nobody is left.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Poll<bool> {
        let is_over = loop {
            match orders.poll_recv(cx) {
                Poll::Ready(Some(order)) => self.begin(order),
                Poll::Ready(None) => break self.under_way.is_empty(),
                Poll::Pending => break false,
            }
        };
        // What was said before the last word that was heard is heard in the next round.
        let mut is_news = false;
        while self.hear(cx) {
            is_news = true;
        }
        match (is_news, is_over) {
            (true, _) => Poll::Ready(true),
            (false, true) => Poll::Ready(false),
            (false, false) => Poll::Pending,
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
        self.under_way.push(UnderWay { name, confirming, told, said: None, is_returned: false });
    }

    /// Takes in what was said since; whether anything was.
    fn hear(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_news = false;
        for publish in self.under_way.iter_mut().filter(|publish| publish.said.is_none()) {
            if let Poll::Ready(said) = publish.confirming.as_mut().poll(cx) {
                publish.said = Some(said);
                is_news = true;
            }
        }
        is_news
    }

    /// Tells everybody of whom something was said.
    fn tell(&mut self) {
        let carried = self.under_way.iter().filter_map(UnderWay::carried);
        let returned: Vec<Name> = carried.map(Name::of).collect();
        for publish in &mut self.under_way {
            publish.is_returned |= returned.contains(&publish.name);
        }
        let all = std::mem::take(&mut self.under_way);
        for mut publish in all {
            match publish.said.take() {
                None => self.under_way.push(publish),
                // Nobody to tell: it was given up.
                Some(said) => drop(publish.told.send(fate(said, publish.is_returned))),
            }
        }
    }
}

impl UnderWay {
    /// The returned message that came with its confirmation: anybody's.
    fn carried(&self) -> Option<&BasicReturnMessage> {
        match self.said.as_ref()? {
            Ok(Confirmation::Ack(carried) | Confirmation::Nack(carried)) => carried.as_ref(),
            Ok(Confirmation::NotRequested) | Err(_) => None,
        }
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
