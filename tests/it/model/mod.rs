//! A model of the lease, queue and deploy protocol, checked in every state that it can reach.
//!
//! Three workers with a slot each, deploys of one or two projects and gate checks that build the
//! same snapshot version, and faults: a worker killed or stopped at any step, one that is cut off
//! from Redis, Redis restarted empty, messages that come twice or are taken back from a worker that
//! still runs, a merge that GitHub refuses. With all guards in place no promise breaks; with each
//! guard taken away the checker finds the history that breaks one
//! ([`with_each_guard_removed_it_finds_the_counterexample`]).
//!
//! # What stands for what
//!
//! | here | there |
//! |---|---|
//! | `queue` | `src/queue/mod.rs`; RabbitMQ as measured: order, never exclusion |
//! | `store::{acquire, release, tell, expire}` | the `Leases` port; `tell` is `renew` |
//! | `store::tick`, `must_fence` | the renewal task and the self-fence, `src/lease/hold.rs` |
//! | `Step::Clear`, `Step::Resumed` | `deploy::run`, `resumed`, `free_prod` |
//! | `Step::Environment`, `plan` | `hold` on prod, `deploy/plan.rs` |
//! | `Step::Snapshot` | `Wish::snapshots` within it; a gate check gives its slot back |
//! | `Step::Validate` | `Ticket::issue`, and `Release::Reserve` before the first stage |
//! | `Build`, `Promote`, `Finalize` | one stage each of SQLMesh's evaluator, `applying.py` |
//! | `begin_unit` | `LeaseWatch::may_start`, then `Fence._refuse_stale_plan` |
//! | `Step::Merge`, `Step::MergeSent` | `deploy/merge.rs`: the look, and the request on its way |
//! | `Step::Release`, `Step::Settle` | the end of `hold`; `run_one` in `worker/src/run.rs` |
//!
//! *Writing* is what a bridge does from the answer before a stage to that stage's end, whatever its
//! worker does meanwhile; and what a statement does that outlives its killed client, for as long
//! as it can (`LINGERS`). Two that write one environment or one snapshot version are two too many.
//!
//! # Time
//!
//! Counted in units that keep the order which real timings guarantee: `FENCE_AFTER` < `TTL`; a
//! unit passes only when whoever runs and must fence has done so, as killing takes seconds; a
//! worker that runs and reaches the store has renewed meanwhile; a statement outlives its client by
//! at most
//! `TTL - FENCE_AFTER + LOCK_DELAY`, which is 90 s as configured by default. One that runs longer
//! is beyond what a lease can exclude, as is a bridge that was stopped *within* a stage, together
//! with its worker, for longer than TTL and lock-delay, and writes on when it continues:
//! [`a_bridge_stopped_within_a_stage_is_beyond_any_lease`]. It begins no other stage.
//!
//! # Promises
//!
//! I1; I4, I7 (from every state, when nothing more goes wrong, every job ends); I6: a deploy gets
//! prod first after those that were queued before it, but for those that were delayed by trouble of
//! their own, or taken from a worker by the broker or a cancel. A crash does not change the order.
//! Between apply and merge prod loses nothing that it ran. In the end prod and main agree.
//!
//! # Found by it
//!
//! Four guards are in the code because the model broke a promise without them. The table shows how:
//!
//! - `bridge_deadline`: a worker that is stopped (SIGSTOP) leaves its bridge writing within a stage
//!   for as long as the stage takes, past TTL and lock-delay; somebody else begins to write. The
//!   fork server ends its jobs when it hears nothing of its worker (`Timings::silence`).
//! - `release_confirmed`: the store is away just when a deploy that has merged gives prod back. The
//!   message is settled, prod stays reserved for a pull request that has no job any more, and every
//!   other deploy steps aside for it, for ever. `hold` asks again, and at last says that the job is
//!   not done.
//! - `reservation_first`: prod is to be reserved before the first stage, but nobody waits for the
//!   store to have heard it: a worker that dies before that leaves prod to whoever asks.
//!   `Lease::reserve` waits.
//! - `knows_own_merge`: a copy of a deploy that waits for the lease while the first one merges
//!   refuses with "merged already", and shows that over the success. `merged_meanwhile` looks
//!   whether that was this very deploy.
//!
//! # Left out
//!
//! Approvals, newer heads, changes to main by others, statements' own transactions, GitHub's
//! answers but one refusal, turns on a conversation, the pause of a project, break-glass, retries
//! that run out, the dead letters.

mod apply;
mod guards;
mod machine;
mod queue;
mod scenario;
mod state;
mod store;
mod table;
mod trace;
mod worker;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use guards::Guards;
use machine::{GOES_ON, IN_ORDER, NEVER_LOST, ONE_WRITER, UP_TO_DATE};
use scenario::Scenario;
use state::{Faults, Job, Kind};

const NONE: Faults = Faults {
    crashes: 0,
    pauses: 0,
    suspensions: 0,
    deep_suspensions: 0,
    cuts: 0,
    redis_losses: 0,
    timeouts: 0,
    cancels: 0,
    merge_refusals: 0,
};

const fn deploy(project: usize) -> Job {
    Job { project, kind: Kind::Deploy, builds: true, copies: 1 }
}

const fn gate(project: usize) -> Job {
    Job { project, kind: Kind::Gate, builds: true, copies: 1 }
}

const TWO: &[Job] = &[deploy(0), deploy(0)];
const TWICE: &[Job] = &[Job { copies: 2, ..deploy(0) }, deploy(0)];
const WITH_A_GATE: &[Job] = &[deploy(0), gate(0)];

