//! One connection to the broker, kept up.
//!
//! Owns connecting again, making the topology anew, and noticing that the broker wants no more.
//! lapin's own recovery stays off: it was seen to leave publishes hanging. Refuses to know what the
//! connection is used for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::settings::{AmqpSettings, Timeouts};
use super::topology::{Topology, Undeclared};
use crate::clock::Clock;
use crate::queue::QueueError;

/// The wait before the first attempt after a connection is lost; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest wait between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a connection is looked at, besides listening to what happens to it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The largest frame. lapin keeps 64 of them for each connection, and messages have 16 KiB at most.
const FRAME_BYTES: u32 = 32 * 1024;

/// A connection that comes back by itself.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    timeouts: Timeouts,
}

/// How it stands.
#[derive(Clone)]
enum State {
    /// There is none, for this reason.
    Away(String),
    /// There will be none before somebody does something.
    Unusable(String),
    /// There is one.
    Up(Up),
}

/// A connection that was there a moment ago.
#[derive(Clone)]
pub(super) struct Up {
    connection: Arc<Connection>,
    /// Tells it from those before it.
    pub(super) number: u64,
    blocked: watch::Receiver<Option<String>>,
}

impl Up {
    /// A channel of its own. Without a bound: the caller has one for all that it does.
    pub(super) async fn channel(&self) -> Result<Channel, lapin::Error> {
        self.connection.create_channel().await
    }

    /// Returns, with its reason, when the broker takes nothing from this connection.
    pub(super) async fn blocked(&self) -> String {
        let mut blocked = self.blocked.clone();
        let why = blocked.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            // The connection is gone: whoever waits for its answers hears that.
            None => std::future::pending().await,
        }
    }
}

impl Link {
    /// The connection; waits for one as long as its caller does. Errors at once when there will be
    /// none.
    pub(super) async fn up(&self) -> Result<Up, QueueError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Away(_))).await;
        match settled.as_deref() {
            Ok(State::Up(up)) => Ok(up.clone()),
            Ok(State::Unusable(why)) => Err(QueueError::Unavailable(why.clone())),
            Ok(State::Away(_)) | Err(_) => Err(unavailable("this process ends")),
        }
    }

    /// What `work` comes to, if it does in time.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        timeout(limit, work).await.unwrap_or_else(|_| Err(self.silent(limit)))
    }

    /// A channel for one question.
    pub(super) async fn ask<T, F>(
        &self,
        question: impl FnOnce(Channel) -> F,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, lapin::Error>>,
    {
        let asked = async {
            let channel = self.up().await?.channel().await.map_err(broke)?;
            let answer = question(channel.clone()).await.map_err(broke)?;
            close(&channel).await;
            Ok(answer)
        };
        self.within(self.timeouts.request, asked).await
    }

    /// Returns when the broker takes from this connection, or there is none.
    pub(super) async fn unblocked(&self) {
        let blocked = match &*self.state.borrow() {
            State::Up(up) => Some(up.blocked.clone()),
            State::Away(_) | State::Unusable(_) => None,
        };
        if let Some(mut blocked) = blocked {
            // An error means that the connection is gone.
            drop(blocked.wait_for(Option::is_none).await);
        }
    }

    /// Whether the broker takes nothing from this connection now.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(up) if up.blocked.borrow().is_some())
    }

    /// Returns when connection `number` is not the one that is up.
    pub(super) async fn lost(&self, number: u64) {
        let mut state = self.state.clone();
        let is_another = |state: &State| !matches!(state, State::Up(up) if up.number == number);
        // An error means that nobody keeps the connection any more.
        drop(state.wait_for(is_another).await);
    }

    fn silent(&self, limit: Duration) -> QueueError {
        let limit = humantime::format_duration(limit);
        QueueError::Unavailable(match &*self.state.borrow() {
            State::Away(why) | State::Unusable(why) => why.clone(),
            State::Up(_) => format!("the broker did not answer within {limit}"),
        })
    }
}

/// Closes a channel in good order; one that is closed already is as good.
pub(super) async fn close(channel: &Channel) {
    if let Err(error) = channel.close(200, "done".into()).await {
        tracing::debug!(%error, "a channel was closed already");
    }
}

/// What a broken connection or channel means to whoever asked.
pub(super) fn broke(error: lapin::Error) -> QueueError {
    unavailable(error)
}

fn unavailable(why: impl fmt::Display) -> QueueError {
    QueueError::Unavailable(why.to_string())
}

/// Keeps one connection up.
pub(super) struct Keeper {
    uri: AMQPUri,
    name: String,
    topology: Arc<Topology>,
    /// Held while the topology is made: two connections of ours would make the same queues at once.
    making: Arc<Mutex<()>>,
    limit: Duration,
    clock: Arc<dyn Clock>,
    state: watch::Sender<State>,
    made: u64,
}

