//! RabbitMQ and Redis.

use std::sync::Arc;

use sluice::clock::{Clock, unix_ms};
use sluice::config::{Config, LeaseStore, QueueStore};
use sluice::queue::Route;
use sluice_service::Stores;
use sluice_service::redis::Condition;

use super::{Findings, clock_skew};
use crate::verbs::show::long;

pub(super) async fn check(config: &Config, clock: &Arc<dyn Clock>, findings: &mut Findings) {
    let stores = match Stores::connect(config, &sluice_service::host("sluice doctor"), clock) {
        Ok(stores) => stores,
        Err(error) => {
            let advice = "mend queue.url or lease.url";
            return findings.bad("stores", format!("{error:#}"), advice);
        }
    };
    match config.queue.url {
        QueueStore::Memory => findings.fair(
            "queue",
            "in memory",
            "fine for `sluice up`, which loses what waits when it ends; producers and workers of \
             their own need a RabbitMQ",
        ),
        QueueStore::Amqp(_) => queue(config, &stores, findings).await,
    }
    match config.lease.url {
        LeaseStore::Memory => findings.fair(
            "leases",
            "in memory",
            "fine for one `sluice up`; more than one process needs a Redis",
        ),
        LeaseStore::Redis(_) => redis(clock, &stores, findings).await,
    }
}

async fn queue(config: &Config, stores: &Stores, findings: &mut Findings) {
    if let Err(error) = stores.queue.check().await {
        let advice = "see that RabbitMQ runs, that queue.url names its address, account and \
                      virtual host, and that the account may configure, write and read there";
        return findings.bad("RabbitMQ", error.to_string(), advice);
    }
    findings.good("RabbitMQ", "takes jobs");
    let projects = config.projects.iter().map(|project| project.name.clone());
    let routes = [Route::Approval, Route::Gate].into_iter();
    for route in routes.chain(projects.map(Route::Deploy)) {
        if let Err(error) = stores.queue.waiting(&route).await {
            let advice = "the queue is there with other properties, or may not be looked at: \
                          compare it with docs/operations.md, drain it and delete it, and it is \
                          made anew";
            return findings.bad("queues", format!("{}: {error}", route.queue()), advice);
        }
    }
    findings.good("queues", "all there");
    match stores.dead.list(1000).await {
        Ok(dead) if dead.is_empty() => findings.good("dead letters", "none"),
        Ok(dead) => findings.fair(
            "dead letters",
            format!("{}", dead.len()),
            "look at them with `sluice dead list`, then retry or drop them",
        ),
        Err(error) => findings.bad("dead letters", error.to_string(), "see RabbitMQ's log"),
    }
}

async fn redis(clock: &Arc<dyn Clock>, stores: &Stores, findings: &mut Findings) {
    if let Err(error) = stores.leases.check().await {
        let advice = "see that Redis runs, and that lease.url names its address, account and \
                      password; without it no deploy starts";
        return findings.bad("Redis", error.to_string(), advice);
    }
    let Some(store) = &stores.redis else { return };
    match store.condition().await {
        Ok(condition) => condition_of(clock, &condition, findings),
        Err(error) => findings.fair(
            "Redis",
            format!("answers, but says nothing of itself: {error}"),
            "give its account the right to INFO and TIME, for the sake of this check",
        ),
    }
}

fn condition_of(clock: &Arc<dyn Clock>, condition: &Condition, findings: &mut Findings) {
    findings.good("Redis", format!("version {}", condition.version));
    match condition.eviction.as_str() {
        "noeviction" => findings.good("Redis' eviction", "noeviction"),
        policy => findings.bad(
            "Redis' eviction",
            policy,
            "set `maxmemory-policy noeviction`: a lease that is evicted is granted twice",
        ),
    }
    match condition.is_persistent {
        true => findings.good("Redis' persistence", "appendonly"),
        false => findings.fair(
            "Redis' persistence",
            "a restart forgets leases, reservations and pauses",
            "set `appendonly yes`; without it, grants rest after each restart for TTL and \
             lock-delay, and what was \"applied, not merged\" is no longer reserved",
        ),
    }
    match condition.frozen {
        None => findings.good("Redis' memory", "whole since TTL and lock-delay"),
        Some(left) => findings.fair(
            "Redis' memory",
            format!("new or restarted: no lease is granted for another {}", long(left)),
            "wait: whoever it has forgotten stops meanwhile",
        ),
    }
    clock_skew("Redis' clock", unix_ms(clock.now()), condition.now_ms, findings);
}
