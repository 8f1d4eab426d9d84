//! The roles as processes of their own: what they say of themselves while a store is away and while
//! they end, how they end, and jobs that are asked for by hand.
//!
//! No test here needs SQLMesh: a job whose Python never answers is as much in hand as any other.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sluice::config::{Config, Variables};
use sluice::outcome::Disposition;
use sluice::project::Python;
use sluice::queue::{Queue as _, Route};
use sluice_conformance::Watched;
use sluice_rig::{Folder, Redis};
use sluice_sim::world::Role;
use sluice_sim::{PrSpec, StandinConfig};
use sluice_store::Store;

use crate::contracts::queue::broker::Broker;
use crate::redis::settings;
use crate::warehouse::processes::{Desk, Process, config_of, queues};

/// A GitHub with one pull request, a Redis that can be killed, and queues of their own.
struct Place {
    github: Watched,
    redis: Redis,
    broker: Broker,
    config: String,
    pr: String,
    _folder: Folder,
}

impl Place {
    async fn new() -> Self {
        let github = Watched::start(StandinConfig::default()).await.unwrap();
        let files = [("config.yaml", "model_defaults: {dialect: duckdb}\n")];
        let repository = github.repository("acme/warehouse").with_files(&files).await.unwrap();
        let alice = github.user("alice");
        alice.joins(&repository, Role::Write).await.unwrap();
        let spec = PrSpec::new("change").file("models/a.sql", "SELECT 1 AS id\n");
        let pr = alice.opens_pr(&repository, spec).await.unwrap().number.to_string();
        let mut redis = Redis::new().unwrap();
        redis.start().unwrap();
        let prefix = format!("roles-{:016x}", rand::random::<u64>());
        let broker = queues(&prefix);
        let folder = Folder::new("roles").unwrap();
        let python = folder.path().join("python");
        std::fs::write(&python, "#!/bin/sh\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&python, Permissions::from_mode(0o755)).unwrap();
        let config = config_of(&github, &python, (&prefix, &redis.url()));
        let config = config.replace("[worker]\n", "[producer]\nlinger = \"60s\"\n[worker]\n");
        let place = Self { github, redis, broker, config, pr, _folder: folder };
        place.thaw().await;
        place
    }

    /// A Redis that is new grants nothing for a while.
    async fn thaw(&self) {
        let settings = settings(&self.redis.url(), &self.broker.settings.prefix);
        Store::connect(&settings).unwrap().thaw().await.unwrap();
    }

    fn starts(&self, binary: &str) -> Process {
        let verb: &[&str] = if binary == "sluice-producer" { &["serve"] } else { &[] };
        Process::start(binary, verb, &self.github, &self.config)
    }

    fn desk(&self) -> Desk<'_> {
        Desk { github: &self.github, config: &self.config }
    }

