//! The hazard that SQLMesh has: two applies that build the same snapshot version at once. Nothing
//! in SQLMesh keeps them apart, and each says that all is well.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sluice::clock::SystemClock;
use sluice::engine::{Fence, Progress, Session, Watch};
use sluice::job::JobKind;
use sluice::lease::hold::{Keeper, Lease, hold};
use sluice::lease::memory::MemoryLeases;
use sluice::lease::{Obstacle, Timings, Wait, Wish};
use sluice::names::{Environment, JobId, PrNumber, ProjectName, Sha};
use sluice::observe::{JobRef, Observers};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::shop::{Dance, EVENTS, PATIENCE, Shop, Worker, plan};

fn environment(name: &str) -> Environment {
    Environment::new(name).unwrap()
}

/// Two workers, each with a checkout that has the same new model.
fn workers(shop: &Shop) -> [Worker; 2] {
    let workers = [shop.worker(), shop.worker()];
    for worker in &workers {
        worker.writes("models/events.sql", EVENTS);
    }
    workers
}

/// Both apply, led into each other, with nothing between them but SQLMesh.
async fn without_leases(environments: [Environment; 2]) {
    let shop = Shop::new().await;
    let [one, other] = workers(&shop);
    let (mut one, mut other) = tokio::join!(one.loaded(), other.loaded());
    let plans = [plan(&mut one, &environments[0]).await, plan(&mut other, &environments[1]).await];
    assert!(plans[0].builds.iter().any(|build| build.contains("events")), "{:?}", plans[0].builds);
    shop.invites(2);
    let dance = Dance::to_the_meeting(&shop);
    let ended = dance.apply((&mut one, &plans[0]), (&mut other, &plans[1])).await;
    for (ended, plan) in ended.into_iter().zip(&plans) {
        assert_eq!(
            ended.unwrap().plan_id.as_ref(),
            Some(&plan.plan_id),
            "it says that all is well"
        );
    }
    for environment in &environments {
        assert_eq!(shop.rows(environment), (6, 3), "each row twice in {environment}");
    }
    for session in [one, other] {
        Box::new(session).close().await.unwrap();
    }
}

#[tokio::test]
async fn two_pull_requests_without_leases_duplicate_rows() {
    without_leases([environment("shop_7"), environment("shop_8")]).await;
}

#[tokio::test]
async fn a_pull_request_and_prod_without_leases_duplicate_rows() {
    without_leases([environment("shop_7"), Environment::prod()]).await;
}

/// What happened, in order: who began a stage of an apply, and whose apply ended.
type Told = Mutex<Vec<(u64, String)>>;

struct Watching<'a> {
    pr: u64,
    leases: [&'a Lease; 2],
    told: &'a Told,
}

#[async_trait]
impl Watch for Watching<'_> {
    async fn may_start(&self, stage: &str) -> Fence {
        self.told.lock().unwrap().push((self.pr, stage.to_owned()));
        match self.leases.iter().all(|lease| lease.is_standing()) {
            true => Fence::Go,
            false => Fence::Halt,
        }
    }

    fn progress(&self, _: Progress) {}
}

fn keeper() -> Keeper {
    let clock = Arc::new(SystemClock);
    Keeper {
        leases: Arc::new(MemoryLeases::new(clock.clone())),
        clock,
        observer: Arc::new(Observers::default()),
        timings: Timings::default(),
        host: "a test".to_owned(),
    }
}

/// Plans and applies as a pipeline does: the environment's lease, the plan within it, the leases on
/// all that the plan builds, the apply within those. `planned` is where both wait for each other:
/// neither applies before both have planned.
async fn with_leases(
    keeper: &Keeper,
    (worker, pr, environment): (&Worker, u64, &Environment),
    planned: &Barrier,
    told: &Told,
) {
    let (project, cancel) = (ProjectName::new("warehouse").unwrap(), CancellationToken::new());
    let id = JobId::new(format!("job-{pr}")).unwrap();
    let (number, cause) = (PrNumber(pr), "test".to_owned());
    let job = JobRef { id, kind: JobKind::Gate, project, pr: number, cause };
    let head = Sha::new("a".repeat(40)).unwrap();
    let mut session = worker.loaded().await;
    let wish = Wish::environment(&job, &head, environment, Wait::No, &cancel);
    let held = hold(keeper, wish, async |lease| {
        let plan = plan(&mut session, environment).await;
        planned.wait().await;
        let ignored = |_: &Obstacle| {};
        let wait = Wait::UpTo { at_most: PATIENCE, told: &ignored };
        let wish = Wish::snapshots(lease, plan.builds.clone(), wait);
        hold(keeper, wish, async |snapshots| {
            let watching = Watching { pr, leases: [lease, snapshots], told };
            let applied = session.apply(&plan, &watching).await.unwrap();
            assert_eq!(applied.plan_id.as_ref(), Some(&plan.plan_id));
            told.lock().unwrap().push((pr, "applied".to_owned()));
            Ok(())
        })
        .await
    });
    held.await.unwrap();
    Box::new(session).close().await.unwrap();
}

async fn kept_apart(environments: [Environment; 2]) {
    let shop = Shop::new().await;
    let [one, other] = workers(&shop);
    let (keeper, planned, told) = (keeper(), Barrier::new(2), Told::default());
    tokio::join!(
        with_leases(&keeper, (&one, 7, &environments[0]), &planned, &told),
        with_leases(&keeper, (&other, 8, &environments[1]), &planned, &told),
    );
    for environment in &environments {
        assert_eq!(shop.rows(environment), (3, 3), "each row once in {environment}");
    }
    let told = told.into_inner().unwrap();
    let first = told[0].0;
    let border = told.iter().position(|(pr, _)| *pr != first).expect("both applied");
    assert_eq!(told[border - 1], (first, "applied".to_owned()), "one after the other: {told:?}");
    assert!(told[border..].iter().all(|(pr, _)| *pr != first), "{told:?}");
}

#[tokio::test]
async fn two_pull_requests_with_leases_build_once() {
    kept_apart([environment("shop_7"), environment("shop_8")]).await;
}

#[tokio::test]
async fn a_pull_request_and_prod_with_leases_build_once() {
    kept_apart([environment("shop_7"), Environment::prod()]).await;
}
