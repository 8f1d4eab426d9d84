//! The clauses of the `Queue` contract. Each says one promise of `src/queue/mod.rs`.

use std::time::Duration;

use sluice::job::{Command, Deploy, Envelope, Job, MAX_BYTES, VERSION};
use sluice::names::{JobId, NodeId, PrNumber, ProjectName, Sha};
use sluice::outcome::Disposition;
use sluice::queue::{Deliveries, Delivery, QueueError, Route, Waiting};

use super::Bench;

pub(super) mod dead;

/// How long something that must happen is waited for.
const SOON: Duration = Duration::from_secs(10);

fn project() -> ProjectName {
    ProjectName::new("warehouse").unwrap()
}

fn deploys() -> Route {
    Route::Deploy(project())
}

fn envelope(pr: u64, job: Job) -> Envelope {
    let id = JobId::new(format!("job-{pr}")).unwrap();
    Envelope { v: VERSION, id, enqueued_ms: 0, cause: "a test".to_owned(), spread: false, job }
}

fn deploy(pr: u64) -> Envelope {
    let head = Sha::new("a".repeat(40)).unwrap();
    let (project, pr) = (project(), PrNumber(pr));
    envelope(pr.0, Job::Deploy(Deploy { project, pr, head, command: None, signalled_ms: 0 }))
}

fn command(pr: u64) -> Envelope {
    let comment = NodeId::new("IC_1").unwrap();
    envelope(pr, Job::Command(Command { project: project(), pr: PrNumber(pr), comment }))
}

async fn publish(bench: &impl Bench, jobs: impl IntoIterator<Item = Envelope>) {
    for job in jobs {
        bench.queue().publish(&job).await.unwrap();
    }
}

async fn consume(bench: &impl Bench, route: &Route, prefetch: u16) -> Box<dyn Deliveries> {
    bench.queue().consume(route, prefetch).await.unwrap()
}

/// The next job, soon.
async fn next(jobs: &mut Box<dyn Deliveries>) -> Box<dyn Delivery> {
    let next = tokio::time::timeout(SOON, jobs.next()).await.expect("no job came");
    next.expect("the subscription ended")
}

/// The next job, which is settled; its pull request.
async fn take(jobs: &mut Box<dyn Deliveries>) -> u64 {
    let job = next(jobs).await;
    let pr = pr(&*job);
    job.settle(Disposition::Done).await.unwrap();
    pr
}

fn pr(job: &dyn Delivery) -> u64 {
    Envelope::from_bytes(job.bytes()).unwrap().job.pr().0
}

/// Nothing comes for a moment.
async fn silence(bench: &impl Bench, jobs: &mut Box<dyn Deliveries>) {
    tokio::select! {
        biased;
        job = jobs.next() => panic!("came too early: {:?}", job.map(|job| pr(&*job))),
        () = bench.pass(bench.moment()) => {}
    }
}

pub(super) async fn jobs_come_in_the_order_they_were_published(bench: &impl Bench) {
    publish(bench, (1..=5).map(deploy)).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    for expected in 1..=5 {
        assert_eq!(take(&mut jobs).await, expected);
    }
}

pub(super) async fn routes_are_separate(bench: &impl Bench) {
    publish(bench, [deploy(1), command(2)]).await;
    let mut commands = consume(bench, &Route::Approval, 5).await;
    assert_eq!(take(&mut commands).await, 2);
    silence(bench, &mut commands).await;
}

pub(super) async fn consumers_share_a_route(bench: &impl Bench) {
    let mut first = consume(bench, &Route::Approval, 1).await;
    let mut second = consume(bench, &Route::Approval, 1).await;
    publish(bench, [command(1), command(2)]).await;
    let (one, other) = tokio::join!(next(&mut first), next(&mut second));
    let mut prs = [pr(&*one), pr(&*other)];
    prs.sort_unstable();
    assert_eq!(prs, [1, 2]);
}

pub(super) async fn prefetch_bounds_what_is_in_hand(bench: &impl Bench) {
    publish(bench, (1..=3).map(command)).await;
    let mut jobs = consume(bench, &Route::Approval, 2).await;
    let (one, _two) = (next(&mut jobs).await, next(&mut jobs).await);
    silence(bench, &mut jobs).await;
    one.settle(Disposition::Done).await.unwrap();
    assert_eq!(take(&mut jobs).await, 3);
}

