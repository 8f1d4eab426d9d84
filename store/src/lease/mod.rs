//! Leases in Redis: one script per verb, so that each happens whole or not at all.
//!
//! Owns what is sent and what the answers mean. The rules themselves are in `../scripts`, and the
//! contract suite (`tests/it/contracts/leases.rs`) holds them to those of the memory adapter.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use sluice::lease::{Grant, LeaseError, LeaseInfo, LeaseKey, LeaseRequest, Leases, Release};
use sluice::names::{ProjectName, Sha};

use crate::Shared;
use crate::link::Trouble;
use crate::script::Script;

mod look;
mod reply;

use look::{Look, STAGGER, STAGGERED_AT_MOST};
use reply::{Fields, told};

/// How long to wait before looking again at what could not be looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The most of a phase that is noted, in characters.
const MOST_OF_A_PHASE: usize = 500;

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("../scripts/lease.lua"), include_str!($file)))
        });
    };
}
script!(ACQUIRE, "../scripts/acquire.lua");
script!(RENEW, "../scripts/renew.lua");
script!(RELEASE, "../scripts/release.lua");
script!(INSPECT, "../scripts/inspect.lua");
script!(LOOK, "../scripts/look.lua");
script!(REVOKE, "../scripts/revoke.lua");
script!(BOOT, "../scripts/boot.lua");

/// Leases in Redis, by its clock.
#[derive(Clone)]
pub struct RedisLeases {
    shared: Arc<Shared>,
}

impl RedisLeases {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The keys that a script is given: its own two, then each lease with its project's index.
    fn names<'a>(&self, keys: impl IntoIterator<Item = &'a LeaseKey>) -> Vec<String> {
        let names = &self.shared.keys;
        let pair = |key: &LeaseKey| [names.lease(key), names.lease_index(key.project())];
        let own = [names.boot(), names.epoch()];
        own.into_iter().chain(keys.into_iter().flat_map(pair)).collect()
    }

    async fn run<T: deadpool_redis::redis::FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&str],
    ) -> Result<T, Trouble> {
        let call = async |connection: &mut _| script.run(connection, keys, arguments).await;
        self.shared.link.call(call).await
    }

    /// For how long nothing is granted when this Redis has forgotten the grant that is asked for. A
    /// sweep that is forgotten is made twice, which harms nobody.
    fn freeze_of(&self, request: &LeaseRequest) -> Duration {
        let is_sweep = |key: &LeaseKey| matches!(key, LeaseKey::Sweep(_));
        if request.keys.iter().all(is_sweep) {
            return self.shared.freeze;
        }
        self.shared.freeze.max(request.ttl + request.lock_delay)
    }

    async fn look(&self, names: &[String]) -> Result<Look, Trouble> {
        let freeze = millis(self.shared.freeze);
        Look::read(self.run::<Vec<String>>(&LOOK, names, &[&freeze]).await?)
    }

    /// Waits until one of the keys may have become free.
    async fn wait(&self, keys: &[LeaseKey]) {
        let names = self.names(keys);
        let leases = keys.iter().map(|key| self.shared.keys.lease(key)).collect();
        let waiter = self.shared.waiters.enter(leases);
        let mut before: Option<Look> = None;
        loop {
            let pause = match self.look(&names).await {
                Ok(look) if look.is_worth_asking(before.as_ref()) => return,
                Ok(look) => {
                    let pause = look.changes_within();
                    before = Some(look);
                    pause
                }
                Err(_) => Some(LOOK_AGAIN),
            };
            tokio::select! {
                place = waiter.rung() => {
                    if place == 0 {
                        return;
                    }
                    let stagger = STAGGER.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX));
                    tokio::time::sleep(stagger.min(STAGGERED_AT_MOST)).await;
                }
                () = sleep(pause) => {}
            }
        }
    }
}

#[async_trait]
impl Leases for RedisLeases {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Grant, LeaseError> {
        let keys = each_once(&request.keys);
        let granted = |epoch, give_back, kept_for| Grant {
            keys: request.keys.clone(),
            owner: request.owner.clone(),
            epoch,
            ttl: request.ttl,
            give_back,
            kept_for,
        };
        let owner = &request.owner;
        if keys.is_empty() {
            return Ok(granted(0, Release::Free, owner.head.clone()));
        }
        let freeze = self.freeze_of(request);
        let [freeze, ttl, lock_delay] = [freeze, request.ttl, request.lock_delay].map(millis);
        let arguments = [
            freeze.as_str(),
            &ttl,
            &lock_delay,
            owner.nonce.as_str(),
            owner.job.as_str(),
            owner.host.as_str(),
            &owner.pr.to_string(),
            named(&owner.head),
        ];
        let names = self.names(keys.iter().copied());
        let answer = self.run::<Vec<Option<String>>>(&ACQUIRE, &names, &arguments).await?;
        let mut fields = Fields::new(answer);
        if fields.text()? == "granted" {
            let epoch = fields.number()?;
            return Ok(granted(epoch, fields.release()?, fields.head()?));
        }
        let which = usize::try_from(fields.number()?).unwrap_or(usize::MAX);
        let key = keys.get(which).copied().cloned().ok_or_else(|| fields.unreadable())?;
        let obstacle = fields.obstacle()?;
        Err(LeaseError::Busy { key, obstacle })
    }

