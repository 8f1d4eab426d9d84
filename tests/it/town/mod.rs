//! A town: a GitHub stand-in over HTTP, a producer, a worker, and people, to tell stories with.
//!
//! Everything is real but SQLMesh, which is scripted (see `engine`): signed webhooks, git over
//! authenticated HTTP, the octocrab adapter. Nothing sleeps: a story waits for what it tells.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice::clock::SystemClock;
use sluice::lease::Timings;
use sluice::lease::memory::MemoryLeases;
use sluice::ledger::MemoryLedger;
use sluice::names::{Login, ProjectName, Repository};
use sluice::observe::{Event, Observer, Observers, What};
use sluice::outcome::{Reason, Stage};
use sluice::pipeline::{Deps, Settings};
use sluice::policy::{BotOptions, Policy};
use sluice::project::{Approvals, OldHead, Project, Python, SharesRepository};
use sluice::queue::RetryPolicy;
use sluice::queue::memory::MemoryQueue;
use sluice::redact::Redactor;
use sluice::seal::SealKey;
use sluice_sim::world::{CheckConclusion, Role};
use sluice_sim::{Actor, Pr, PrSnapshot, PrSpec, Receiver, RepositoryName, Standin, StandinConfig};
use sluice_worker::checkout::{self, Credentials, Mirrors, NoToken, Token, UrlTemplate};
use sluice_worker::github::{Auth, HttpGitHub, Patience, Settings as GitHubSettings};
use sluice_worker::run::{Slots, run};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

mod engine;

pub use engine::Warehouse;

pub const LINTER: &str = "SQLMesh - Linter";
pub const TESTS: &str = "SQLMesh - Run Unit Tests";
pub const APPROVAL: &str = "SQLMesh - Has Required Approval";
pub const PR_ENVIRONMENT: &str = "SQLMesh - PR Environment Synced";
pub const PROD_PLAN: &str = "SQLMesh - Prod Plan Preview";
pub const DEPLOY: &str = "SQLMesh - Prod Environment Synced";

const SECRET: &str = "a webhook secret of this town";

/// How long a story waits for anything. A bound against hanging, not a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The town.
pub struct Town {
    pub github: Standin,
    pub repository: RepositoryName,
    pub warehouse: Arc<Warehouse>,
    pub deps: Deps,
    pub queue: Arc<MemoryQueue>,
    /// Opens pull requests.
    pub alice: Actor,
    /// Opens pull requests.
    pub bob: Actor,
    /// The required approver.
    pub carol: Actor,
    /// May write, and no more.
    pub mallory: Actor,
    heard: Arc<Heard>,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<()>,
    producer: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// A policy with one approver, everything on, squash merges.
pub fn policy() -> Policy {
    Policy {
        approvers: vec![Login::new("carol")],
        bot: BotOptions {
            invalidate_environment_after_deploy: true,
            enable_deploy_command: true,
            merge_method: Some(sluice::github::MergeMethod::Squash),
            command_namespace: None,
            auto_categorize_changes: serde_json::Value::Null,
            default_pr_start: None,
            default_pr_preview_start: "yesterday".to_owned(),
            skip_pr_backfill: true,
            pr_include_unmodified: false,
            run_on_deploy_to_prod: false,
            pr_environment_name: None,
            pr_min_intervals: None,
            pr_preview_min_intervals: 1,
            prod_branch_names: vec!["main".to_owned(), "master".to_owned()],
            forward_only_branch_suffix: "-forward-only".to_owned(),
            check_if_blocked_on_deploy_to_prod: true,
        },
        linter: true,
    }
}

impl Town {
    /// A town with one project, one approver (carol), and one worker.
    pub async fn start() -> Self {
        Self::with(policy()).await
    }

    /// A town whose project has this policy.
    pub async fn with(policy: Policy) -> Self {
        let github = Standin::start(StandinConfig::default()).await.unwrap();
        let config = serde_json::to_string_pretty(&policy).unwrap();
        let files = [
            ("config.yaml", config.as_str()),
            ("models/orders.sql", "SELECT 1 AS order_id\n"),
            ("models/revenue.sql", "SELECT SUM(1) AS revenue\n"),
        ];
        let repository = github.repository("acme/warehouse").with_files(&files).await.unwrap();
        let [alice, bob, carol, mallory] =
            ["alice", "bob", "carol", "mallory"].map(|login| github.user(login));
        for actor in [&alice, &bob, &carol, &mallory] {
            actor.joins(&repository, Role::Write).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Heard::default());
        let (deps, queue, warehouse) = deps(&github, folder.path(), &heard);
        for (model, sql) in [&files[1], &files[2]].map(|(path, sql)| (path, sql)) {
            let name = model.trim_start_matches("models/").trim_end_matches(".sql");
            warehouse.is_changed_by_hand("prod", name, sql);
        }
        let stop = CancellationToken::new();
        let slots = Slots { approval: 8, gate: 4, deploy: 2 };
        let grace = Duration::from_secs(5);
        let worker = tokio::spawn(run(deps.clone(), slots, grace, stop.child_token()));
        let (url, producer) = super::town_producer(&deps, SECRET, &stop).await;
        github.deliver_to(Receiver { url, secret: SECRET.to_owned() });
        Self {
            github,
            repository,
            warehouse,
            deps,
            queue,
            alice,
            bob,
            carol,
            mallory,
            heard,
            stop,
            worker,
            producer,
            _folder: folder,
        }
    }

