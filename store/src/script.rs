//! Scripts: sent by their hash, and whole when Redis does not know them (any more).

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    self, ErrorKind, FromRedisValue, RedisError, Script as Hashed, ServerErrorKind,
};

/// A script and its hash.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: Hashed::new(text).get_hash().to_owned() }
    }

    /// Runs it. Redis runs nothing else meanwhile, and runs it whole or not at all.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &[String],
        arguments: &[&str],
    ) -> Result<T, RedisError> {
        let invoke = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match invoke("EVALSHA", &self.hash).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                invoke("EVAL", self.text).query_async(connection).await
            }
            answer => answer,
        }
    }
}