pub(super) async fn a_deploy_route_hands_out_one_job_at_a_time(bench: &impl Bench) {
    publish(bench, (1..=2).map(deploy)).await;
    let mut active = consume(bench, &deploys(), 5).await;
    let mut waiting = consume(bench, &deploys(), 5).await;
    let one = next(&mut active).await;
    silence(bench, &mut active).await;
    silence(bench, &mut waiting).await;
    one.settle(Disposition::Done).await.unwrap();
    silence(bench, &mut waiting).await;
    assert_eq!(take(&mut active).await, 2);
}

pub(super) async fn the_next_consumer_takes_over_a_deploy_route(bench: &impl Bench) {
    let active = consume(bench, &deploys(), 1).await;
    let mut second = consume(bench, &deploys(), 1).await;
    let mut third = consume(bench, &deploys(), 1).await;
    publish(bench, (1..=2).map(deploy)).await;
    let (pr, ()) = tokio::join!(take(&mut second), async { drop(active) });
    assert_eq!(pr, 1);
    silence(bench, &mut third).await;
    assert_eq!(take(&mut second).await, 2);
}

pub(super) async fn a_deploy_in_hand_holds_the_line_after_its_subscription_ended(
    bench: &impl Bench,
) {
    publish(bench, (1..=2).map(deploy)).await;
    let mut active = consume(bench, &deploys(), 1).await;
    let mut second = consume(bench, &deploys(), 1).await;
    let one = next(&mut active).await;
    drop(active);
    silence(bench, &mut second).await;
    one.settle(Disposition::Done).await.unwrap();
    assert_eq!(take(&mut second).await, 2);
}

pub(super) async fn a_dropped_delivery_comes_back_to_the_head_uncounted(bench: &impl Bench) {
    publish(bench, (1..=2).map(deploy)).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    drop(next(&mut jobs).await);
    let again = next(&mut jobs).await;
    assert_eq!((pr(&*again), again.attempt()), (1, 0));
}

pub(super) async fn a_requeued_job_comes_back_to_the_head_uncounted(bench: &impl Bench) {
    publish(bench, (1..=2).map(deploy)).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    next(&mut jobs).await.settle(Disposition::Requeue).await.unwrap();
    let again = next(&mut jobs).await;
    assert_eq!((pr(&*again), again.attempt()), (1, 0));
}

pub(super) async fn a_retry_counts_and_waits_longer_each_time(bench: &impl Bench) {
    publish(bench, [command(1)]).await;
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    for attempt in 0..2 {
        let job = next(&mut jobs).await;
        assert_eq!(job.attempt(), attempt);
        job.settle(Disposition::Retry).await.unwrap();
        bench.pass(bench.retry().delay(attempt) - 2 * bench.moment()).await;
        silence(bench, &mut jobs).await;
        bench.pass(bench.moment()).await;
    }
    assert_eq!(next(&mut jobs).await.attempt(), 2);
}

pub(super) async fn a_later_job_waits_and_comes_back_uncounted_at_the_tail(bench: &impl Bench) {
    let wait = bench.retry().delay(0);
    publish(bench, (1..=3).map(deploy)).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    next(&mut jobs).await.settle(Disposition::Later(wait)).await.unwrap();
    let second = next(&mut jobs).await;
    assert_eq!(pr(&*second), 2, "others go first meanwhile");
    bench.pass(wait).await;
    second.settle(Disposition::Done).await.unwrap();
    assert_eq!(take(&mut jobs).await, 3);
    let first = next(&mut jobs).await;
    assert_eq!((pr(&*first), first.attempt()), (1, 0));
}

pub(super) async fn a_dead_job_keeps_its_reason_and_does_not_come_back(bench: &impl Bench) {
    publish(bench, [command(1)]).await;
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    next(&mut jobs).await.settle(Disposition::Dead("the bridge broke".to_owned())).await.unwrap();
    silence(bench, &mut jobs).await;
    let dead = bench.letters().list(9).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "the bridge broke");
    assert_eq!(dead[0].queue, Route::Approval.queue());
    assert_eq!(dead[0].bytes, command(1).to_bytes().unwrap());
}

