//! The cluster on a real warehouse: three worker processes and a producer, a broker, a lease store,
//! and SQLMesh's state and tables on PostgreSQL. Twenty approved pull requests want the same prod.

use std::time::{Duration, SystemTime};

use sluice::clock::{Clock as _, SystemClock};
use sluice::engine::Session;
use sluice::names::Environment;
use sluice_conformance::Watched;
use sluice_sim::world::{CheckConclusion, PullState, Role};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, Receiver, RepositoryName, Standin, StandinConfig};

use super::processes::Processes;
use super::shop::{Going, Shop, plan};
use crate::town::{DEPLOY, PROD_PLAN, shown_twice};

const PULL_REQUESTS: u64 = 20;

/// What all of it may take at most, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(8 * 60);

const EVENTS: &str = "MODEL (
  name shop.events, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-01-01',
  end '2024-01-03', columns (ds DATE, id INT)
);
SELECT days.ds::DATE AS ds, numbers.id AS id
FROM GENERATE_SERIES('2024-01-01'::DATE, '2024-01-03'::DATE, '1 day'::INTERVAL) AS days(ds)
CROSS JOIN (VALUES (1), (2), (3)) AS numbers(id)
WHERE days.ds BETWEEN @start_ds AND @end_ds
";

/// Each apply writes down when it begins and when it ends.
const RECORD: &str = "CREATE TABLE public.applies (
  number BIGSERIAL, environment TEXT, what TEXT, at TIMESTAMPTZ DEFAULT clock_timestamp()
)";

fn configuration(shop: &Shop) -> String {
    let record = |what| {
        format!("INSERT INTO public.applies (environment, what) VALUES (@this_env, '{what}')")
    };
    format!(
        "{}users:\n- {{username: carol, github_username: carol, roles: [required_approver]}}\n\
         cicd_bot:\n  type: github\n  merge_method: squash\n  skip_pr_backfill: false\n  \
         auto_categorize_changes: {{sql: full}}\n\
         before_all: [\"{}\"]\nafter_all: [\"{}\"]\n",
        shop.configuration(),
        record("begin"),
        record("end"),
    )
}

/// The incremental model that a pull request adds.
pub(crate) fn part(number: u64) -> (String, String) {
    let model = format!(
        "MODEL (\n  name shop.part_{number}, kind INCREMENTAL_BY_TIME_RANGE (time_column ds),\n  \
         start '2024-01-01', end '2024-01-03', columns (ds DATE, id INT)\n);\n\
         SELECT ds, id + {number} AS id FROM shop.events WHERE ds BETWEEN @start_ds AND @end_ds\n"
    );
    (format!("models/part_{number}.sql"), model)
}

/// The stand-in with its repository, whose main is what prod runs.
pub(crate) async fn github(shop: &Shop, configuration: &str) -> (Watched, RepositoryName) {
    let worker = shop.worker();
    let files = [("config.yaml", configuration), ("models/events.sql", EVENTS)];
    worker.removes("models/orders.sql");
    for (name, text) in files {
        worker.writes(name, text);
    }
    let mut session = worker.loaded().await;
    let prod = plan(&mut session, &Environment::prod()).await;
    session.apply(&prod, &Going).await.unwrap();
    Box::new(session).close().await.unwrap();
    let github = Watched::start(StandinConfig::default()).await.unwrap();
    let repository = github.repository("acme/warehouse").with_files(&files).await.unwrap();
    for who in ["alice", "carol"] {
        github.user(who).joins(&repository, Role::Write).await.unwrap();
    }
    (github, repository)
}

async fn opened(alice: &Actor, repository: &RepositoryName) -> Vec<Pr> {
    let mut pulls = Vec::new();
    for number in 1..=PULL_REQUESTS {
        let (file, model) = part(number);
        let spec = PrSpec::new(&format!("part-{number}")).file(&file, &model);
        pulls.push(alice.opens_pr(repository, spec).await.unwrap());
    }
    pulls
}

/// Waits for something on a pull request.
async fn until<T>(
    (github, processes): (&Standin, &Processes),
    pr: &Pr,
    mut happened: impl FnMut(&PrSnapshot) -> Option<T>,
) -> T {
    let look = |world: &sluice_sim::World| happened(&PrSnapshot::take(world, pr).unwrap());
    match github.until(PATIENCE, look).await {
        Ok(found) => found,
        Err(error) => {
            panic!("#{}: {error}\n{:#?}\n{}", pr.number, github.pr(pr), processes.logs())
        }
    }
}

