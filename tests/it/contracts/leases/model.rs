//! Random histories of leases, each step checked against the plainest statement of the rules.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::lease::{Grant, LeaseError, LeaseKey, LeaseRequest, Leases, Owner, Release};
use sluice::names::{JobId, PrNumber, ProjectName, Sha};

use super::Memory;

const TTL: u64 = 4;
const LOCK_DELAY: u64 = 2;

#[derive(Debug, Clone)]
enum Step {
    /// A job asks for the keys whose bits are set.
    Acquire {
        job: usize,
        keys: u8,
    },
    /// A job renews the last grant that it was given, whether or not it still stands.
    Renew {
        job: usize,
        reserve: bool,
    },
    Release {
        job: usize,
        reserve: bool,
    },
    Pass {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_usize, 1..8_u8).prop_map(|(job, keys)| Step::Acquire { job, keys }),
        (0..3_usize, any::<bool>()).prop_map(|(job, reserve)| Step::Renew { job, reserve }),
        (0..3_usize, any::<bool>()).prop_map(|(job, reserve)| Step::Release { job, reserve }),
        (1..5_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// Who has a key. Time is in seconds.
#[derive(Clone, Copy)]
struct Occupant {
    job: usize,
    epoch: u64,
    /// `None`: reserved.
    until: Option<u64>,
    /// Reserved for its job should that be lost.
    kept: bool,
}

#[derive(Default)]
struct Model {
    now: u64,
    nonces: u64,
    highest: u64,
    occupants: BTreeMap<u8, Occupant>,
    last: [Option<(Grant, u8)>; 3],
}

impl Model {
    /// Whether `job` may have the key.
    fn admits(&self, key: u8, job: usize) -> bool {
        self.occupants.get(&key).is_none_or(|occupant| match occupant.until {
            None => occupant.job == job,
            Some(until) => until + LOCK_DELAY <= self.now,
        })
    }

    /// What a lost job was to keep is reserved for it, and its old grant has no say in that.
    fn keep_what_was_lost(&mut self) {
        for occupant in self.occupants.values_mut().filter(|occupant| occupant.kept) {
            if occupant.until.is_some_and(|until| until + LOCK_DELAY <= self.now) {
                (occupant.until, occupant.epoch) = (None, 0);
            }
        }
    }

    /// Whether a grant still has all its keys, held or (where that will do) reserved.
    fn has_all(&self, grant: &Grant, keys: u8, reserved_will_do: bool) -> bool {
        bits(keys).all(|key| {
            self.occupants.get(&key).is_some_and(|occupant| {
                occupant.epoch == grant.epoch
                    && occupant.until.map_or(reserved_will_do, |until| until > self.now)
            })
        })
    }
}

fn how(reserve: bool) -> Release {
    if reserve { Release::Reserve } else { Release::Free }
}

fn bits(keys: u8) -> impl Iterator<Item = u8> {
    (0..3).filter(move |bit| keys & (1 << bit) != 0)
}

fn request(job: usize, nonce: u64, keys: u8) -> LeaseRequest {
    let project = ProjectName::new("warehouse").unwrap();
    let owner = Owner {
        nonce: nonce.to_string(),
        job: JobId::new(format!("deploy-{job}")).unwrap(),
        host: "worker-1".to_owned(),
        pr: PrNumber(job as u64),
        head: Sha::new("a".repeat(40)).ok(),
    };
    LeaseRequest {
        keys: bits(keys).map(|bit| LeaseKey::Snapshot(project.clone(), bit.to_string())).collect(),
        owner,
        ttl: Duration::from_secs(TTL),
        lock_delay: Duration::from_secs(LOCK_DELAY),
    }
}

async fn take(bench: &Memory, model: &mut Model, step: Step) {
    match step {
        Step::Pass { seconds } => {
            bench.clock.leap(Duration::from_secs(seconds));
            model.now += seconds;
            model.keep_what_was_lost();
        }
        Step::Acquire { job, keys } => acquire(bench, model, (job, keys)).await,
        Step::Renew { job, reserve } => {
            let Some((grant, keys)) = model.last[job].clone() else { return };
            let stands = model.has_all(&grant, keys, false);
            let renewed = bench.leases.renew(&grant, "", how(reserve)).await;
            assert_eq!(renewed.is_ok(), stands, "renewal");
            let until = Some(model.now + TTL);
            for key in bits(keys).filter(|_| stands) {
                let occupant = model.occupants.entry(key);
                occupant.and_modify(|o| (o.until, o.kept) = (until, reserve));
            }
        }
        Step::Release { job, reserve } => {
            let Some((grant, keys)) = model.last[job].clone() else { return };
            let release = how(reserve);
            let stands = model.has_all(&grant, keys, true);
            assert_eq!(bench.leases.release(&grant, release).await.is_ok(), stands, "release");
            for key in bits(keys).filter(|_| stands) {
                match release {
                    Release::Free => drop(model.occupants.remove(&key)),
                    Release::Reserve => {
                        model.occupants.entry(key).and_modify(|o| o.until = None);
                    }
                }
            }
        }
    }
}

async fn acquire(bench: &Memory, model: &mut Model, (job, keys): (usize, u8)) {
    model.nonces += 1;
    let admitted = bits(keys).all(|key| model.admits(key, job));
    match bench.leases.acquire(&request(job, model.nonces, keys)).await {
        Ok(grant) => {
            assert!(admitted, "granted although a key was taken");
            assert!(grant.epoch > model.highest, "the epoch did not rise");
            model.highest = grant.epoch;
            for key in bits(keys) {
                let kept = model.occupants.get(&key).is_some_and(|before| before.until.is_none());
                let until = Some(model.now + TTL);
                let occupant = Occupant { job, epoch: grant.epoch, until, kept };
                model.occupants.insert(key, occupant);
            }
            model.last[job] = Some((grant, keys));
        }
        Err(LeaseError::Busy { .. }) => assert!(!admitted, "busy although all keys were free"),
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #[test]
    fn any_history_obeys_the_rules(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (bench, mut model) = (Memory::new(), Model::default());
            for step in steps {
                take(&bench, &mut model, step).await;
            }
        });
    }
}
