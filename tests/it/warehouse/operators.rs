//! What an operator does to real processes at work: pausing, taking a lease away, stopping a worker
//! that has a deploy in hand. Jobs are asked for by hand; no webhook is sent.

use std::time::Duration;

use serde_json::Value;
use sluice_conformance::Watched;
use sluice_sim::world::{CheckConclusion, PullState};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, RepositoryName};

use super::cluster::{self, part};
use super::processes::{Desk, Process, config, queues};
use super::shop::Shop;
use crate::redis::Corner;
use crate::town::{DEPLOY, PROD_PLAN};

/// What each thing may take at most, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whoever changes prod waits at the door while it is closed.
const DOOR: [&str; 3] = [
    "CREATE TABLE public.door (closed BOOLEAN)",
    "INSERT INTO public.door VALUES (true)",
    "CREATE FUNCTION public.pass(environment TEXT) RETURNS INT LANGUAGE plpgsql AS $$ BEGIN
       WHILE environment = 'prod' AND (SELECT closed FROM public.door) LOOP
         PERFORM pg_sleep(0.05);
       END LOOP;
       RETURN 1;
     END $$",
];

fn configuration(shop: &Shop) -> String {
    format!(
        "{}users:\n- {{username: carol, github_username: carol, roles: [required_approver]}}\n\
         cicd_bot:\n  type: github\n  merge_method: squash\n  skip_pr_backfill: false\n  \
         auto_categorize_changes: {{sql: full}}\n\
         before_all: [\"SELECT public.pass(@this_env)\"]\n",
        shop.configuration(),
    )
}

/// Everything, with one worker.
struct Scene {
    shop: Shop,
    github: Watched,
    config: String,
    carol: Actor,
}

impl Scene {
    fn desk(&self) -> Desk<'_> {
        Desk { github: &self.github, config: &self.config }
    }

    fn door(&self, closed: bool) {
        self.shop.database.ask(&[&format!("UPDATE public.door SET closed = {closed}")]);
    }

    async fn opens(&self, repository: &RepositoryName, number: u64) -> Pr {
        let (file, model) = part(number);
        let spec = PrSpec::new(&format!("part-{number}")).file(&file, &model);
        self.github.user("alice").opens_pr(repository, spec).await.unwrap()
    }

    async fn asks(&self, what: &str, pr: &Pr) {
        let number = pr.number.to_string();
        let verb = ["enqueue", what, "--project", "warehouse", "--pr", &number];
        let output = self.desk().runs("sluice-producer", &verb).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    async fn until<T>(&self, pr: &Pr, mut happened: impl FnMut(&PrSnapshot) -> Option<T>) -> T {
        let look = |world: &sluice_sim::World| happened(&PrSnapshot::take(world, pr).unwrap());
        match self.github.until(PATIENCE, look).await {
            Ok(found) => found,
            Err(error) => panic!("#{}: {error}\n{:#?}", pr.number, self.github.pr(pr)),
        }
    }

    /// Approved, and in the line of deploys.
    async fn is_queued(&self, pr: &Pr) {
        self.carol.approves(pr).await.unwrap();
        self.asks("deploy", pr).await;
        let queued = |seen: &PrSnapshot| {
            seen.check(DEPLOY)?.external_id.as_ref()?.starts_with("deploy:").then_some(())
        };
        self.until(pr, queued).await;
    }

    /// Waits until a deploy stands at the door, with an epoch above this one, and says with which.
    async fn applies(&self, above: u64) -> u64 {
        let at_the_door = |status: &Value| {
            let lease = prod(status).filter(|lease| lease["standing"] == "held")?;
            let epoch = lease["epoch"].as_u64().filter(|epoch| *epoch > above)?;
            (status["running"][0]["stage"] == "apply").then_some(epoch)
        };
        self.desk().until("a deploy applies", at_the_door).await
    }

    async fn is_merged(&self, pr: &Pr) {
        self.until(pr, |seen| (seen.state == PullState::Merged).then_some(())).await;
        let deployed = self.until(pr, |seen| seen.conclusion(DEPLOY)).await;
        assert_eq!(deployed, CheckConclusion::Success);
    }
}