/// Checks everything that can happen; panics with the history of the first broken promise.
fn holds(name: &str, jobs: &[Job], faults: Faults) {
    let checker = Scenario::new(jobs, faults, Guards::ALL).checker();
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{name}: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
    if let Some((promise, path)) = checker.discoveries().into_iter().next() {
        panic!("{name}: {promise} is broken\n{}", trace::of(path));
    }
}

/// The history that breaks a promise, if there is one.
fn breaks(
    jobs: &[Job],
    faults: Faults,
    off: fn(&mut Guards),
    promise: &'static str,
) -> Option<String> {
    let mut guards = Guards::ALL;
    off(&mut guards);
    let checker = Scenario::new(jobs, faults, guards).checker();
    let first = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    let checker = checker.finish_when(first).spawn_bfs().join();
    println!("   {} states", checker.unique_state_count());
    checker.discovery(promise).map(trace::of)
}

#[test]
fn two_deploys_survive_a_crash_and_a_stopped_worker() {
    holds("crash, pause", TWO, Faults { crashes: 1, pauses: 1, ..NONE });
}

#[test]
fn jobs_delivered_twice_survive_a_crash_and_a_consumer_timeout() {
    holds("crash, timeout", TWICE, Faults { crashes: 1, timeouts: 1, ..NONE });
}

#[test]
fn the_loss_of_redis_costs_time_only() {
    for (name, faults) in [
        ("Redis lost, pause", Faults { redis_losses: 1, pauses: 1, ..NONE }),
        ("Redis lost, cut", Faults { redis_losses: 1, cuts: 1, ..NONE }),
        ("Redis lost, timeout", Faults { redis_losses: 1, timeouts: 1, ..NONE }),
        ("Redis lost, crash", Faults { redis_losses: 1, crashes: 1, cancels: 1, ..NONE }),
        ("Redis lost, merge refused", Faults { redis_losses: 1, merge_refusals: 1, ..NONE }),
    ] {
        holds(name, TWO, faults);
    }
}

#[test]
fn prod_is_kept_while_a_merge_is_refused() {
    let faults = Faults { merge_refusals: 1, cuts: 1, crashes: 1, ..NONE };
    holds("merge refused, cut, crash", TWO, faults);
}

#[test]
fn a_gate_check_and_a_deploy_build_the_same_version() {
    for (name, faults) in [
        ("gate, crash", Faults { crashes: 1, ..NONE }),
        ("gate, cut", Faults { cuts: 1, ..NONE }),
        ("gate, pause", Faults { pauses: 1, ..NONE }),
        ("gate, Redis lost", Faults { redis_losses: 1, ..NONE }),
    ] {
        holds(name, WITH_A_GATE, faults);
    }
}

#[test]
fn two_projects_share_the_workers() {
    let jobs = [deploy(0), deploy(0), deploy(1), deploy(1)];
    for (name, faults) in [
        ("two projects, crash", Faults { crashes: 1, ..NONE }),
        ("two projects, Redis lost", Faults { redis_losses: 1, ..NONE }),
        ("two projects, timeout", Faults { timeouts: 1, ..NONE }),
    ] {
        holds(name, &jobs, faults);
    }
}

#[test]
fn two_projects_share_the_workers_with_one_that_stops_and_with_copies() {
    let three = [deploy(0), deploy(0), deploy(1)];
    holds("two projects, pause", &three, Faults { pauses: 1, ..NONE });
    let twice = [Job { copies: 2, ..deploy(0) }, deploy(1)];
    holds("two projects, copies, crash", &twice, Faults { crashes: 1, ..NONE });
    holds("two projects, copies, pause", &twice, Faults { pauses: 1, ..NONE });
    holds("two projects, copies, Redis lost", &twice, Faults { redis_losses: 1, ..NONE });
}

#[test]
fn a_suspended_machine_does_no_harm_between_stages() {
    holds("suspension, cut", TWO, Faults { suspensions: 1, cuts: 1, ..NONE });
    holds("suspension, Redis lost", TWO, Faults { suspensions: 1, redis_losses: 1, ..NONE });
}

#[test]
fn three_deploys_keep_their_order() {
    holds("three", &[deploy(0), deploy(0), deploy(0)], Faults { crashes: 1, cuts: 1, ..NONE });
}

/// Documents the limit: what is frozen within a stage writes on when it thaws.
#[test]
fn a_bridge_stopped_within_a_stage_is_beyond_any_lease() {
    let faults = Faults { deep_suspensions: 1, ..NONE };
    assert!(breaks(TWO, faults, |_| {}, ONE_WRITER).is_some());
    for promise in [IN_ORDER, NEVER_LOST, UP_TO_DATE, GOES_ON] {
        assert_eq!(breaks(TWO, faults, |_| {}, promise), None, "{promise}");
    }
}

#[test]
fn with_each_guard_removed_it_finds_the_counterexample() {
    let mut blind = Vec::new();
    for row in table::ROWS {
        println!("without {}", row.guard);
        match breaks(row.jobs, row.faults, row.off, row.breaks) {
            Some(history) => println!("   breaks: {}\n{history}", row.breaks),
            None => blind.push(row.guard),
        }
        let known = breaks(row.jobs, row.faults, row.but, row.breaks);
        assert!(known.is_none(), "with {} it breaks as well:\n{known:?}", row.guard);
    }
    assert_eq!(blind, [""; 0], "their absence went unnoticed");
}