    /// Alice opens a pull request that writes one model.
    pub async fn pr(&self, branch: &str, model: &str, sql: &str) -> Pr {
        let spec = PrSpec::new(branch).file(&format!("models/{model}.sql"), sql);
        self.alice.opens_pr(&self.repository, spec).await.unwrap()
    }

    /// The same, gated.
    pub async fn gated_pr(&self, branch: &str, model: &str, sql: &str) -> Pr {
        let pr = self.pr(branch, model, sql).await;
        self.until_concluded(&pr, PROD_PLAN).await;
        pr
    }

    /// Waits until a check of the pull request's head is concluded; says how.
    pub async fn until_concluded(&self, pr: &Pr, check: &str) -> CheckConclusion {
        let concluded = |seen: &PrSnapshot| seen.conclusion(check);
        self.until(pr, check, concluded).await
    }

    /// Waits until a check is concluded so.
    pub async fn until_check(&self, pr: &Pr, check: &str, conclusion: CheckConclusion) {
        let so = |seen: &PrSnapshot| (seen.conclusion(check) == Some(conclusion)).then_some(());
        self.until(pr, &format!("{check}: {conclusion:?}"), so).await;
    }

    /// Waits until the pull request is deployed and merged.
    pub async fn until_deployed(&self, pr: &Pr) {
        self.until_check(pr, DEPLOY, CheckConclusion::Success).await;
        self.until(pr, "merged", |seen| seen.is_merged().then_some(())).await;
    }

    /// Waits for something on the pull request; shows it all when that does not come.
    pub async fn until<T>(
        &self,
        pr: &Pr,
        what: &str,
        mut happened: impl FnMut(&PrSnapshot) -> Option<T>,
    ) -> T {
        let look = |world: &sluice_sim::World| happened(&PrSnapshot::take(world, pr).unwrap());
        match self.github.until(PATIENCE, look).await {
            Ok(found) => found,
            Err(error) => panic!("{what}: {error}\n{:#?}\n{}", self.see(pr), self.heard.all()),
        }
    }

    /// The pull request now.
    pub fn see(&self, pr: &Pr) -> PrSnapshot {
        self.github.pr(pr).unwrap()
    }

    /// What a check says: title and summary.
    pub fn says(&self, pr: &Pr, check: &str) -> String {
        let seen = self.see(pr);
        let check = seen.check(check).unwrap_or_else(|| panic!("no {check}: {seen:#?}"));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}\n{}", text(&check.title), text(&check.summary))
    }

    /// The sticky comment; there is never more than one.
    pub fn comment(&self, pr: &Pr) -> String {
        let seen = self.see(pr);
        let ours: Vec<_> =
            seen.comments.iter().filter(|c| c.body.contains("<!-- sluice:comment")).collect();
        assert!(ours.len() <= 1, "one sticky comment: {ours:#?}");
        ours.first().map(|comment| comment.body.clone()).unwrap_or_default()
    }

    /// Waits until no job is waiting or running and no webhook is on its way.
    pub async fn until_quiet(&self) {
        let quiet = async {
            self.github.until_delivered(PATIENCE).await.unwrap();
            self.queue.drained().await;
            // What the last job did may have sent webhooks, and those may have made jobs.
            self.github.until_delivered(PATIENCE).await.unwrap();
            self.queue.drained().await;
        };
        let quiet = tokio::time::timeout(PATIENCE, quiet).await;
        assert!(quiet.is_ok(), "still busy:\n{}", self.heard.all());
    }

    /// Why something was refused, by pull request.
    pub fn refusals(&self, pr: &Pr) -> Vec<Reason> {
        self.heard.refusals(pr.number)
    }

    /// How many stages of that name ran for the pull request.
    pub fn stages(&self, pr: &Pr, stage: Stage) -> usize {
        self.heard.stages(pr.number, stage)
    }

    /// How many API requests (git excluded) were made so far.
    pub fn requests(&self) -> usize {
        self.github
            .requests()
            .iter()
            .filter(|request| request.kind != sluice_sim::world::RequestKind::Git)
            .count()
    }

