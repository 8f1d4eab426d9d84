//! The clauses of the `Leases` contract. Each says one promise of `src/lease/mod.rs`.

use std::sync::Arc;
use std::time::Duration;

use sluice::lease::{
    Grant, LeaseError, LeaseKey, LeaseRequest, Obstacle, Owner, Release, Standing,
};
use sluice::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use tokio::sync::Barrier;

use super::Bench;

mod kept;
mod revoked;
pub(super) use kept::*;
pub(super) use revoked::*;

/// In units of the bench.
const TTL: u32 = 4;
const LOCK_DELAY: u32 = 2;

fn project() -> ProjectName {
    ProjectName::new("warehouse").unwrap()
}

fn prod() -> LeaseKey {
    LeaseKey::Environment(project(), Environment::prod())
}

fn snapshot(version: &str) -> LeaseKey {
    LeaseKey::Snapshot(project(), version.to_owned())
}

/// The `nonce`th attempt of pull request `pr`'s job to hold `keys`.
fn request(bench: &impl Bench, pr: u64, nonce: u32, keys: &[LeaseKey]) -> LeaseRequest {
    let owner = Owner {
        nonce: format!("{pr}/{nonce}"),
        job: JobId::new(format!("deploy-{pr}")).unwrap(),
        host: "worker-1".to_owned(),
        pr: PrNumber(pr),
        head: Sha::new("a".repeat(40)).ok(),
    };
    let (ttl, lock_delay) = (TTL * bench.unit(), LOCK_DELAY * bench.unit());
    LeaseRequest { keys: keys.to_vec(), owner, ttl, lock_delay }
}

async fn acquire(bench: &impl Bench, pr: u64, keys: &[LeaseKey]) -> Result<Grant, LeaseError> {
    bench.leases().acquire(&request(bench, pr, 1, keys)).await
}

async fn units(bench: &impl Bench, units: u32) {
    bench.pass(units * bench.unit()).await;
}

/// Most of so many units: where time is real, the calls themselves take some of it.
async fn almost(bench: &impl Bench, units: u32) {
    bench.pass(units * bench.unit() - bench.unit() / 2).await;
}

fn held_by(answer: Result<Grant, LeaseError>) -> (LeaseKey, u64) {
    match answer {
        Err(LeaseError::Busy { key, obstacle: Obstacle::Held { owner, .. } }) => (key, owner.pr.0),
        other => panic!("expected it to be held, got {other:?}"),
    }
}

fn is_lost<T>(answer: Result<T, LeaseError>) -> bool {
    matches!(answer, Err(LeaseError::Lost(_)))
}

pub(super) async fn a_set_is_given_whole_or_not_at_all(bench: &impl Bench) {
    let (a, b, c) = (snapshot("a@1"), snapshot("b@1"), snapshot("c@1"));
    acquire(bench, 1, std::slice::from_ref(&b)).await.unwrap();
    let refused = acquire(bench, 2, &[a.clone(), b.clone(), c.clone()]).await;
    assert_eq!(held_by(refused), (b, 1));
    acquire(bench, 3, &[a, c]).await.expect("the refused set took a part");
}

pub(super) async fn disjoint_sets_do_not_wait_for_each_other(bench: &impl Bench) {
    acquire(bench, 1, &[snapshot("a@1"), snapshot("b@1")]).await.unwrap();
    acquire(bench, 2, &[snapshot("a@2"), snapshot("c@1")]).await.unwrap();
}

pub(super) async fn no_key_at_all_is_granted(bench: &impl Bench) {
    let grant = acquire(bench, 1, &[]).await.unwrap();
    bench.leases().renew(&grant, "", Release::Free).await.unwrap();
    bench.leases().release(&grant, Release::Free).await.unwrap();
}

