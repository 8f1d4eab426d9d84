//! For which head something is reserved.

use sluice::lease::{Grant, LeaseRequest, Release};
use sluice::names::Sha;

use super::super::Bench;
use super::{LOCK_DELAY, TTL, prod, project, request, units};

fn head(letter: &str) -> Option<Sha> {
    Sha::new(letter.repeat(40)).ok()
}

/// Pull request 1's wish for prod, with this head.
fn of(bench: &impl Bench, nonce: u32, letter: &str) -> LeaseRequest {
    let mut request = request(bench, 1, nonce, &[prod()]);
    request.owner.head = head(letter);
    request
}

async fn kept_for(bench: &impl Bench) -> Option<Sha> {
    bench.leases().inspect(&project()).await.unwrap().remove(0).kept_for
}

pub(in crate::contracts::leases) async fn a_reservation_remembers_its_head_until_another_reserves(
    bench: &impl Bench,
) {
    let leases = bench.leases();
    let first = leases.acquire(&of(bench, 1, "a")).await.unwrap();
    assert_eq!(first.kept_for, head("a"));
    leases.release(&first, Release::Reserve).await.unwrap();
    assert_eq!(kept_for(bench).await, head("a"));

    // A newer head has it, and says nothing of its own; then it is lost.
    for nonce in [2, 2] {
        let newer = leases.acquire(&of(bench, nonce, "b")).await.unwrap();
        assert_eq!(newer.kept_for, head("a"));
        leases.renew(&newer, "", newer.give_back).await.unwrap();
        assert_eq!(kept_for(bench).await, head("a"));
    }
    units(bench, TTL + LOCK_DELAY).await;
    assert_eq!(kept_for(bench).await, head("a"));

    let newer = leases.acquire(&of(bench, 3, "b")).await.unwrap();
    let newer = Grant { kept_for: head("b"), ..newer };
    leases.renew(&newer, "", Release::Reserve).await.unwrap();
    let again = leases.acquire(&of(bench, 3, "b")).await.unwrap();
    assert_eq!(again.kept_for, head("b"), "a repeated question has the same answer");
    leases.release(&newer, Release::Reserve).await.unwrap();
    assert_eq!(kept_for(bench).await, head("b"));

    // Freed, nothing of it is left.
    let last = leases.acquire(&of(bench, 4, "c")).await.unwrap();
    assert_eq!(last.kept_for, head("b"));
    leases.release(&last, Release::Free).await.unwrap();
    assert_eq!(leases.acquire(&of(bench, 5, "c")).await.unwrap().kept_for, head("c"));
}
