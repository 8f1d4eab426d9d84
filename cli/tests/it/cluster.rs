//! A cluster of one test: a configuration, and queues and keys of its own.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluice::clock::{Clock, SystemClock};
use sluice::config::{Config, Variables};
use sluice::names::ProjectName;
use sluice_service::Stores;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    pub(crate) stores: Stores,
    pub(crate) prefix: String,
}

/// Where a store of the tests is, unless the environment says otherwise.
pub(crate) fn usual(variable: &str, usual: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| usual.to_owned())
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let prefix = format!("test-{:016x}", rand::random::<u64>());
        let amqp = usual("SLUICE_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
        let redis = usual("SLUICE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0");
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[github]\napi_url = \"http://127.0.0.1:9\"\n\
             [queue]\nurl = \"{amqp}\"\nprefix = \"{prefix}\"\n\
             [lease]\nurl = \"{redis}\"\nkey_prefix = \"{prefix}\"\n\
             ttl = \"3s\"\nrenew_every = \"200ms\"\nfence_after = \"1s\"\nlock_delay = \"100ms\"\n\
             [producer]\nlisten = \"127.0.0.1:0\"\n\
             [worker]\ndata_dir = \"data\"\nsweep_every = \"0s\"\n\
             [[project]]\nname = \"warehouse\"\nrepository = \"acme/warehouse\"\n\
             python = \"python3\"\n"
        );
        std::fs::write(folder.path().join("sluice.toml"), text).unwrap();
        let config = Config::load(Some(&folder.path().join("sluice.toml")), &Variables::new(), &[]);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stores = Stores::connect(&config.unwrap(), "a test", &clock).unwrap();
        Self { folder, stores, prefix }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("sluice.toml")
    }

    /// A Redis that was never seen before would grant nothing for a while.
    pub(crate) async fn thaw(&self) {
        self.stores.redis.as_ref().unwrap().thaw().await.unwrap();
    }

    /// Writes the configuration anew, with another GitHub.
    pub(crate) fn with_github(&self, url: &str) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        std::fs::write(self.file(), text.replace("http://127.0.0.1:9", url)).unwrap();
    }

    /// A verb on this cluster, with its file.
    pub(crate) fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(verb).arg("--config").arg(self.file());
        command.env("SLUICE_WEBHOOK_SECRET", "hush-hush").env("GITHUB_TOKEN", "ghp_hush");
        command
    }

    /// What a verb says, whether it succeeds, and what it complains of.
    pub(crate) async fn says(&self, verb: &[&str]) -> Output {
        let mut command = self.command(verb);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What a verb that succeeds says to programs.
    pub(crate) async fn json(&self, verb: &[&str]) -> Value {
        let verb: Vec<&str> = verb.iter().copied().chain(["--json"]).collect();
        let output = self.says(&verb).await;
        assert!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn warehouse() -> ProjectName {
        ProjectName::new("warehouse").unwrap()
    }

    /// Removes what the test made.
    pub(crate) async fn finish(self) {
        let url = usual("SLUICE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0");
        let client = deadpool_redis::redis::Client::open(url).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let keys: Vec<String> = deadpool_redis::redis::cmd("KEYS")
            .arg(format!("{}:*", self.prefix))
            .query_async(&mut redis)
            .await
            .unwrap();
        if !keys.is_empty() {
            let mut command = deadpool_redis::redis::cmd("DEL");
            command.arg(keys).query_async::<()>(&mut redis).await.unwrap();
        }
        let url = usual("SLUICE_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f");
        let settings = sluice::queue::amqp::AmqpSettings {
            prefix: self.prefix.clone(),
            ..sluice::queue::amqp::AmqpSettings::new(
                sluice::config::Secret::new(url),
                vec![Self::warehouse()],
                sluice::queue::RetryPolicy::default(),
            )
        };
        let queue = sluice::queue::amqp::AmqpQueue::connect(settings, Arc::new(SystemClock));
        queue.unwrap().delete_all().await.unwrap();
    }
}
