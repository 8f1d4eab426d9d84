//! The connections, and calls over them that end in time.
//!
//! Owns a connection that most calls share, and one for renewals alone: a burst of other calls is a
//! long line of answers, and a renewal must not stand in it.

use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError};
use deadpool_redis::{Connection, Manager, Pool, PoolConfig, PoolError, Runtime, Timeouts};
use sluice::clock::{Clock as _, SystemClock};
use tokio::sync::Mutex;

use crate::settings::{BadSettings, Settings};

/// A connection that nothing was sent over for this long is asked whether it is there before it is
/// used again: nobody would have noticed that it broke. Redis was seen to restart within 100 ms.
const SILENT: Duration = Duration::from_millis(20);

/// Why Redis did not do it. Never says the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It refused, or the connection broke.
    #[error("{0}")]
    Redis(#[from] RedisError),
    /// It gave no answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It answered what sluice never wrote.
    #[error("it holds what cannot be read: {0}")]
    Unreadable(String),
}

/// The connections to one Redis.
pub(crate) struct Link {
    calls: Line,
    renewals: Line,
    within: Duration,
}

impl Link {
    pub(crate) fn new(client: &Client, settings: &Settings) -> Result<Self, BadSettings> {
        let within = settings.answer_within();
        Ok(Self { calls: Line::new(client, within)?, renewals: Line::new(client, within)?, within })
    }

    /// Calls over the connection that most share.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Trouble> {
        self.over(&self.calls, call).await
    }

    /// Calls over the connection for renewals.
    pub(crate) async fn call_renewing<T>(
        &self,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Trouble> {
        self.over(&self.renewals, call).await
    }

    async fn over<T>(
        &self,
        line: &Line,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Trouble> {
        let mut used = None;
        let answer = tokio::time::timeout(
            self.within,
            Box::pin(async {
                let (number, mut connection) = line.connection(self.within).await?;
                used = Some(number);
                Ok(call(&mut connection).await?)
            }),
        );
        let answer = answer.await.unwrap_or(Err(Trouble::Late(self.within)));
        if let (Err(trouble), Some(number)) = (&answer, used)
            && trouble.is_of_the_connection()
        {
            line.give_up(number).await;
        }
        answer
    }
}

impl Trouble {
    /// Whether another connection may do better.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_unrecoverable_error() || error.is_timeout(),
            Self::Late(_) => true,
            Self::Unreadable(_) => false,
        }
    }
}

/// One connection for many calls at once, which leave together and are answered in order. It is
/// made when it is needed, and made again when it has failed.
struct Line {
    /// Of one connection, which it makes and asks whether it is there.
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many connections there were.
    made: u64,
    held: Option<Held>,
}

struct Held {
    connection: Connection,
    used: Instant,
}

impl Line {
    fn new(client: &Client, within: Duration) -> Result<Self, BadSettings> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(within));
        let unusable = |error: String| BadSettings::Address(error);
        let address = client.get_connection_info().clone();
        let manager = Manager::new_with_config(address, config)
            .map_err(|error| unusable(error.to_string()))?;
        let timeouts =
            Timeouts { wait: Some(within), create: Some(within), recycle: Some(within / 2) };
        let pool = Pool::builder(manager)
            .config(PoolConfig { max_size: 1, timeouts, ..PoolConfig::default() })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { pool, state: Mutex::default() })
    }

    /// The connection, and its number.
    async fn connection(&self, within: Duration) -> Result<(u64, MultiplexedConnection), Trouble> {
        let mut state = self.state.lock().await;
        let now = SystemClock.instant();
        if let Some(held) = &mut state.held
            && now.saturating_duration_since(held.used) < SILENT
        {
            held.used = now;
            let connection = MultiplexedConnection::clone(&held.connection);
            return Ok((state.made, connection));
        }
        // Back to the pool, which asks whether it is there before it gives it out again.
        state.held = None;
        let connection = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => Trouble::Redis(error),
            _ => Trouble::Late(within),
        })?;
        state.made += 1;
        let shared = MultiplexedConnection::clone(&connection);
        state.held = Some(Held { connection, used: now });
        Ok((state.made, shared))
    }

    /// That connection is of no use any more; a newer one may be.
    async fn give_up(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.made == number
            && let Some(held) = state.held.take()
        {
            drop(Connection::take(held.connection));
        }
    }
}
