//! A private Redis.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::folder::{Folder, free_port};
use crate::guarded::Guarded;
use crate::leash::EndsOn;
use crate::probe::await_ready;
use crate::program::installed;
use crate::service::Service;

/// It answers within 0.2 s on an idle machine, also after a kill.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A Redis on a port of its own, which can be stopped, killed and started again at the same place.
pub struct Redis {
    port: u16,
    arguments: Vec<String>,
    running: Option<Guarded>,
    folder: Folder,
}

impl Redis {
    /// One that keeps nothing when it dies. Not started yet.
    ///
    /// # Errors
    /// There is no folder or port for it.
    pub fn new() -> anyhow::Result<Self> {
        let folder = Folder::new("redis")?;
        Ok(Self { port: free_port()?, arguments: Vec::new(), running: None, folder })
    }

    /// One that writes down every command before it answers, and has it all when it is started
    /// again.
    ///
    /// # Errors
    /// As [`Redis::new`].
    pub fn durable() -> anyhow::Result<Self> {
        Ok(Self::new()?.with(["--appendonly", "yes", "--appendfsync", "always"]))
    }

    /// With more arguments of `redis-server`.
    #[must_use]
    pub fn with<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts it, and returns when it answers. It answers without a password, or with a refusal.
    ///
    /// # Errors
    /// It is not installed, runs already, or does not answer.
    pub fn start(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "Redis runs already");
        let mut server = Command::new(installed("redis-server", &[])?);
        server.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        server.arg("--dir").arg(self.folder.path()).args(&self.arguments);
        let mut server = Guarded::start_in(&server, &self.folder, EndsOn::Kill)?;
        await_ready(Service::Redis, self.port, &mut server, START_LIMIT)?;
        self.running = Some(server);
        Ok(())
    }

    /// Where it is, with the database 0.
    pub fn url(&self) -> String {
        Service::Redis.url(self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, for certificates and the like.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The process, for who looks after it.
    ///
    /// # Errors
    /// It does not run.
    pub fn process(&mut self) -> anyhow::Result<&mut Guarded> {
        self.running.as_mut().context("Redis does not run")
    }

    /// Kills it (SIGKILL) and reaps it.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process()?.kill()?;
        self.running = None;
        Ok(())
    }

    /// Forgets what it wrote down.
    ///
    /// # Errors
    /// It runs.
    pub fn empty(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "Redis still runs");
        for name in ["appendonlydir", "appendonly.aof"] {
            let path = self.folder.path().join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(path)?;
            } else if path.exists() {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn says(redis: &Redis, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().take(2).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_durable_one_has_everything_after_a_kill_and_nothing_after_it_was_emptied() {
        let mut redis = Redis::durable().unwrap();
        redis.start().unwrap();
        assert_eq!(says(&redis, "SET ship waits"), "+OK +OK");
        redis.kill().unwrap();
        redis.start().unwrap();
        assert_eq!(says(&redis, "GET ship"), "$5 waits");
        redis.kill().unwrap();
        redis.empty().unwrap();
        redis.start().unwrap();
        assert_eq!(says(&redis, "GET ship"), "$-1 +OK");
        let folder = redis.folder().path().to_owned();
        drop(redis);
        assert!(!folder.exists(), "it took its folder along");
    }

    #[test]
    fn one_that_is_stopped_says_nothing_until_it_goes_on() {
        let mut redis = Redis::new().unwrap();
        redis.start().unwrap();
        redis.process().unwrap().stop().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        assert!(stream.read_exact(&mut answer).is_err());
        redis.process().unwrap().go_on().unwrap();
        stream.set_read_timeout(Some(START_LIMIT)).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+PONG\r\n");
    }
}
