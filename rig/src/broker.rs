//! A private RabbitMQ.
//!
//! Owns everything that a node must be told so that it shares nothing with one that runs already:
//! ports, folders, name, cookie, and an Erlang name service of its own, because one that the node
//! starts as a daemon would leave our process group and outlive us.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context as _;

use crate::folder::{Folder, free_port};
use crate::guarded::Guarded;
use crate::leash::EndsOn;
use crate::probe::await_ready;
use crate::program::{capture, installed};
use crate::service::Service;

/// It answers after 13-18 s on an idle machine, after a kill after 14-27 s.
const START_LIMIT: Duration = Duration::from_secs(120);

/// `rabbitmqctl` starts an Erlang machine of its own: 2-3 s on an idle machine.
const CONTROL_LIMIT: Duration = Duration::from_secs(60);

/// A node on ports of its own, which can be stopped, killed and started again at the same place.
///
/// It takes a quarter of a minute and 125 MiB: use one for as many rounds as you can.
pub struct Broker {
    ports: Ports,
    running: Option<Guarded>,
    _names: Guarded,
    folder: Folder,
}

struct Ports {
    amqp: u16,
    inner: u16,
    names: u16,
}

impl Broker {
    /// A node with these further lines in its `rabbitmq.conf`. Not started yet.
    ///
    /// # Errors
    /// It is not installed, or there is no folder or port for it.
    pub fn new(settings: &str) -> anyhow::Result<Self> {
        let folder = Folder::new("rabbitmq")?;
        let path = folder.path();
        let settings = format!("log.console = true\nlog.file = false\n{settings}");
        std::fs::write(path.join("rabbitmq.conf"), settings)?;
        std::fs::write(path.join("enabled_plugins"), "[].\n")?;
        std::fs::write(path.join("advanced.config"), "[].\n")?;
        let ports = Ports { amqp: free_port()?, inner: free_port()?, names: free_port()? };
        let mut names = Command::new(installed("epmd", &[])?);
        names.args(["-address", "127.0.0.1", "-port", &ports.names.to_string()]);
        let names = Guarded::start_in(&names, &folder, EndsOn::Kill)?;
        Ok(Self { ports, running: None, _names: names, folder })
    }

    /// With this `advanced.config` (Erlang terms), for what `rabbitmq.conf` cannot say.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn advanced(self, config: &str) -> anyhow::Result<Self> {
        std::fs::write(self.folder.path().join("advanced.config"), config)?;
        Ok(self)
    }

    /// Starts it, with whatever an earlier life left, and returns when it answers.
    ///
    /// # Errors
    /// It runs already, or does not answer.
    pub fn start(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "RabbitMQ runs already");
        let server = self.command("rabbitmq-server")?;
        let mut server = Guarded::start_in(&server, &self.folder, EndsOn::Kill)?;
        await_ready(Service::RabbitMq, self.ports.amqp, &mut server, START_LIMIT)?;
        self.running = Some(server);
        Ok(())
    }

    /// Where it is, with the account guest and the virtual host `/`.
    pub fn url(&self) -> String {
        Service::RabbitMq.url(self.ports.amqp)
    }

    /// Its AMQP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.amqp
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
        self.running.as_mut().context("RabbitMQ does not run")
    }

    /// Kills it (SIGKILL) with all that it started, and reaps it. Its data stay.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process()?.kill()?;
        self.running = None;
        Ok(())
    }

    /// Runs `rabbitmqctl` for this node and returns what it printed.
    ///
    /// # Errors
    /// It failed, or took too long.
    pub fn control(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("rabbitmqctl")?;
        command.args(["--quiet", "--node", &self.node()]).args(arguments);
        let Output { status, stdout, stderr } = capture(&mut command, CONTROL_LIMIT)?;
        let complaint = String::from_utf8_lossy(&stderr);
        anyhow::ensure!(status.success(), "rabbitmqctl {arguments:?}: {}", complaint.trim());
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    fn node(&self) -> String {
        format!("sluice-test-{}@localhost", self.ports.amqp)
    }

    /// One of its programs, in its surroundings.
    fn command(&self, program: &str) -> anyhow::Result<Command> {
        // Debian's own wrapper on PATH switches the account and drops the environment.
        let program = installed(program, &[PathBuf::from("/usr/lib/rabbitmq/bin")])?;
        let path = self.folder.path();
        let mut command = Command::new(program);
        command
            .env("HOME", path)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.ports.names.to_string())
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.inner.to_string())
            .env("RABBITMQ_MNESIA_BASE", path.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", path.join("log"))
            .env("RABBITMQ_PID_FILE", path.join("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", path.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", path.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path.join("enabled_plugins"));
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn it_is_killed_started_again_and_asked_and_takes_its_folder_along() {
        let mut broker = Broker::new("").unwrap();
        broker.start().unwrap();
        broker.kill().unwrap();
        broker.start().unwrap();
        assert!(broker.control(&["list_connections", "pid"]).is_ok());
        let folder = broker.folder().path().to_owned();
        drop(broker);
        assert!(!folder.exists());
    }
}