impl Keeper {
    /// A keeper and what it keeps. Nothing happens before [`run`](Self::run).
    pub(super) fn new(
        settings: &AmqpSettings,
        (uri, purpose): (AMQPUri, &str),
        (topology, making): (Arc<Topology>, Arc<Mutex<()>>),
        clock: Arc<dyn Clock>,
    ) -> (Self, Link) {
        let (state, receiver) = watch::channel(State::Away("not connected yet".to_owned()));
        let name = format!("{}: {purpose}", settings.name);
        let limit = settings.timeouts.connect;
        let keeper = Self { uri, name, topology, making, limit, clock, state, made: 0 };
        (keeper, Link { state: receiver, timeouts: settings.timeouts })
    }

    /// Connects, and again, until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let kept = async {
                match self.connect().await {
                    Ok(connection) => {
                        pause = FIRST_PAUSE;
                        let why = self.watch(connection).await;
                        self.settle(State::Away(why));
                    }
                    Err(state) => self.settle(state),
                }
                self.clock.sleep(jittered(pause)).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = kept => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn connect(&self) -> Result<Connection, State> {
        let attempt = async {
            let properties =
                ConnectionProperties::default().with_connection_name(self.name.as_str().into());
            let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
            let channel = connection.create_channel().await?;
            let _making = self.making.lock().await;
            self.topology.declare(&channel).await?;
            close(&channel).await;
            Ok(connection)
        };
        match timeout(self.limit, attempt).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(Undeclared::Broker(error))) => {
                Err(State::Away(format!("the broker cannot be reached: {error}")))
            }
            Ok(Err(mismatch @ Undeclared::Mismatch { .. })) => {
                Err(State::Unusable(mismatch.to_string()))
            }
            Err(_) => {
                let limit = humantime::format_duration(self.limit);
                Err(State::Away(format!("the broker did not answer within {limit}")))
            }
        }
    }

    /// Watches over a connection until it is lost; says why.
    async fn watch(&mut self, connection: Connection) -> String {
        // The only listener: several would share the events out among them.
        let mut events = Box::pin(connection.events_listener());
        let (blocked, receiver) = watch::channel(None);
        self.made += 1;
        let connection = Arc::new(connection);
        let up = Up { connection: connection.clone(), number: self.made, blocked: receiver };
        self.settle(State::Up(up));
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = look.tick() => {
                    if connection.status().connected() {
                        continue;
                    }
                    return "the connection is closed".to_owned();
                }
            };
            match event {
                Some(Event::ConnectionBlocked(why)) => {
                    tracing::warn!(%why, "the broker takes nothing from us");
                    blocked.send_replace(Some(why));
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker takes from us again");
                    blocked.send_replace(None);
                }
                Some(Event::Error(error)) if !connection.status().connected() => {
                    return format!("the connection was lost: {error}");
                }
                Some(_) => {}
                None => return "the connection is closed".to_owned(),
            }
        }
    }

    /// Tells everybody, and the log when it is news.
    fn settle(&self, state: State) {
        let name = &self.name;
        match (&*self.state.borrow(), &state) {
            (_, State::Up(_)) => tracing::info!(connection = name, "connected to the broker"),
            (
                State::Away(before) | State::Unusable(before),
                State::Away(why) | State::Unusable(why),
            ) if before == why => {}
            (_, State::Away(why)) => tracing::warn!(connection = name, %why, "no broker"),
            (_, State::Unusable(why)) => {
                tracing::error!(connection = name, %why, "the broker cannot be used");
            }
        }
        self.state.send_replace(state);
    }
}

/// Between half and all of it, so that many processes do not come at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..1.0))
}

/// Where the broker is. The address is never repeated: it may hold a password.
pub(super) fn address(settings: &AmqpSettings) -> Result<AMQPUri, QueueError> {
    let parsed: Result<AMQPUri, String> = settings.url.expose().parse();
    let mut uri = parsed
        .map_err(|_| QueueError::Invalid("the broker's address is not one of AMQP".to_owned()))?;
    let seconds = u16::try_from(settings.heartbeat.as_secs()).unwrap_or(u16::MAX);
    uri.query.heartbeat.get_or_insert(seconds.max(1));
    uri.query.frame_max.get_or_insert(FRAME_BYTES);
    let limit = u64::try_from(settings.timeouts.connect.as_millis()).unwrap_or(u64::MAX);
    uri.query.connection_timeout.get_or_insert(limit);
    Ok(uri)
}