/// The pull requests in the order in which they were merged, and when.
fn merges(github: &Standin) -> Vec<(u64, SystemTime)> {
    let of_all = |world: &sluice_sim::World| {
        let pulls = world.repositories().iter().flat_map(|repository| repository.pulls.values());
        let merged = pulls.filter_map(|pull| Some((pull.number, pull.merged.as_ref()?.at)));
        merged.collect::<Vec<_>>()
    };
    let mut merges = github.world(of_all);
    merges.sort_by_key(|(_, at)| *at);
    merges
}

/// When each apply to prod began and ended, in seconds since 1970, by the database's own record,
/// the first one left out, which brought the project to prod.
fn applies(shop: &Shop) -> Vec<(f64, f64)> {
    let rows = shop.database.ask(&["SELECT what, extract(epoch FROM at) FROM public.applies \
         WHERE environment = 'prod' ORDER BY number"]);
    let pairs = rows.chunks(2).map(|pair| {
        let said: Vec<&str> = pair.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(said, ["begin", "end"], "applies to prod overlapped: {rows:#?}");
        (pair[0][1].parse().unwrap(), pair[1][1].parse().unwrap())
    });
    pairs.skip(1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_approved_pull_requests_are_deployed_one_after_the_other_by_three_workers() {
    let shop = Shop::empty().await;
    shop.database.ask(&[RECORD]);
    let (github, repository) = github(&shop, &configuration(&shop)).await;
    let processes = Processes::start(&github, &shop.database.python, 3).await;
    let (url, secret) = (processes.webhooks(), processes.secret().to_owned());
    github.deliver_to(Receiver { url, secret });
    let [alice, carol] = ["alice", "carol"].map(|login| github.user(login));
    let around = (&*github, &processes);

    let begun = SystemClock.instant();
    let pulls = opened(&alice, &repository).await;
    for pr in &pulls {
        let gated = until(around, pr, |seen| seen.conclusion(PROD_PLAN)).await;
        assert_eq!(gated, CheckConclusion::Success, "{:#?}", github.pr(pr));
    }
    let gated = SystemClock.instant() - begun;
    for pr in &pulls {
        carol.approves(pr).await.unwrap();
        // In the queue before the next one is approved: this is their order.
        let queued = |seen: &PrSnapshot| {
            let id = seen.check(DEPLOY)?.external_id.as_ref()?;
            id.starts_with("deploy:").then_some(())
        };
        until(around, pr, queued).await;
    }
    for pr in &pulls {
        until(around, pr, |seen| (seen.state == PullState::Merged).then_some(())).await;
        until(around, pr, |seen| seen.conclusion(DEPLOY)).await;
    }
    let took = SystemClock.instant() - begun;

    let merges = merges(&github);
    let order: Vec<u64> = merges.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, (1..=PULL_REQUESTS).collect::<Vec<_>>(), "merged as they were queued");
    one_after_the_other(&applies(&shop), &merges);
    assert_eq!(github.world(shown_twice), Vec::<String>::new(), "shown twice");
    prod_is_main(&shop).await;
    let deployed = processes.deployed().await;
    assert_eq!(deployed.iter().sum::<u64>(), PULL_REQUESTS, "{deployed:?}");
    println!(
        "{PULL_REQUESTS} pull requests gated in {gated:.1?}, deployed and merged in {:.1?}; by \
         worker: {deployed:?}",
        took - gated
    );
    processes.end().await;
}

/// Each apply ended and was merged before the next one began.
fn one_after_the_other(applies: &[(f64, f64)], merges: &[(u64, SystemTime)]) {
    assert_eq!(applies.len(), merges.len(), "one apply for each merge");
    let mut last = 0.0;
    for ((begun, ended), (number, at)) in applies.iter().zip(merges) {
        let merged = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(last < *begun && begun < ended && *ended < merged, "#{number}: {applies:?}");
        last = merged;
    }
}

/// Prod has all that main has, planned with SQLMesh itself, and each row once.
async fn prod_is_main(shop: &Shop) {
    let worker = shop.worker();
    worker.removes("models/orders.sql");
    worker.writes("config.yaml", &configuration(shop));
    worker.writes("models/events.sql", EVENTS);
    for number in 1..=PULL_REQUESTS {
        let (file, model) = part(number);
        worker.writes(&file, &model);
    }
    let mut session = worker.loaded().await;
    let plan = plan(&mut session, &Environment::prod()).await;
    assert!(!plan.has_changes && !plan.has_effect, "{}", plan.markdown);
    Box::new(session).close().await.unwrap();
    let parts = (1..=PULL_REQUESTS).map(|number| format!("shop.part_{number}"));
    for table in std::iter::once("shop.events".to_owned()).chain(parts) {
        let counted = format!("SELECT count(*), count(DISTINCT (ds, id)) FROM {table}");
        assert_eq!(shop.database.ask(&[&counted]), [["9", "9"]], "rows of {table}");
    }
}
