//! The services that tests may ask for, and what they are called where.

use std::fmt;

/// A service that sluice, or a project that it deploys, talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The broker.
    RabbitMq,
    /// The store of leases and of what is remembered.
    Redis,
    /// A warehouse.
    Postgres,
}

impl Service {
    /// Each of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::RabbitMq, Self::Redis, Self::Postgres];

    /// The environment variable in which tests find its URL.
    pub fn variable(self) -> &'static str {
        match self {
            Self::RabbitMq => "SLUICE_TEST_AMQP_URL",
            Self::Redis => "SLUICE_TEST_REDIS_URL",
            Self::Postgres => "SLUICE_TEST_POSTGRES_URL",
        }
    }

    /// The port that it has unless somebody says otherwise.
    pub fn usual_port(self) -> u16 {
        match self {
            Self::RabbitMq => 5672,
            Self::Redis => 6379,
            Self::Postgres => 5432,
        }
    }

    /// The URL of an instance on `port` of this machine, with the account that
    /// [`probe`](crate::probe) tries.
    pub fn url(self, port: u16) -> String {
        match self {
            Self::RabbitMq => format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
            Self::Redis => format!("redis://127.0.0.1:{port}/0"),
            Self::Postgres => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        }
    }

    /// Its name in docker-compose.yml.
    pub fn compose_name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// Debian's package of it.
    pub fn debian_package(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq-server",
            Self::Redis => "redis-server",
            Self::Postgres => "postgresql",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RabbitMq => "RabbitMQ",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
        })
    }
}