    /// The end of a story: quiet, nothing dead, nothing held, no two applies at once.
    pub async fn finish(self) {
        self.until_quiet().await;
        assert!(self.queue.dead().is_empty(), "dead letters: {:#?}", self.queue.dead());
        let project = &self.deps.projects[0].name;
        let held = self.deps.leases.inspect(project).await.unwrap();
        assert!(held.is_empty(), "leases at the end: {held:#?}");
        assert_eq!(self.warehouse.overlaps(), Vec::<String>::new(), "applies overlapped");
        self.stop.cancel();
        self.worker.await.unwrap();
        self.producer.await.unwrap();
    }
}

fn deps(
    github: &Standin,
    folder: &std::path::Path,
    heard: &Arc<Heard>,
) -> (Deps, Arc<MemoryQueue>, Arc<Warehouse>) {
    let clock = Arc::new(SystemClock);
    let observer: Arc<dyn Observer> =
        Arc::new(Observers::new(vec![Arc::clone(heard) as Arc<dyn Observer>]));
    let retry = RetryPolicy { delays: vec![Duration::from_millis(20); 3] };
    let queue = Arc::new(MemoryQueue::new(clock.clone(), retry.clone()));
    let mirrors = Mirrors::new(checkout::Settings {
        data_dir: folder.to_owned(),
        git: "git".into(),
        url: UrlTemplate::new(format!("{}/{{repository}}.git", github.url())).unwrap(),
        credentials: Arc::new(TownToken(github.token().to_owned())),
        timeouts: checkout::Timeouts::default(),
    });
    let engine = engine::Scripted::new(Arc::new(mirrors.unwrap()));
    let warehouse = engine.warehouse();
    let adapter = HttpGitHub::new(&GitHubSettings {
        api_url: github.url().to_owned(),
        auth: Auth::Token(github.token().to_owned().into()),
        app: None,
        patience: Patience::default(),
        observer: observer.clone(),
        clock: clock.clone(),
    });
    let [ttl, renew, fence, delay] = [4000, 200, 2000, 500].map(Duration::from_millis);
    let deps = Deps {
        queue: queue.clone(),
        leases: Arc::new(MemoryLeases::new(clock.clone())),
        github: Arc::new(adapter.unwrap()),
        engine: Arc::new(engine),
        clock,
        observer,
        ledger: Arc::new(MemoryLedger::default()),
        projects: Arc::new([Arc::new(project())]),
        settings: Arc::new(Settings {
            seal: SealKey::derive(SECRET.as_bytes()),
            redactor: Arc::new(Redactor::new([SECRET])),
            retry,
            lease: Timings::new(ttl, renew, fence, delay).unwrap(),
            host: "town".to_owned(),
            status_url: None,
            report_every: Duration::from_millis(200),
            progress_every: Duration::from_millis(200),
            gate_timeout: PATIENCE,
            deploy_timeout: PATIENCE,
            mergeability_patience: Duration::from_secs(2),
            merge_patience: Duration::from_secs(3),
        }),
    };
    (deps, queue, warehouse)
}

fn project() -> Project {
    Project {
        name: ProjectName::new("warehouse").unwrap(),
        repository: Repository::new("acme/warehouse").unwrap(),
        path: String::new(),
        python: Python::Interpreter("python".into()),
        gateway: None,
        pass_env: Vec::new(),
        max_sessions: 8,
        approvals: Approvals::AtLeast(1),
        approval_on_old_head: OldHead::Refuse,
        shares_repository: SharesRepository::No,
    }
}

struct TownToken(String);

#[async_trait::async_trait]
impl Credentials for TownToken {
    async fn token(&self, _: &Repository) -> Result<Option<Token>, NoToken> {
        Ok(Some(Token::new(&self.0)))
    }
}

/// Everything that was told, for questions and for the post-mortem of a story that hangs.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<Event>>,
    count: watch::Sender<usize>,
}

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
        self.count.send_modify(|count| *count += 1);
    }
}

impl Heard {
    fn refusals(&self, pr: u64) -> Vec<Reason> {
        let events = self.events.lock().unwrap();
        let mut reasons = Vec::new();
        for event in events.iter().filter(|e| e.job.as_ref().is_some_and(|job| job.pr.0 == pr)) {
            if let What::Refused(refusals) = &event.what {
                reasons.extend(refusals.iter().map(|refusal| refusal.reason));
            }
        }
        reasons
    }

    fn stages(&self, pr: u64, stage: Stage) -> usize {
        let events = self.events.lock().unwrap();
        let of_pr = |e: &&Event| e.job.as_ref().is_some_and(|job| job.pr.0 == pr);
        let begun = |e: &&Event| matches!(e.what, What::StageStarted(s) if s == stage);
        events.iter().filter(of_pr).filter(begun).count()
    }

    fn all(&self) -> String {
        let events = self.events.lock().unwrap();
        let line = |event: &Event| {
            let job = event.job.as_ref().map(|job| job.id.to_string()).unwrap_or_default();
            format!("{job} {:?}\n", event.what)
        };
        events.iter().map(line).collect()
    }
}