pub(super) async fn of_many_who_ask_at_once_one_gets_it(bench: &impl Bench) {
    let start = Arc::new(Barrier::new(16));
    let racers = (0..16_u64).map(|pr| {
        // Each set has the middle key in common with all others, and an edge with two of them.
        let edge = |n: u64| snapshot(&format!("edge@{}", n % 16));
        let request = request(bench, pr, 1, &[edge(pr), snapshot("middle@1"), edge(pr + 1)]);
        let (leases, start) = (bench.leases(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            leases.acquire(&request).await.is_ok()
        })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += u32::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    let held = bench.leases().inspect(&project()).await.unwrap();
    assert_eq!(held.len(), 3, "a loser left something behind: {held:?}");
}

pub(super) async fn epochs_rise_through_every_way_of_ending(bench: &impl Bench) {
    let leases = bench.leases();
    let mut epochs = Vec::new();
    for release in [Some(Release::Free), Some(Release::Reserve), None, Some(Release::Free)] {
        let grant = acquire(bench, 1, &[prod()]).await.unwrap();
        epochs.push(grant.epoch);
        match release {
            Some(release) => leases.release(&grant, release).await.unwrap(),
            None => units(bench, TTL + LOCK_DELAY).await,
        }
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

pub(super) async fn a_repeated_question_gets_the_same_grant_prolonged(bench: &impl Bench) {
    let first = acquire(bench, 1, &[prod()]).await.unwrap();
    units(bench, TTL - 1).await;
    assert_eq!(acquire(bench, 1, &[prod()]).await.unwrap(), first);
    units(bench, TTL - 1).await;
    bench.leases().renew(&first, "", Release::Free).await.expect("the repeated question prolongs");
}

pub(super) async fn a_second_copy_of_a_job_is_busy(bench: &impl Bench) {
    acquire(bench, 1, &[prod()]).await.unwrap();
    let copy = bench.leases().acquire(&request(bench, 1, 2, &[prod()])).await;
    assert_eq!(held_by(copy), (prod(), 1));
}

pub(super) async fn a_renewal_prolongs_all_keys_and_notes_the_phase(bench: &impl Bench) {
    let keys = [prod(), snapshot("a@1")];
    let grant = acquire(bench, 1, &keys).await.unwrap();
    for _ in 0..3 {
        units(bench, TTL - 1).await;
        bench.leases().renew(&grant, "applying 3 of 7", Release::Free).await.unwrap();
    }
    let held = bench.leases().inspect(&project()).await.unwrap();
    assert_eq!(held.len(), 2);
    for info in held {
        assert_eq!((info.phase.as_str(), info.epoch), ("applying 3 of 7", grant.epoch));
        assert!(info.renewed_ms > info.since_ms, "{info:?}");
    }
}

pub(super) async fn a_late_renewal_is_lost(bench: &impl Bench) {
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    units(bench, TTL).await;
    assert!(is_lost(bench.leases().renew(&grant, "", Release::Free).await));
    assert!(is_lost(bench.leases().release(&grant, Release::Free).await));
}

pub(super) async fn a_stale_grant_can_neither_renew_nor_release(bench: &impl Bench) {
    let leases = bench.leases();
    let stale = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.release(&stale, Release::Free).await.unwrap();
    // The same nonce again: only the epoch tells the two grants apart.
    let current = acquire(bench, 1, &[prod()]).await.unwrap();
    assert!(is_lost(leases.renew(&stale, "", Release::Free).await));
    assert!(is_lost(leases.release(&stale, Release::Free).await));
    assert!(is_lost(leases.release(&stale, Release::Reserve).await));
    leases.renew(&current, "", Release::Free).await.unwrap();
    let forged = Grant { owner: request(bench, 2, 1, &[]).owner, ..current.clone() };
    assert!(is_lost(leases.renew(&forged, "", Release::Free).await), "the epoch alone is no proof");
    assert!(is_lost(leases.release(&forged, Release::Free).await));
    leases.renew(&current, "", Release::Free).await.unwrap();
}

pub(super) async fn a_grant_lost_in_part_is_lost_and_prolongs_nothing(bench: &impl Bench) {
    let leases = bench.leases();
    let (a, b) = (snapshot("a@1"), snapshot("b@1"));
    let whole = acquire(bench, 1, &[a.clone(), b.clone()]).await.unwrap();
    let part = Grant { keys: vec![b.clone()], ..whole.clone() };
    leases.release(&part, Release::Free).await.unwrap();
    units(bench, TTL - 1).await;
    assert!(is_lost(leases.renew(&whole, "", Release::Free).await));
    assert!(is_lost(leases.release(&whole, Release::Free).await));
    let held = leases.inspect(&project()).await.unwrap();
    assert_eq!(held.iter().map(|info| &info.key).collect::<Vec<_>>(), [&a], "it freed a part");
    units(bench, 1).await;
    let rests = leases.inspect(&project()).await.unwrap().remove(0).standing;
    assert!(matches!(rests, Standing::Resting { .. }), "it prolonged a part: {rests:?}");
}

pub(super) async fn a_clean_release_needs_no_lock_delay(bench: &impl Bench) {
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    bench.leases().release(&grant, Release::Free).await.unwrap();
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(super) async fn an_unclean_loss_rests_for_the_lock_delay(bench: &impl Bench) {
    acquire(bench, 1, &[prod()]).await.unwrap();
    units(bench, TTL).await;
    for pr in [1, 2] {
        let answer = acquire(bench, pr, &[prod()]).await;
        let Err(LeaseError::Busy { obstacle: Obstacle::LockDelay { left }, .. }) = answer else {
            panic!("no lock-delay for PR #{pr}: {answer:?}")
        };
        assert!(!left.is_zero() && left <= LOCK_DELAY * bench.unit(), "{left:?}");
    }
    almost(bench, LOCK_DELAY).await;
    acquire(bench, 2, &[prod()]).await.expect_err("the lock-delay was cut short");
    units(bench, 1).await;
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(super) async fn a_reservation_is_for_its_pull_request_only_and_does_not_expire(
    bench: &impl Bench,
) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.release(&grant, Release::Reserve).await.unwrap();
    units(bench, 3 * (TTL + LOCK_DELAY)).await;
    let answer = acquire(bench, 2, &[prod()]).await;
    let Err(LeaseError::Busy { obstacle: Obstacle::Reserved { owner }, .. }) = answer else {
        panic!("the reservation was ignored: {answer:?}")
    };
    assert_eq!(owner.pr, PrNumber(1));
    assert_eq!(leases.inspect(&project()).await.unwrap()[0].standing, Standing::Reserved);

    let mut newer_head = request(bench, 1, 2, &[prod()]);
    newer_head.owner.job = JobId::new("deploy-1-newer").unwrap();
    let back = leases.acquire(&newer_head).await.unwrap();
    assert_eq!(leases.inspect(&project()).await.unwrap()[0].standing, Standing::Held);
    leases.release(&back, Release::Free).await.unwrap();
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(super) async fn a_reservation_is_freed_by_its_own_grant(bench: &impl Bench) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.release(&grant, Release::Reserve).await.unwrap();
    leases.release(&grant, Release::Reserve).await.expect("a repeated answer is the same");
    leases.release(&grant, Release::Free).await.unwrap();
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(super) async fn what_was_reserved_goes_back_reserved(bench: &impl Bench) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    assert_eq!(grant.give_back, Release::Free);
    leases.release(&grant, Release::Reserve).await.unwrap();
    let back = leases.acquire(&request(bench, 1, 2, &[prod()])).await.unwrap();
    assert_eq!(back.give_back, Release::Reserve);
    let again = leases.acquire(&request(bench, 1, 2, &[prod()])).await.unwrap();
    assert_eq!(again.give_back, Release::Reserve, "a repeated question has the same answer");
}

/// The holder of pull request 1 was lost: others rest and then see a reservation, of which the lost
/// grant is no part, and its pull request gets it.
async fn falls_back_to_its_reservation(bench: &impl Bench, lost: &Grant) {
    let leases = bench.leases();
    let told = async || leases.inspect(&project()).await.unwrap().remove(0);
    units(bench, TTL).await;
    for pr in [1, 2] {
        let answer = acquire(bench, pr, &[prod()]).await;
        let Err(LeaseError::Busy { obstacle: Obstacle::LockDelay { .. }, .. }) = answer else {
            panic!("no lock-delay for PR #{pr}: {answer:?}")
        };
    }
    assert_eq!(told().await.standing, Standing::Reserved, "it is as good as reserved");
    for _ in 0..2 {
        assert!(is_lost(leases.release(lost, Release::Free).await), "a lost grant freed it");
        assert!(is_lost(leases.renew(lost, "", Release::Free).await));
        units(bench, LOCK_DELAY).await;
    }
    let answer = acquire(bench, 2, &[prod()]).await;
    let Err(LeaseError::Busy { obstacle: Obstacle::Reserved { owner }, .. }) = answer else {
        panic!("the reservation was forgotten: {answer:?}")
    };
    assert_eq!(owner.pr, PrNumber(1));
    let back = leases.acquire(&request(bench, 1, 3, &[prod()])).await.unwrap();
    assert!(back.epoch > lost.epoch && back.give_back == Release::Reserve, "{back:?}");
}

pub(super) async fn what_was_reserved_is_reserved_again_when_its_holder_is_lost(
    bench: &impl Bench,
) {
    let first = acquire(bench, 1, &[prod()]).await.unwrap();
    bench.leases().release(&first, Release::Reserve).await.unwrap();
    let back = bench.leases().acquire(&request(bench, 1, 2, &[prod()])).await.unwrap();
    falls_back_to_its_reservation(bench, &back).await;
}

pub(super) async fn a_holder_that_meant_to_reserve_has_reserved_when_it_is_lost(
    bench: &impl Bench,
) {
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    bench.leases().renew(&grant, "applying", Release::Reserve).await.unwrap();
    let told = bench.leases().inspect(&project()).await.unwrap().remove(0);
    assert_eq!((told.standing, told.give_back), (Standing::Held, Release::Reserve));
    falls_back_to_its_reservation(bench, &grant).await;
}

pub(super) async fn what_its_holder_said_last_counts_when_it_is_lost(bench: &impl Bench) {
    let leases = bench.leases();
    let first = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.release(&first, Release::Reserve).await.unwrap();
    let back = leases.acquire(&request(bench, 1, 2, &[prod()])).await.unwrap();
    leases.renew(&back, "merged", Release::Free).await.unwrap();
    units(bench, TTL + LOCK_DELAY).await;
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(super) async fn waiting_ends_when_a_lost_lease_becomes_reserved(bench: &impl Bench) {
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    bench.leases().renew(&grant, "", Release::Reserve).await.unwrap();
    units(bench, TTL).await;
    let leases = bench.leases();
    let waiting =
        tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(3600)).await });
    units(bench, LOCK_DELAY).await;
    woken(waiting).await;
}

pub(super) async fn a_reserved_lease_cannot_be_renewed(bench: &impl Bench) {
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    bench.leases().release(&grant, Release::Reserve).await.unwrap();
    assert!(is_lost(bench.leases().renew(&grant, "", Release::Free).await));
}

pub(super) async fn a_release_wakes_those_who_wait(bench: &impl Bench) {
    for release in [Release::Free, Release::Reserve] {
        let grant = acquire(bench, 1, &[prod()]).await.unwrap();
        let leases = bench.leases();
        let waiting =
            tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(3600)).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "nothing has changed");
        bench.leases().release(&grant, release).await.unwrap();
        woken(waiting).await;
    }
}

pub(super) async fn waiting_for_what_is_free_ends_at_once(bench: &impl Bench) {
    let leases = bench.leases();
    woken(tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(3600)).await }))
        .await;
}