/// The lease on prod, as `sluice status` shows it.
fn prod(status: &Value) -> Option<&Value> {
    let leases = status["leases"].as_array()?.iter();
    leases.into_iter().find(|lease| lease["key"] == "warehouse/prod")
}

/// How many deploys wait.
fn in_line(status: &Value) -> u64 {
    let queues = status["queues"].as_array().unwrap();
    let queue = queues.iter().find(|queue| queue["queue"] == "sluice.deploy.warehouse");
    queue.unwrap()["jobs"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_are_paused_taken_away_and_outlast_the_stopping_of_their_worker() {
    let shop = Shop::empty().await;
    shop.database.ask(&DOOR);
    shop.database.ask(&["UPDATE public.door SET closed = false"]);
    let (github, repository) = cluster::github(&shop, &configuration(&shop)).await;
    let corner = Corner::new();
    drop(corner.store().await);
    let prefix = &corner.settings.key_prefix;
    let _broker = queues(prefix);
    let config = config(&github, &shop.database.python, prefix);
    let lease = "[lease]\nttl = \"8s\"\nrenew_every = \"300ms\"\nfence_after = \"6s\"\n\
                 lock_delay = \"1s\"\n";
    let config = config.replace("[lease]\n", lease);
    let mut worker = Process::start("sluice-worker", &[], &github, &config);
    let carol = github.user("carol");
    let scene = Scene { shop, github, config, carol };
    let desk = scene.desk();

    desk.sluice(&["pause", "warehouse", "--reason", "the warehouse is being moved"]).await;
    let [first, second] = [scene.opens(&repository, 1).await, scene.opens(&repository, 2).await];
    for pr in [&first, &second] {
        scene.asks("gate-check", pr).await;
    }
    for pr in [&first, &second] {
        let gated = scene.until(pr, |seen| seen.conclusion(PROD_PLAN)).await;
        assert_eq!(gated, CheckConclusion::Success, "{:#?}", scene.github.pr(pr));
    }

    // Paused: in line, and nobody takes it.
    scene.is_queued(&first).await;
    let idle =
        |status: &Value| (status["running"] == serde_json::json!([])).then(|| status.clone());
    let status = desk.until("nothing runs", idle).await;
    assert_eq!(in_line(&status), 1, "{status:#}");
    assert!(prod(&status).is_none(), "{status:#}");

    scene.door(true);
    desk.sluice(&["resume", "warehouse", "--reason", "moved"]).await;
    let epoch = scene.applies(0).await;

    // Taken away from a worker that lives: it stops, and its job comes back under a new epoch.
    let lost = "sluice_lease_lost_total{project=\"warehouse\"}";
    assert_eq!(worker.metric(lost).await, Some(0));
    let taken = desk.sluice(&["unlock", "warehouse", "--reason", "it hangs at the door"]).await;
    assert_eq!(taken["taken"]["epoch"], epoch, "{taken:#}");
    let url = format!("{}/acme/warehouse/pull/{}", scene.github.url(), first.number);
    assert_eq!(taken["taken"]["url"], url, "{taken:#}");
    worker.until_counted(lost).await;
    scene.applies(epoch).await;
    let status = desk.sluice(&["status"]).await;
    let did: Vec<&Value> =
        status["actions"].as_array().unwrap().iter().map(|action| &action["what"]).collect();
    let took = format!("took warehouse/prod from PR #{}", first.number);
    assert_eq!(did, [took.as_str(), "resumed warehouse", "paused warehouse"]);
    scene.door(false);
    scene.is_merged(&first).await;

    // Stopped with a deploy in hand: it ends it first.
    scene.door(true);
    scene.is_queued(&second).await;
    scene.applies(0).await;
    worker.terminate();
    worker.until_it_says(503, "shutting down\n").await;
    scene.door(false);
    assert_eq!(worker.ended().await, Some(0));
    scene.is_merged(&second).await;
    let status = desk.sluice(&["status"]).await;
    assert_eq!((in_line(&status), prod(&status)), (0, None), "{status:#}");
}
