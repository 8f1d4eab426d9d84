//! The clauses of the `DeadLetters` contract. Each says one promise of `src/queue/dead.rs`.

use sluice::queue::dead::Treated;

use super::*;

/// Jobs that were tried once and then failed for good.
async fn bury(bench: &impl Bench, jobs: &[Envelope]) -> Vec<String> {
    let mut names = Vec::new();
    let mut deliveries = consume(bench, &Route::Approval, 1).await;
    for job in jobs {
        publish(bench, [job.clone()]).await;
        next(&mut deliveries).await.settle(Disposition::Retry).await.unwrap();
        bench.pass(bench.retry().delay(0)).await;
        let again = next(&mut deliveries).await;
        names.push(again.message().to_owned());
        again.settle(Disposition::Dead(format!("of {}", job.job.pr()))).await.unwrap();
    }
    names
}

pub(crate) async fn letters_are_listed_oldest_first_and_stay(bench: &impl Bench) {
    assert_eq!(bench.letters().list(9).await.unwrap(), []);
    let names = bury(bench, &[command(1), command(2), command(3)]).await;
    for most in [9, 2, 9] {
        let found = bench.letters().list(most).await.unwrap();
        let expected = most.min(3);
        assert_eq!(found.len(), expected);
        assert!(found.iter().map(|letter| &letter.id).eq(&names[..expected]));
    }
    let first = bench.letters().list(1).await.unwrap().remove(0);
    assert_eq!((first.attempt, first.reason.as_str()), (1, "of 1"));
    assert_eq!(first.queue, Route::Approval.queue());
    assert_eq!(first.bytes, command(1).to_bytes().unwrap());
    assert!(first.died_ms.is_some());
}

/// What was done, when nothing stood in its way.
fn done(treated: Treated) -> Vec<String> {
    assert!(treated.refused.is_empty() && treated.trouble.is_none(), "{treated:?}");
    treated.done
}

/// So many are counted, at the latest in a moment: what was just looked at may be missing.
async fn are_counted(bench: &impl Bench, letters: u64) {
    for _ in 0..50 {
        if bench.queue().dead_letters().await.unwrap() == letters {
            return;
        }
        bench.pass(bench.moment()).await;
    }
    assert_eq!(bench.queue().dead_letters().await.unwrap(), letters);
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

pub(crate) async fn a_retried_letter_is_a_new_message_and_no_attempt_counts(bench: &impl Bench) {
    let names = bury(bench, &[command(1), command(2)]).await;
    assert_eq!(done(bench.letters().retry(&named(&["nobody"])).await), named(&[]));
    assert_eq!(done(bench.letters().retry(&names[1..]).await), names[1..]);
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    let job = next(&mut jobs).await;
    assert_eq!((pr(&*job), job.attempt()), (2, 0));
    assert!(!names.contains(&job.message().to_owned()), "what killed workers is counted by this");
    assert_eq!(done(bench.letters().retry(&names[1..]).await), named(&[]), "it is there twice");
    are_counted(bench, 1).await;
}

pub(crate) async fn letters_are_retried_together_oldest_first(bench: &impl Bench) {
    let mut names = bury(bench, &[command(1), command(2), command(3), command(4)]).await;
    let kept = names.remove(2);
    let asked = named(&["nobody", &names[2], &names[0], &names[1]]);
    assert_eq!(done(bench.letters().retry(&asked).await), names);
    let rest = bench.letters().list(9).await.unwrap();
    assert_eq!(rest.iter().map(|letter| &letter.id).collect::<Vec<_>>(), [&kept]);
    let mut jobs = consume(bench, &Route::Approval, 9).await;
    let again = [next(&mut jobs).await, next(&mut jobs).await, next(&mut jobs).await];
    assert_eq!(again.map(|job| pr(&*job)), [1, 2, 4]);
}

pub(crate) async fn a_discarded_letter_is_gone(bench: &impl Bench) {
    let names = bury(bench, &[command(1), command(2), command(3)]).await;
    are_counted(bench, 3).await;
    assert_eq!(done(bench.letters().discard(&named(&["nobody"])).await), named(&[]));
    let both = named(&[&names[2], &names[0]]);
    assert_eq!(done(bench.letters().discard(&both).await), named(&[&names[0], &names[2]]));
    assert_eq!(done(bench.letters().discard(&both).await), named(&[]));
    let rest = bench.letters().list(9).await.unwrap();
    assert_eq!(rest.iter().map(|letter| &letter.id).collect::<Vec<_>>(), [&names[1]]);
    are_counted(bench, 1).await;
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    silence(bench, &mut jobs).await;
}
