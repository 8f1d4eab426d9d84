//! The servers that everything is measured on, and a configuration that names them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use sluice::clock::{Clock, SystemClock};
use sluice::config::{Config, Role, Variables};
use sluice_rig::{Broker, Redis};
use sluice_service::Stores;

/// What webhooks are signed with.
pub(crate) const SECRET: &str = "the bench's own webhook secret";

/// The only project.
pub(crate) const PROJECT: &str = "warehouse";

/// A broker and a Redis of our own.
pub(crate) struct Machine {
    broker: Broker,
    redis: Redis,
}

impl Machine {
    /// Starts both; the broker takes a quarter of a minute.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (mut broker, mut redis) = (Broker::new("")?, Redis::new()?);
        broker.start()?;
        redis.start()?;
        Ok(Self { broker, redis })
    }

    pub(crate) fn amqp(&self) -> String {
        self.broker.url()
    }

    pub(crate) fn redis(&self) -> String {
        self.redis.url()
    }

    /// Written down, for a process that reads it.
    pub(crate) fn config_file(&self, gate_slots: u16) -> anyhow::Result<PathBuf> {
        let (folder, amqp, redis) = (self.broker.folder().path(), self.amqp(), self.redis());
        let data = folder.join("data");
        let text = format!(
            "[queue]\nurl = {amqp:?}\n[lease]\nurl = {redis:?}\n\
             [producer]\nlisten = \"127.0.0.1:0\"\n\
             [worker]\nmetrics_listen = \"127.0.0.1:0\"\ngate_slots = {gate_slots}\n\
             data_dir = {data:?}\n\
             [[project]]\nname = \"{PROJECT}\"\nrepository = \"acme/warehouse\"\n\
             python = \"python3\"\n"
        );
        let file = folder.join(format!("sluice-{gate_slots}.toml"));
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// What a process of ours would be told.
    pub(crate) fn config(&self, gate_slots: u16) -> anyhow::Result<Config> {
        let file = self.config_file(gate_slots)?;
        let roles = [Role::Producer, Role::Worker];
        Config::load(Some(&file), &variables(), &roles).context("the bench's own configuration")
    }

    /// Lets the new Redis grant leases at once: nobody can hold one from before it was started.
    pub(crate) async fn thaw(&self) -> anyhow::Result<()> {
        let settings = sluice_store::Settings::of(&self.config(1)?.lease).context("no Redis")?;
        sluice_store::Store::connect(&settings)?.thaw().await?;
        Ok(())
    }

    /// The stores, once they answer.
    pub(crate) async fn stores(&self, config: &Config) -> anyhow::Result<Stores> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stores = Stores::connect_shared(config, "bench", &clock)?;
        stores.queue.check().await?;
        stores.leases.check().await?;
        Ok(stores)
    }
}

/// The secrets that a process of ours would be given.
pub(crate) fn variables() -> Variables {
    [("SLUICE_WEBHOOK_SECRET", SECRET), ("GITHUB_TOKEN", "nobody asks GitHub")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
