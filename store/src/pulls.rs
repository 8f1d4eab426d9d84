//! What was heard and seen of pull requests, in Redis: one script per verb.
//!
//! Owns what is sent and what the answers mean. What cannot be read was never heard of.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use sluice::ledger::{Lately, SeenHead};
use sluice::names::{PrNumber, ProjectName, Sha};

use crate::Shared;
use crate::script::Script;

/// How long a pull request is remembered after the last event: far longer than a message waits.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// How many events of one pull request keep their number: far more than wait at a time.
const MOST_EVENTS: u32 = 1000;

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("scripts/pull.lua"), include_str!($file)))
        });
    };
}
script!(HEAR, "scripts/hear.lua");
script!(LATELY, "scripts/lately.lua");
script!(SEE, "scripts/see.lua");
script!(LOOKED, "scripts/looked.lua");

/// What was heard and seen of pull requests.
#[derive(Clone)]
pub(crate) struct Pulls {
    shared: Arc<Shared>,
}

impl Pulls {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) async fn hear(
        &self,
        (project, pr): (&ProjectName, PrNumber),
        message: &str,
        named: Option<&Sha>,
    ) -> Option<(u64, Lately)> {
        let keys = &self.shared.keys;
        let keys = [keys.pull(project, pr), keys.events(project, pr)];
        let named = named.map_or("", Sha::as_str);
        let (remembered, most) = (remembered(), MOST_EVENTS.to_string());
        let answer: Vec<String> =
            self.run(&HEAR, &keys, &[message, named, &remembered, &most]).await?;
        Some((number(answer.last()?)?, read(&answer)?))
    }

    pub(crate) async fn lately(&self, project: &ProjectName, pr: PrNumber) -> Option<Lately> {
        let answer: Vec<String> =
            self.run(&LATELY, &[self.shared.keys.pull(project, pr)], &[]).await?;
        read(&answer)
    }

    pub(crate) async fn see(&self, project: &ProjectName, pr: PrNumber, head: &Sha) {
        let arguments = [head.as_str(), &remembered()];
        self.run::<()>(&SEE, &[self.shared.keys.pull(project, pr)], &arguments).await;
    }

    pub(crate) async fn looked(&self, project: &ProjectName, pr: PrNumber, heard: u64) {
        let keys = [self.shared.keys.pull(project, pr)];
        self.run::<()>(&LOOKED, &keys, &[&heard.to_string()]).await;
    }

    /// The answer; `None`, and a warning, when there is none.
    async fn run<T: deadpool_redis::redis::FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
    ) -> Option<T> {
        let call = async |connection: &mut _| script.run(connection, keys, arguments).await;
        let answer = self.shared.link.call(call).await;
        answer.inspect_err(|error| tracing::warn!(%error, "the ledger in Redis failed")).ok()
    }
}

fn remembered() -> String {
    REMEMBERED.as_millis().to_string()
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// What the scripts' `lately` answers.
fn read(answer: &[String]) -> Option<Lately> {
    let [now, heard, looked, head, since, named, pushes, ..] = answer else { return None };
    let now = number(now)?;
    let ago = |then: u64| Duration::from_millis(now.saturating_sub(then));
    let head = Sha::new(head.as_str()).ok().zip(number(since));
    Some(Lately {
        heard: number(heard).unwrap_or_default(),
        looked: number(looked).unwrap_or_default(),
        head: head.map(|(sha, since)| SeenHead { sha, since: ago(since) }),
        named: Sha::new(named.as_str()).ok(),
        pushes: pushes.split(' ').filter_map(|then| then.parse().ok()).map(ago).collect(),
    })
}