    async fn renew(
        &self,
        grant: &Grant,
        phase: &str,
        give_back: Release,
    ) -> Result<(), LeaseError> {
        let keys = each_once(&grant.keys);
        if keys.is_empty() {
            return Ok(());
        }
        let phase: String = phase.chars().take(MOST_OF_A_PHASE).collect();
        let (ttl, epoch) = (millis(grant.ttl), grant.epoch.to_string());
        let nonce = grant.owner.nonce.as_str();
        let kept_for = named(&grant.kept_for);
        let arguments = [ttl.as_str(), nonce, &epoch, &phase, word(give_back), kept_for];
        let names = self.names(keys.iter().copied());
        let call = async |connection: &mut _| RENEW.run(connection, &names, &arguments).await;
        done(&keys, self.shared.link.call_renewing(call).await?)
    }

    async fn release(&self, grant: &Grant, release: Release) -> Result<(), LeaseError> {
        let keys = each_once(&grant.keys);
        if keys.is_empty() {
            return Ok(());
        }
        let channel = self.shared.keys.channel();
        let (nonce, epoch) = (grant.owner.nonce.as_str(), grant.epoch.to_string());
        let arguments = [nonce, &epoch, word(release), &channel, named(&grant.kept_for)];
        let names = self.names(keys.iter().copied());
        done(&keys, self.run(&RELEASE, &names, &arguments).await?)
    }

    async fn inspect(&self, project: &ProjectName) -> Result<Vec<LeaseInfo>, LeaseError> {
        let mut names = self.names([]);
        names.push(self.shared.keys.lease_index(project));
        let leases = self.run::<Vec<Vec<Option<String>>>>(&INSPECT, &names, &[]).await?;
        let mut infos = Vec::new();
        for lease in leases {
            let mut fields = Fields::new(lease);
            let key = self.shared.keys.parse_lease(project, &fields.text()?);
            infos.push(told(key.ok_or_else(|| fields.unreadable())?, fields)?);
        }
        infos.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(infos)
    }

    async fn changed(&self, keys: &[LeaseKey], at_most: Duration) {
        // Nothing is lost when it is late: the caller asks again.
        drop(tokio::time::timeout(at_most, Box::pin(self.wait(keys))).await);
    }

    async fn revoke(&self, key: &LeaseKey) -> Result<Option<LeaseInfo>, LeaseError> {
        let channel = self.shared.keys.channel();
        let was = self.run::<Vec<Option<String>>>(&REVOKE, &self.names([key]), &[&channel]).await?;
        if was.is_empty() { Ok(None) } else { Ok(Some(told(key.clone(), Fields::new(was))?)) }
    }

    /// Fails, too, when Redis would forget leases to make room: then nothing excludes anybody.
    async fn check(&self) -> Result<(), LeaseError> {
        boot(&self.shared, "").await?;
        let memory: String = self
            .shared
            .link
            .call(async |connection: &mut _| {
                let mut command = deadpool_redis::redis::cmd("INFO");
                command.arg("memory").query_async(connection).await
            })
            .await?;
        let says = |line: &str| memory.lines().any(|said| said.trim() == line);
        if says("maxmemory:0") || says("maxmemory_policy:noeviction") {
            return Ok(());
        }
        let why = "it forgets keys when its memory is full: set its maxmemory-policy to noeviction";
        Err(LeaseError::Unavailable(why.to_owned()))
    }
}

impl From<Trouble> for LeaseError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(trouble.to_string())
    }
}

/// Looks at the boot marker, or (`thaw`) ends the time in which nothing is granted: what was left.
pub(crate) async fn boot(shared: &Arc<Shared>, verb: &str) -> Result<Option<Duration>, Trouble> {
    let leases = RedisLeases::new(shared.clone());
    let freeze = millis(shared.freeze);
    let left: String = leases.run(&BOOT, &leases.names([]), &[&freeze, verb]).await?;
    let left = reply::duration(&left)?;
    Ok((!left.is_zero()).then_some(left))
}

/// The keys, each once, in the order in which they are named.
fn each_once(keys: &[LeaseKey]) -> Vec<&LeaseKey> {
    let mut seen = std::collections::BTreeSet::new();
    keys.iter().filter(|key| seen.insert(*key)).collect()
}

/// Whether it was done, or which key was lost.
fn done(keys: &[&LeaseKey], answer: Vec<Option<String>>) -> Result<(), LeaseError> {
    let mut fields = Fields::new(answer);
    if fields.text()? == "ok" {
        return Ok(());
    }
    let which = usize::try_from(fields.number()?).unwrap_or(usize::MAX);
    let key = keys.get(which).copied().cloned().ok_or_else(|| fields.unreadable())?;
    Err(LeaseError::Lost(key))
}

fn word(release: Release) -> &'static str {
    match release {
        Release::Free => "free",
        Release::Reserve => "reserve",
    }
}

/// A head as scripts are told it.
fn named(head: &Option<Sha>) -> &str {
    head.as_ref().map_or("", Sha::as_str)
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// Sleeps, or for ever.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