pub(super) async fn what_waits_is_counted_and_has_an_age(bench: &impl Bench) {
    publish(bench, (1..=3).map(deploy)).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    let job = next(&mut jobs).await;
    let waiting = async || bench.queue().waiting(&deploys()).await.unwrap();
    assert_eq!(waiting().await.jobs, 2, "the one in hand does not wait");
    drop(jobs);
    job.settle(Disposition::Later(bench.retry().delay(0))).await.unwrap();
    // The subscription that ended may have been given the next job just before.
    let counted = async |ready, delayed| {
        let is = async || (waiting().await.jobs, bench.queue().delayed().await.unwrap());
        let until = async {
            while is().await != (ready, delayed) {
                bench.pass(bench.moment() / 10).await;
            }
        };
        let seen = tokio::time::timeout(SOON, until).await;
        assert!(seen.is_ok(), "{:?} instead of {:?}", is().await, (ready, delayed));
    };
    counted(2, 1).await;
    if let (Some(before), later) = (waiting().await.oldest, bench.retry().delay(0)) {
        bench.pass(later / 2).await;
        assert!(waiting().await.oldest.unwrap() > before, "it grows older");
    }
    bench.pass(bench.retry().delay(0)).await;
    counted(3, 0).await;
    assert_eq!(bench.queue().waiting(&Route::Gate).await.unwrap(), Waiting::default());
}

pub(super) async fn a_job_published_twice_comes_twice(bench: &impl Bench) {
    publish(bench, [deploy(1), deploy(1)]).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    assert_eq!([take(&mut jobs).await, take(&mut jobs).await], [1, 1]);
}

pub(super) async fn what_is_no_job_is_delivered_as_it_is(bench: &impl Bench) {
    bench.leave(&Route::Gate, b"{\"v\": 2}").await;
    let mut jobs = consume(bench, &Route::Gate, 1).await;
    assert_eq!(next(&mut jobs).await.bytes(), b"{\"v\": 2}");
}

pub(super) async fn what_is_too_large_is_refused(bench: &impl Bench) {
    let mut job = command(1);
    job.cause = "x".repeat(MAX_BYTES);
    let refused = bench.queue().publish(&job).await;
    assert!(matches!(refused, Err(QueueError::Invalid(_))), "{refused:?}");
}

pub(super) async fn waiting_that_is_given_up_loses_no_job(bench: &impl Bench) {
    let mut jobs = consume(bench, &Route::Approval, 1).await;
    for expected in 1..=20 {
        // The waiting is given up just as a job arrives.
        let early = tokio::select! {
            biased;
            job = jobs.next() => job,
            () = publish(bench, [command(expected)]) => None,
        };
        let job = match early {
            Some(job) => job,
            None => next(&mut jobs).await,
        };
        assert_eq!(pr(&*job), expected);
        job.settle(Disposition::Done).await.unwrap();
    }
}

pub(super) async fn a_message_keeps_its_name_and_shares_it_with_none(bench: &impl Bench) {
    publish(bench, [command(1), command(1)]).await;
    let mut jobs = consume(bench, &Route::Approval, 2).await;
    let (one, other) = (next(&mut jobs).await, next(&mut jobs).await);
    let name = one.message().to_owned();
    assert!(!name.is_empty());
    assert_ne!(name, other.message(), "the same job, another message");
    let (wait, mut job) = (bench.retry().delay(0), one);
    for comes_back in [Disposition::Requeue, Disposition::Later(wait), Disposition::Retry] {
        job.settle(comes_back).await.unwrap();
        bench.pass(wait).await;
        job = next(&mut jobs).await;
        assert_eq!(job.message(), name);
    }
}

pub(super) async fn what_is_in_hand_is_not_lost(bench: &impl Bench) {
    bench.queue().check().await.unwrap();
    publish(bench, [deploy(1)]).await;
    let mut jobs = consume(bench, &deploys(), 1).await;
    let job = next(&mut jobs).await;
    let lost = job.lost();
    drop(jobs);
    bench.pass(bench.moment()).await;
    assert!(!lost.is_cancelled());
    job.settle(Disposition::Done).await.unwrap();
    bench.queue().check().await.unwrap();
}
