//! The clauses of the `DeadLetters` contract. Each says one promise of `src/queue/dead.rs`.

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

pub(crate) async fn a_retried_letter_is_a_job_again_and_no_attempt_counts(bench: &impl Bench) {
    let names = bury(bench, &[command(1), command(2)]).await;
    assert!(!bench.letters().retry("nobody").await.unwrap());
    assert!(bench.letters().retry(&names[1]).await.unwrap());
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    let job = next(&mut jobs).await;
    assert_eq!((pr(&*job), job.attempt(), job.message()), (2, 0, names[1].as_str()));
    assert!(!bench.letters().retry(&names[1]).await.unwrap(), "it is not there twice");
    assert_eq!(bench.letters().list(9).await.unwrap().len(), 1);
}

pub(crate) async fn a_discarded_letter_is_gone(bench: &impl Bench) {
    let names = bury(bench, &[command(1), command(2)]).await;
    assert!(!bench.letters().discard("nobody").await.unwrap());
    assert!(bench.letters().discard(&names[0]).await.unwrap());
    assert!(!bench.letters().discard(&names[0]).await.unwrap());
    let rest = bench.letters().list(9).await.unwrap();
    assert_eq!(rest.iter().map(|letter| &letter.id).collect::<Vec<_>>(), [&names[1]]);
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    silence(bench, &mut jobs).await;
}
