//! The connections, and calls over them that end in time.
//!
//! Owns a pool for most calls, and a connection for renewals alone: a burst of other calls takes
//! every connection of the pool, and a renewal must not stand in that line.

use std::future::Future;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisError};
use deadpool_redis::{Manager, Pool, PoolConfig, PoolError, Runtime, Timeouts};
use tokio::sync::Mutex;

use crate::settings::{BadSettings, Settings};

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
    pool: Pool,
    renewals: Single,
    within: Duration,
}

impl Link {
    pub(crate) fn new(client: Client, settings: &Settings) -> Result<Self, BadSettings> {
        let within = settings.answer_within();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(within));
        let unusable = |error: String| BadSettings::Address(error);
        let address = client.get_connection_info().clone();
        let manager = Manager::new_with_config(address, config.clone())
            .map_err(|error| unusable(error.to_string()))?;
        let pool = Pool::builder(manager)
            .config(PoolConfig {
                max_size: settings.connections.max(1),
                timeouts: Timeouts {
                    wait: Some(within),
                    create: Some(within),
                    recycle: Some(within / 2),
                },
                ..PoolConfig::default()
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let renewals = Single { client, config, connection: Mutex::default() };
        Ok(Self { pool, renewals, within })
    }

    /// Calls over a connection of the pool.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Trouble> {
        self.in_time(async {
            let mut connection = self.pool.get().await.map_err(|error| match error {
                PoolError::Backend(error) => Trouble::Redis(error),
                _ => Trouble::Late(self.within),
            })?;
            Ok(call(&mut connection).await?)
        })
        .await
    }

    /// Calls over the connection for renewals.
    pub(crate) async fn call_renewing<T>(
        &self,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Trouble> {
        let answer = self
            .in_time(async {
                let mut connection = self.renewals.connection().await?;
                Ok(call(&mut connection).await?)
            })
            .await;
        if let Err(trouble) = &answer
            && trouble.is_of_the_connection()
        {
            self.renewals.drop_connection().await;
        }
        answer
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        tokio::time::timeout(self.within, Box::pin(call))
            .await
            .unwrap_or(Err(Trouble::Late(self.within)))
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

/// One connection, made when it is needed and made again when it has failed.
struct Single {
    client: Client,
    config: AsyncConnectionConfig,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Single {
    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = &*current {
            return Ok(connection.clone());
        }
        let new = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        *current = Some(new.clone());
        Ok(new)
    }

    async fn drop_connection(&self) {
        *self.connection.lock().await = None;
    }
}