pub(super) async fn waiting_is_bounded(bench: &impl Bench) {
    acquire(bench, 1, &[prod()]).await.unwrap();
    let (leases, bound) = (bench.leases(), bench.unit());
    let waiting = tokio::spawn(async move { leases.changed(&[prod()], bound).await });
    units(bench, 1).await;
    woken(waiting).await;
}

pub(super) async fn waiting_ends_when_a_lost_lease_has_rested(bench: &impl Bench) {
    acquire(bench, 1, &[prod()]).await.unwrap();
    units(bench, TTL).await;
    let leases = bench.leases();
    let waiting =
        tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(3600)).await });
    units(bench, LOCK_DELAY).await;
    woken(waiting).await;
    acquire(bench, 2, &[prod()]).await.unwrap();
}

async fn woken(waiting: tokio::task::JoinHandle<()>) {
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("still waiting").unwrap();
}

pub(super) async fn inspection_shows_one_project_in_the_order_of_its_keys(bench: &impl Bench) {
    let other = ProjectName::new("lake").unwrap();
    let elsewhere = LeaseKey::Environment(other.clone(), Environment::prod());
    acquire(bench, 1, &[elsewhere]).await.unwrap();
    let grant = acquire(bench, 2, &[snapshot("b@1"), snapshot("a@1"), prod()]).await.unwrap();
    let infos = bench.leases().inspect(&project()).await.unwrap();
    let keys: Vec<_> = infos.iter().map(|info| info.key.to_string()).collect();
    assert_eq!(keys, ["warehouse/prod", "warehouse/snapshot/a@1", "warehouse/snapshot/b@1"]);
    assert!(infos.iter().all(|info| info.owner == grant.owner && info.epoch == grant.epoch));
    assert_eq!(bench.leases().inspect(&other).await.unwrap().len(), 1);
}

pub(super) async fn inspection_shows_what_rests_and_for_how_long(bench: &impl Bench) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    units(bench, TTL).await;
    let shown = leases.inspect(&project()).await.unwrap().remove(0);
    let Standing::Resting { left } = shown.standing else { panic!("{shown:?}") };
    assert!(!left.is_zero() && left <= bench.unit() * LOCK_DELAY, "{left:?}");
    assert_eq!((shown.give_back, &shown.owner), (Release::Free, &grant.owner));
    units(bench, LOCK_DELAY).await;
    assert_eq!(leases.inspect(&project()).await.unwrap(), [], "it is free");
}

pub(super) async fn a_store_that_is_there_says_so(bench: &impl Bench) {
    bench.leases().check().await.unwrap();
}
