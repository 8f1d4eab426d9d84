//! What an operator who takes a lease away can rely on.

use std::time::Duration;

use sluice::lease::{LeaseError, Obstacle, Release, Standing};
use sluice::names::PrNumber;

use super::super::Bench;
use super::{
    LOCK_DELAY, TTL, acquire, almost, held_by, is_lost, prod, project, snapshot, units, woken,
};

pub(in crate::contracts::leases) async fn what_is_held_rests_as_if_lost_when_it_is_revoked(
    bench: &impl Bench,
) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.renew(&grant, "applying", Release::Reserve).await.unwrap();
    let was = leases.revoke(&prod()).await.unwrap().expect("it was held");
    assert_eq!((was.standing, was.phase.as_str()), (Standing::Held, "applying"));
    assert_eq!((was.owner, was.epoch), (grant.owner.clone(), grant.epoch));
    assert!(is_lost(leases.renew(&grant, "", Release::Reserve).await), "it went on");
    assert!(is_lost(leases.release(&grant, Release::Reserve).await));
    let rests = leases.inspect(&project()).await.unwrap().remove(0);
    assert!(matches!(rests.standing, Standing::Resting { .. }), "{rests:?}");
    assert_eq!(rests.give_back, Release::Free, "its reservation stands");
    for pr in [1, 2] {
        let answer = acquire(bench, pr, &[prod()]).await;
        let Err(LeaseError::Busy { obstacle: Obstacle::LockDelay { .. }, .. }) = answer else {
            panic!("no lock-delay for PR #{pr}: {answer:?}")
        };
    }
    // A holder that is cut off from the store goes on until its own fence, and then has to end.
    almost(bench, TTL + LOCK_DELAY).await;
    acquire(bench, 2, &[prod()]).await.expect_err("its holder may still be at work");
    units(bench, 1).await;
    let next = acquire(bench, 2, &[prod()]).await.unwrap();
    assert!(next.epoch > grant.epoch && next.give_back == Release::Free, "{next:?}");
}

pub(in crate::contracts::leases) async fn what_is_reserved_is_free_when_it_is_revoked(
    bench: &impl Bench,
) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.release(&grant, Release::Reserve).await.unwrap();
    let waiting = {
        let leases = bench.leases();
        tokio::spawn(async move { leases.changed(&[prod()], Duration::from_secs(3600)).await })
    };
    let was = leases.revoke(&prod()).await.unwrap().expect("it was reserved");
    assert_eq!((was.standing, was.owner.pr), (Standing::Reserved, PrNumber(1)));
    woken(waiting).await;
    assert!(is_lost(leases.release(&grant, Release::Free).await), "its grant has a say still");
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(in crate::contracts::leases) async fn what_rests_rests_to_the_end_when_it_is_revoked(
    bench: &impl Bench,
) {
    let leases = bench.leases();
    let grant = acquire(bench, 1, &[prod()]).await.unwrap();
    leases.renew(&grant, "", Release::Reserve).await.unwrap();
    units(bench, TTL).await;
    let was = leases.revoke(&prod()).await.unwrap().expect("it was to be reserved");
    assert_eq!(was.standing, Standing::Reserved);
    assert!(was.epoch > grant.epoch, "who lost it has no part in it");
    acquire(bench, 1, &[prod()]).await.expect_err("the lock-delay was cut short");
    let was = leases.revoke(&prod()).await.unwrap().expect("it rests");
    assert!(matches!(was.standing, Standing::Resting { .. }), "what only rests is nobody's");
    units(bench, LOCK_DELAY).await;
    acquire(bench, 2, &[prod()]).await.unwrap();
}

pub(in crate::contracts::leases) async fn revoking_touches_one_key_and_nothing_that_is_free(
    bench: &impl Bench,
) {
    let leases = bench.leases();
    assert!(leases.revoke(&prod()).await.unwrap().is_none());
    acquire(bench, 1, &[prod()]).await.expect("what was free is free");
    let (a, b) = (snapshot("a@1"), snapshot("b@1"));
    let both = acquire(bench, 2, &[a.clone(), b.clone()]).await.unwrap();
    leases.revoke(&a).await.unwrap().expect("it was held");
    assert!(is_lost(leases.renew(&both, "", Release::Free).await), "a part is not the whole");
    assert_eq!(held_by(acquire(bench, 3, &[prod()]).await), (prod(), 1));
    assert_eq!(held_by(acquire(bench, 3, std::slice::from_ref(&b)).await), (b, 2));
}