    /// What `sluice-producer enqueue` says, having stored a job.
    async fn enqueues(&self, what: &[&str]) -> String {
        let of = ["--project", "warehouse", "--pr", &self.pr];
        let output = self.desk().runs("sluice-producer", &[&["enqueue"], what, &of].concat()).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{complaint}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A gate check that is asked for by hand, and that a worker has in hand for a long while.
    async fn has_a_job_in_hand(&self, worker: &mut Process) {
        self.enqueues(&["gate-check"]).await;
        worker.until_in_a_stage().await;
    }

    async fn waiting(&self, route: &Route) -> u64 {
        self.broker.queue.waiting(route).await.unwrap().jobs
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing_and_that_the_end_has_begun() {
    let mut place = Place::new().await;
    let (mut producer, mut worker) =
        (place.starts("sluice-producer"), place.starts("sluice-worker"));
    producer.until_it_says(200, "ready\n").await;
    worker.until_it_says(200, "ready\n").await;

    place.redis.kill().unwrap();
    worker.until_it_says(503, "the leases do not answer\n").await;
    producer.until_it_says(200, "ready; the leases' store does not answer").await;
    place.redis.start().unwrap();
    place.thaw().await;
    producer.until_it_says(200, "ready\n").await;
    worker.until_it_says(200, "ready\n").await;

    place.has_a_job_in_hand(&mut worker).await;
    producer.terminate();
    worker.terminate();
    producer.until_it_says(503, "shutting down\n").await;
    worker.until_it_says(503, "shutting down\n").await;

    // Told twice: the producer lingers no more, the worker gives its job back.
    producer.terminate();
    worker.terminate();
    assert_eq!(producer.ended().await, Some(0));
    assert_eq!(worker.ended().await, Some(0));
    assert_eq!(place.waiting(&Route::Gate).await, 1, "its job was given back");
}

#[tokio::test]
async fn a_worker_that_is_told_three_times_leaves_its_jobs_behind_and_says_so() {
    let mut place = Place::new().await;
    let mut worker = place.starts("sluice-worker");
    worker.until_ready().await;
    place.has_a_job_in_hand(&mut worker).await;
    worker.terminate();
    worker.until_it_logs("stopping: running jobs may end in order").await;
    // It waits for an answer before it gives anything back.
    place.redis.process().unwrap().stop().unwrap();
    worker.terminate();
    worker.until_it_logs("stopping now: running jobs are cancelled").await;
    worker.terminate();
    let code = worker.ended().await;
    place.redis.process().unwrap().go_on().unwrap();
    assert_eq!(code, Some(3));
    let comes_back = async {
        let mut jobs = place.broker.queue.consume(&Route::Gate, 1).await.unwrap();
        jobs.next().await.expect("its message comes back")
    };
    tokio::time::timeout(Duration::from_secs(30), comes_back).await.unwrap();
}

#[tokio::test]
async fn a_job_is_asked_for_by_hand_or_it_is_said_why_not() {
    let place = Place::new().await;
    let asked = [
        (&["gate-check"][..], Route::Gate, "full"),
        (&["gate-check", "--again"], Route::Gate, "full"),
        (&["deploy"], Route::Approval, "approval"),
    ];
    for (what, route, scope) in asked {
        let id = place.enqueues(what).await;
        let mut jobs = place.broker.queue.consume(&route, 1).await.unwrap();
        let delivery = jobs.next().await.unwrap();
        let job: Value = serde_json::from_slice(delivery.bytes()).unwrap();
        assert_eq!(job["id"], id.as_str(), "{what:?}");
        assert_eq!(job["job"]["scope"], scope, "{what:?}: it approves nothing");
        assert_eq!(job["job"]["refresh"], if what.len() > 1 { "yes" } else { "no" });
        delivery.settle(Disposition::Done).await.unwrap();
    }

    let refused = async |config: &str, of: &[&str]| {
        let desk = Desk { github: &place.github, config };
        let verb = [&["enqueue", "deploy"], of].concat();
        let output = desk.runs("sluice-producer", &verb).await;
        assert_eq!(output.status.code(), Some(1), "{of:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let why = refused(&place.config, &["--project", "lake", "--pr", "1"]).await;
    assert!(why.contains("not configured; there are: warehouse"), "{why}");
    let why = refused(&place.config, &["--project", "warehouse", "--pr", "0"]).await;
    assert!(why.contains("numbered from 1"), "{why}");
    let nobody = format!("127.0.0.1:{}", sluice_rig::free_port().unwrap());
    let broker = crate::contracts::queue::broker::url();
    let away = place.config.replace(&broker, &format!("amqp://guest:guest@{nobody}/%2f"));
    let why = refused(&away, &["--project", "warehouse", "--pr", "1"]).await;
    assert!(why.contains("error: "), "{why}");
}

/// What compose starts serves what its folder says, and the token goes to workers only.
#[test]
fn the_folder_for_compose_is_a_configuration_and_the_token_is_the_workers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("deploy/compose/sluice.toml");
    let config = Config::load(Some(&file), &Variables::new(), &[]).unwrap();
    let Python::Requirements(requirements) = &config.projects[0].python else { panic!() };
    assert!(requirements.exists(), "{}", requirements.display());
    let compose = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    let (before, after) = compose.split_once("\n  worker:\n").unwrap();
    let (worker, others) = after.split_once("\n  prometheus:\n").unwrap();
    assert!(worker.contains("GITHUB_TOKEN:"), "{worker}");
    assert!(!before.contains("GITHUB_TOKEN:") && !others.contains("GITHUB_TOKEN:"));
}
